"""The trigger: one feed for each partition that may hold something."""

import pytest

from fakes import Clock, FakeTable
from scheduler.errors import NotConfirmed
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding import trigger as triggering


def trigger(table, count, invoke):
    return triggering.trigger(600.0, count, table, SerialPool(), invoke, Clock().deadline())


def test_every_partition_is_fed_until_the_next_trigger():
    """Asynchronously, each by its own name."""
    invoked = []
    assert 3 == trigger(FakeTable(), 3, lambda event, _: invoked.append(event))
    assert [{"partition": str(partition), "until": 600.0} for partition in range(3)] == invoked


def test_partitions_beyond_a_lowered_count_are_still_fed():
    """The table remembers the largest count ever written with: nothing is orphaned."""
    assert 8 == trigger(FakeTable(partitions=8), 2, lambda event, _: None)


def test_a_raised_count_is_fed_at_once():
    """Before anything was written with it."""
    assert 16 == trigger(FakeTable(partitions=8), 16, lambda event, _: None)


def test_one_feed_that_cannot_be_invoked_keeps_no_other_back():
    """All others are; then the trigger ends with an error, so that Lambda tries again."""
    invoked = []

    def invoke(event, _):
        if event["partition"] == "1":
            raise NotConfirmed("throttled")
        invoked.append(event["partition"])

    with pytest.raises(NotConfirmed, match="1 of 4 feeds were not invoked: throttled"):
        trigger(FakeTable(), 4, invoke)
    assert ["0", "2", "3"] == invoked


def test_a_memory_that_cannot_be_read_is_no_small_memory():
    """Better late by Lambda's retry than a partition forgotten."""
    with pytest.raises(NotConfirmed):
        trigger(FakeTable(down=True), 4, lambda event, _: None)
