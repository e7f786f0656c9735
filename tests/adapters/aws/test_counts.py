"""The rows of the ledger in DynamoDB. tests/contract/ports/test_counts.py has what the use cases rely on."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from aws_faults import lose_answer, refuse_call
from scheduler.aws.applications.counts import Counts
from scheduler.errors import NotConfirmed
from scheduler.model.usage import Count

COUNT = Count("2030-01-01", "aaaaaaaa", "0123456789abcdef", 1, {"released": 2})


@pytest.fixture
def counts(cloud):
    return Counts(cloud.dynamodb, "schedules")


def test_a_write_whose_answer_was_lost_can_be_made_again(cloud, counts):
    """The condition then fails, because the row is there already."""
    lose_answer(cloud.dynamodb, "dynamodb.UpdateItem")
    with pytest.raises(NotConfirmed, match="ReadTimeoutError"):
        counts.write(COUNT)
    counts.write(COUNT)
    assert [(1, 2)] == [(each.seq, each.totals["released"]) for each in counts.read(COUNT.day, COUNT.application, "0")]


@pytest.mark.parametrize("operation", ["UpdateItem", "Query"])
def test_a_permanent_error_is_raised(cloud, counts, operation):
    """One example is a missing permission of the role."""
    cloud.dynamodb.meta.events.register_first(f"before-call.dynamodb.{operation}", refuse_call("AccessDenied", 403))
    with pytest.raises(ClientError, match="AccessDenied"):
        counts.write(COUNT) if operation == "UpdateItem" else counts.read(COUNT.day, COUNT.application, "0")


def test_dynamodb_deletes_a_row_after_400_days(cloud, counts):
    """A year and a month, so that last year's bill can be checked."""
    counts.write(COUNT)
    (row,) = cloud.items()
    assert datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=400) == datetime.fromtimestamp(int(row["ttl"]["N"]), UTC)


def test_a_row_has_the_number_that_an_earlier_version_reads(cloud, counts):
    """That version reads `accepted` from every row, also from one that has accepted nothing."""
    counts.write(COUNT)
    (row,) = cloud.items()
    assert {"N": "0"} == row["accepted"]
