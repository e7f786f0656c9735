"""Readers and ranges in the wrong order, which DynamoDB refuses. moto does not, and the virtual DynamoDB does."""

from punctual.testing import Stack
from scheduler.aws.manage_table import ManageTable
from scheduler.aws.name_records import Records


def test_a_reader_asks_for_no_range_that_begins_behind_its_end():
    """It begins there when the page before ended on an item that lies on the last bound."""
    stack = Stack(PartitionCount=1)
    catalogue = ManageTable(stack.client("dynamodb"), stack.output("TableName"))
    page = catalogue.failures("quarantine", "000000000000005 ", "000000000000005", None)
    assert ([], None) == (page.failures, page.next_sort)


def test_the_names_of_a_prefix_end_with_the_one_that_lies_on_the_last_bound():
    """Its page may be full, which tells of a next one."""
    records = Records(_OnePage(), "schedules")
    assert records.page("names#0", "n/", "n/", 0, 1).next_sort is None


class _OnePage:
    def query(self, **_):
        return {"Items": [], "ScannedCount": 1, "LastEvaluatedKey": {"sort": {"S": "n/~"}}}
