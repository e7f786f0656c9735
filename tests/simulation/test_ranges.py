"""No reader asks for a range whose end is before its beginning. The virtual DynamoDB refuses it, but moto does not."""

from punctual.testing import Stack
from scheduler.aws.manage_table import ManageTable
from scheduler.aws.name_records import Records


def test_a_reader_asks_for_no_range_that_begins_after_its_end():
    """It would, after a page whose last item is exactly at the end of the range."""
    stack = Stack(PartitionCount=1)
    manage_table = ManageTable(stack.client("dynamodb"), stack.output("TableName"))
    page = manage_table.failures("quarantine", "000000000000005 ", "000000000000005", None)
    assert ([], None) == (page.failures, page.next_sort)


def test_the_names_of_a_prefix_end_with_the_one_on_the_last_bound():
    """A full page announces a next one."""
    records = Records(_OnePage(), "schedules")
    assert records.page("names#0", "n/", "n/", 0, 1).next_sort is None


class _OnePage:
    def query(self, **_):
        return {"Items": [], "ScannedCount": 1, "LastEvaluatedKey": {"sort": {"S": "n/~"}}}
