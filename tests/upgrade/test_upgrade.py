"""An update of an earlier version's stack, with every kind of schedule under way, loses and repeats nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import under_way
from punctual.testing.services.environments import Event
from under_way import LATER_S

RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.json"))


@pytest.fixture(params=RECORDINGS, ids=[path.stem for path in RECORDINGS])
def recording(request):
    return under_way.read(request.param)


@pytest.fixture
def updated(recording):
    """Return a stack of this version with the table and the queues of the earlier one."""
    return under_way.replayed(recording)


def test_the_recording_holds_every_kind_of_schedule(recording):
    queues = {name.removeprefix("virtual-") for name in recording["messages"]}
    assert queues == {"OutputQueue", "InputQueue", "DeliveryQueue", "FailureQueue", "theirs"}
    partitions = {item["partition"]["S"].partition("#")[0] for item in recording["items"]}
    assert partitions >= {"0", "1", "meta", "names", "quarantine"}
    assert any("bundle" in item for item in recording["items"])
    assert any("punctual-again" in message["attributes"] for message in recording["messages"]["virtual-InputQueue"])


def test_everything_is_sent_as_the_earlier_version_would_have_sent_it(updated, recording):
    updated.stack.advance_to(LATER_S)
    assert recording["outcome"] == updated.outcome()


def test_a_pending_name_can_be_changed_after_the_update(updated):
    """Each kind of schedule is moved, fired or cancelled by name. A far schedule without a name is changed by id."""
    stack = updated.stack
    stack.manage("fire", name="far/1")
    stack.manage("cancel", name="near/1")
    stack.manage("move", name="far/hook", delay=60)
    listed = stack.manage("list", limit=1_000)["schedules"]
    unnamed = next(each["id"] for each in listed if each["data"] == "far")
    stack.manage("cancel", id=unnamed)
    member = next(each["id"] for each in listed if each["data"] == "bundled 7")
    stack.manage("move", id=member, delay=90)
    stack.advance(seconds=100)
    came = [message.body for message in updated._output().messages.values()]
    assert {"far and named", "bundled 7"} <= set(came)
    assert "named webhook" in [each.data for each in stack.delivered()]
    stack.advance_to(LATER_S)
    bodies = updated.outcome()["queues"]["output"]
    assert 0 == bodies.count("near and named") + bodies.count("far")
    assert 1 == bodies.count("far and named") == bodies.count("bundled 7")


def test_failures_of_the_earlier_version_are_listed_and_redriven(updated):
    stack = updated.stack
    failed = [each for each in stack.manage("failures", limit=1_000)["failures"] if each["reason"] == "failed"]
    assert 2 == len(failed)
    for each in failed:
        stack.manage("redrive", id=each["id"])
    stack.advance(minutes=2)
    delivered = [each.data for each in stack.delivered()]
    assert (1, 1) == (delivered.count("failed"), delivered.count("failed by name"))
    assert [] == [each for each in stack.manage("failures", limit=1_000)["failures"] if each["reason"] == "failed"]


def test_a_continuation_of_the_earlier_version_is_understood(updated, recording):
    """It is in Lambda's queue during the update."""
    sort = "0" * 15 + "#"
    event = {
        "partition": "0",
        "until": updated.stack.now + 300,
        "lease": "0123456789abcdef",
        "position": {"overdue": sort, "upcoming": sort, "between": sort},
        "pace": 500,
    }
    feed = updated.stack.output("FeedFunction").rpartition(":")[2]
    updated.cloud.functions.accept(Event(feed, json.dumps(event), updated.cloud.timeline.now_us))
    updated.stack.advance_to(LATER_S)
    outcome = updated.outcome()
    assert (recording["outcome"], 0) == (outcome, outcome["dead letters"])
