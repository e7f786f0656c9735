"""Every run of a feed leaves a line, which the operation `runs` lists. A line never stands in the way of the feed."""

import pytest

from punctual.testing import Stack
from punctual.testing.calls import CallFault, Fair
from punctual.testing.services.aws_errors import refusal
from punctual.testing.stack import Refused
from scheduler.aws import items
from scheduler.model.feed_run import FeedRun

DAY_S = 86_400


class RunsFail(Fair):
    """DynamoDB refuses or delays the writes of run lines."""

    def __init__(self, fault):
        super().__init__(there_s=0.0, back_s=0.0)
        self.fault, self.seen = fault, 0

    def call_fault(self, call):
        fault = super().call_fault(call)
        if call.operation == "put_item" and call.parameters["Item"]["partition"]["S"].startswith("runs#"):
            self.seen += 1
            return self.fault(fault)
        return fault


def refused(_):
    return CallFault(0.0, 0.0, error_before=refusal("AccessDeniedException", "not allowed", 400))


def lost(fault):
    fault.back_s = 60.0
    return fault


def runs(stack, **fields):
    """Return the runs of all pages."""
    found, more = [], {}
    while True:
        answer = stack.manage("runs", **fields, **more)
        found += answer["runs"]
        if answer["next"] is None:
            return found
        more = {"next": answer["next"]}


def test_a_run_tells_its_partition_its_times_and_what_it_moved():
    stack = Stack(PartitionCount=1)
    stack.schedule([{"delay": 3_000 + 100 * number, "data": "x"} for number in range(3)])
    stack.advance(seconds=4_000)
    assert 3 == len(stack.released())
    with_work = [run for run in runs(stack) if run["moved"]]
    assert 3 == sum(run["moved"] for run in with_work)
    assert {"partition", "begun", "ended", "moved", "left", "error"} == with_work[0].keys()
    assert [("0", 0, None)] * len(with_work) == [(run["partition"], run["left"], run["error"]) for run in with_work]
    assert all(run["begun"] <= run["ended"] <= stack.now for run in with_work)


def test_an_empty_run_has_a_line_too():
    """So the last line of a partition tells when it was last fed."""
    stack = Stack(PartitionCount=2)
    stack.schedule([{"delay": 1_000, "data": "x"}] * 20)
    stack.advance(seconds=1_000)
    found = runs(stack)
    assert 20 == sum(run["moved"] for run in found)
    assert {"0", "1"} == {run["partition"] for run in found}
    assert 0 in [run["moved"] for run in found]


def test_runs_are_listed_by_time_and_by_partition_across_days():
    """The listing takes both days in the order of time, and a partition leaves out the others."""
    stack = Stack(start="2030-01-01T23:30:00Z", PartitionCount=2)
    stack.schedule([{"delay": 1_000 + 600 * number, "data": "x"} for number in range(12)])
    stack.advance(seconds=8_400)
    found = runs(stack)
    begun = [run["begun"] for run in found]
    assert sorted(begun) == begun
    midnight = 1_893_456_000 + DAY_S
    assert begun[0] < midnight < begun[-1]
    assert [run for run in found if run["partition"] == "1"] == runs(stack, partition="1")
    inside = {"from": midnight - 700, "to": midnight + 700}
    assert [run for run in found if inside["from"] <= run["begun"] < inside["to"]] == runs(stack, **inside)
    assert [] == runs(stack, **{"from": midnight + DAY_S})
    assert [] == runs(stack, to=midnight - 2 * DAY_S)


def test_no_run_is_listed_from_the_last_day_of_all():
    """No day comes after it."""
    assert [] == runs(Stack(), **{"from": "9999-12-31"})


def test_pages_of_runs_hold_each_run_once():
    stack = Stack(start="2030-01-21T00:00:00Z", PartitionCount=2)
    midnight_ms = 1_893_456_000_000
    for number in range(2_100):
        run = FeedRun(str(number % 3), midnight_ms + 100 * number - 10_000, midnight_ms, number, 0, "", f"{number}")
        stack.client("dynamodb").put_item(TableName=stack.output("TableName"), Item=items.feed_run(run))
        if number % 500 == 0:
            stack.advance(seconds=1)  # DynamoDB takes 1,000 writes a second for a hash key.
    days = {"from": "2029-12-31", "to": "2030-01-02"}
    first = stack.manage("runs", **days)
    assert (1_000, True) == (len(first["runs"]), first["next"] is not None)
    assert list(range(2_100)) == [run["moved"] for run in runs(stack, **days)]
    assert list(range(1, 2_100, 3)) == [run["moved"] for run in runs(stack, partition="1", **days)]


@pytest.mark.parametrize("fault", [refused, lost])
def test_a_line_that_cannot_be_written_is_logged_and_repeats_nothing(fault):
    """The feed is done by then. It neither fails nor is retried."""
    stack = Stack(PartitionCount=1)
    stack.schedule({"delay": 1_000, "data": "x"})
    stack._cloud.network.faults = RunsFail(fault)
    stack.advance(seconds=1_190)
    assert stack._cloud.network.faults.seen
    feeds = [line for line in stack.log() if line["outcome"] == "fed"]
    unwritten = [line for line in stack.log() if line["outcome"] == "run not written"]
    assert (1, len(feeds)) == (len(stack.released()), len(unwritten))
    assert len(feeds) == stack._cloud.network.faults.seen


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"partition": 3}, "partition is 3; wanted: the number of a partition as text"),
        ({"partition": "256"}, "partition is '256'"),
        ({"from": "yesterday"}, "from is 'yesterday'"),
        ({"from": 5, "to": 5}, "to is 5, not after from"),
        ({"next": "WyJydW5zIiwicnVucyIsIngiXQ=="}, "next is"),
        ({"limit": 5}, "'limit' is not a field of runs"),
    ],
)
def test_a_bad_request_for_runs_says_what_is_wrong(fields, says):
    with pytest.raises(Refused) as refusal_:
        Stack().manage("runs", **fields)
    assert "InvalidRequest" == refusal_.value.kind
    assert says in refusal_.value.message
