"""The trigger invokes one feed for each partition that may hold schedules."""

import pytest

from fakes import Clock, FakeTable
from scheduler.errors import NotConfirmed
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding import trigger as triggering


def trigger(table, count, invoke):
    return triggering.trigger(600.0, count, table, SerialPool(), invoke, Clock().deadline())


def test_every_partition_is_fed_until_the_next_trigger():
    """The invocations are asynchronous, one per partition."""
    invoked = []
    assert 3 == trigger(FakeTable(), 3, lambda event, _: invoked.append(event))
    assert [{"partition": str(partition), "until": 600.0} for partition in range(3)] == invoked


def test_partitions_beyond_a_lowered_count_are_still_fed():
    """The table stores the largest count ever used, so no schedule is orphaned."""
    assert 8 == trigger(FakeTable(partitions=8), 2, lambda event, _: None)


def test_a_raised_count_is_fed_at_once():
    """The table need not hold the new count yet."""
    assert 16 == trigger(FakeTable(partitions=8), 16, lambda event, _: None)


def test_a_feed_that_cannot_be_invoked_affects_no_other():
    """The trigger invokes all others and then fails, so that Lambda retries."""
    invoked = []

    def invoke(event, _):
        if event["partition"] == "1":
            raise NotConfirmed("throttled")
        invoked.append(event["partition"])

    with pytest.raises(NotConfirmed, match="1 of 4 feeds were not invoked: throttled"):
        trigger(FakeTable(), 4, invoke)
    assert ["0", "2", "3"] == invoked


def test_an_unreadable_count_fails_the_trigger():
    """A late tick after Lambda's retry is better than a forgotten partition."""
    with pytest.raises(NotConfirmed):
        trigger(FakeTable(down=True), 4, lambda event, _: None)
