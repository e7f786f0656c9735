"""The feeds know an application before the first of its far schedules is written."""

from __future__ import annotations

import json

import pytest

from fakes import Clock, FakeTable
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding import trigger as triggering
from scheduler.placing.partitions import PartitionCount
from shared_stack import FAR, A, B, Shared


def test_a_far_schedule_is_written_after_the_table_remembers_its_application(shared: Shared):
    """A crash between the two leaves an application without items, which costs an empty query per tick."""
    count = PartitionCount(FakeTable(down=True))
    assert not count.of(A).ensure(4, Clock().deadline()).confirmed
    shared.schedule(A, delay=FAR)
    (item,) = [each for each in shared.items() if each["sort"]["S"] == "partitions"]
    assert ({"N": "4"}, {"SS": [A]}) == (item["count"], item["applications"])


def test_the_number_of_partitions_comes_first():
    """An earlier version reads the number from the same item, and would fail without it."""

    class Half(FakeTable):
        def remember_partitions(self, counts):
            self.down, outcome = True, super().remember_partitions(counts)
            return outcome

    table = Half()
    assert not PartitionCount(table).of(A).ensure(4, Clock().deadline()).confirmed
    assert (4, set()) == (table.partitions, table.applications)


def test_an_execution_environment_asks_once_for_all_applications():
    """The answer to one write tells of every application that the table remembers."""
    table = FakeTable(applications={B})
    count = PartitionCount(table)
    assert count.of(A).ensure(4, Clock().deadline()).confirmed
    table.down = True
    for application in (A, B):
        assert count.of(application).ensure(4, Clock().deadline()).confirmed
    assert not count.of("dddddddd").ensure(4, Clock().deadline()).confirmed


def test_near_schedules_need_no_memory(shared: Shared):
    shared.schedule(A, delay=5, name="n")
    assert [] == [each for each in shared.items() if each["sort"]["S"] == "partitions"]


def test_the_trigger_tells_each_feed_the_applications():
    invoked: list[dict] = []
    table = FakeTable(partitions=2, applications={A, B})
    deadline = Clock().deadline()
    triggering.trigger(600.0, 1, table, SerialPool(), lambda event, _: invoked.append(event), deadline)
    assert [{"partition": each, "until": 600.0, "applications": [A, B]} for each in ("0", "1")] == invoked


def test_a_thousand_applications_fit_an_event_of_lambda():
    """An asynchronous invocation takes 256 KB, and AWS bills each 64 KB."""
    applications = [f"{number:08x}" for number in range(1_000)]
    assert len(json.dumps({"partition": "255", "until": 1.0, "applications": applications})) < 64_000


@pytest.mark.parametrize("whose", [A, ""])
def test_an_application_that_comes_later_is_fed_in_time(shared: Shared, whose: str):
    """Its first schedule is beyond the reach, and the next trigger tells the feeds of it."""
    shared.stack.advance(seconds=601)
    shared.schedule(B, delay=901)
    shared.schedule(whose, delay=905)
    shared.stack.advance(seconds=1_000)
    assert [True, True] == [each.at - each.due < 1 for each in shared.stack.released()]
