"""A name tells when its schedule was accepted and when each attempt began, also across versions."""

import pytest

from punctual.testing import Stack
from punctual.testing.services.aws_errors import refusal
from punctual.testing.timeline import US

START = "2030-01-01T00:00:00Z"
HOST = "api.example.com"
HOOK = {"url": f"https://{HOST}/hook"}


def deployed(**parameters):
    return Stack(start=START, PartitionCount=1, WebhookHosts=HOST, **parameters)


def record(stack, name):
    """Return the item of a name, to look at or to change as another version would have written it."""
    items = stack._cloud.dynamodb.tables[stack.output("TableName")].items
    return next(rows[name] for partition, rows in items.items() if partition.startswith("names#") and name in rows)


def test_get_tells_when_a_schedule_was_accepted_and_that_nothing_was_tried():
    stack = deployed()
    accepted = stack.now
    stack.schedule({"delay": 5_000, "name": "n", "data": "x"})
    stack.advance(seconds=100)
    shown = stack.manage("get", name="n")
    assert (accepted, []) == (shown["accepted"], shown["attempt_times"])
    assert shown == stack.manage("list")["schedules"][0]


def test_an_unnamed_schedule_has_neither():
    """Punctual keeps no record of it."""
    stack = deployed()
    answer = stack.schedule({"delay": 5_000, "data": "x"})
    shown = stack.manage("get", id=answer["id"])
    assert (None, None) == (shown["accepted"], shown["attempt_times"])


@pytest.mark.parametrize("change", [{"operation": "move", "delay": 9_000}, {"operation": "fire"}])
def test_a_moved_schedule_was_accepted_when_it_was_moved(change):
    """It has a new id. Times of the schedule before it would belong to another id."""
    stack = deployed()
    stack.schedule({"delay": 5_000, "name": "n", "data": "x"})
    stack.advance(seconds=100)
    stack.manage(**change, name="n")
    assert stack.now == stack.manage("get", name="n")["accepted"]


def test_each_attempt_is_noted_when_it_begins():
    """Two fail and the third succeeds. The pauses lie between the times."""
    stack = deployed()
    stack.answer(HOST, 503)
    accepted, due = stack.now, stack.now + 60
    stack.schedule({"timestamp": due, "name": "n", "data": "x", "target": HOOK})
    stack.advance_to(due + 25)
    shown = stack.manage("get", name="n")
    assert (2, due) == (shown["attempts"], shown["attempt_times"][0])
    assert 7 <= shown["attempt_times"][1] - due <= 12
    stack.answer(HOST, 200)
    stack.advance(seconds=60)
    after = stack.manage("get", name="n")
    assert ("delivered", 3, accepted) == (after["state"], after["attempts"], after["accepted"])
    assert shown["attempt_times"] == after["attempt_times"][:2]
    assert [each.at for each in stack.delivered()] == after["attempt_times"][2:]


def test_a_failed_schedule_keeps_the_times_of_its_attempts():
    stack = deployed()
    stack.answer(HOST, 503)
    stack.schedule({"delay": 60, "name": "n", "data": "x", "target": HOOK, "retry": {"attempts": 3}})
    stack.advance(seconds=200)
    shown = stack.manage("get", name="n")
    assert ("failed", 3, 3) == (shown["state"], shown["attempts"], len(shown["attempt_times"]))


def test_a_queue_as_target_has_the_last_twenty_attempts():
    """It is tried for as long as max_age_s allows."""
    stack = deployed()
    target = stack.add_target("other")
    queue = next(each for each in stack._cloud.sqs.queues.values() if each.arn == target)
    stack.schedule({"delay": 60, "name": "n", "data": "x", "target": target})
    queue.closed = refusal("ServiceUnavailable", "later", 503)
    stack.advance(seconds=2_400)
    shown = stack.manage("get", name="n")
    assert shown["attempts"] > 20
    assert 20 == len(shown["attempt_times"])
    assert sorted(shown["attempt_times"]) == shown["attempt_times"]
    assert stack.now - shown["attempt_times"][-1] <= 120


def test_a_new_schedule_under_a_name_has_no_attempts_of_the_one_before():
    stack = deployed()
    stack.answer(HOST, 503)
    stack.schedule({"delay": 10, "name": "n", "data": "x", "target": HOOK})
    stack.advance(seconds=15)
    assert 1 == len(stack.manage("get", name="n")["attempt_times"])
    stack.schedule({"delay": 5_000, "name": "n", "data": "y"})
    shown = stack.manage("get", name="n")
    assert (stack.now, []) == (shown["accepted"], shown["attempt_times"])


def test_a_record_of_an_earlier_version_shows_null():
    """Its delivery goes on, and the attempts from now on have their times."""
    stack = deployed()
    stack.answer(HOST, 503)
    stack.schedule({"delay": 60, "name": "n", "data": "x", "target": HOOK})
    stack.advance(seconds=65)
    for attribute in ("accepted", "attempted"):
        del record(stack, "n")[attribute]
    shown = stack.manage("get", name="n")
    assert (1, None, None) == (shown["attempts"], shown["accepted"], shown["attempt_times"])
    stack.advance(seconds=10)
    shown = stack.manage("get", name="n")
    assert (2, 1, None) == (shown["attempts"], len(shown["attempt_times"]), shown["accepted"])


def test_the_times_come_with_the_write_that_was_made_anyway():
    """A named delivery makes as many calls to DynamoDB as before: one read and one write of the outcome."""
    stack = deployed()
    stack.schedule({"delay": 10, "name": "n", "data": "x", "target": HOOK})
    calls = []
    called = stack._watch.called
    stack._watch.called = lambda call: (calls.append((call.service, call.operation)), called(call))
    stack.advance(seconds=20)
    mine = [operation for service, operation in calls if service == "dynamodb" and operation != "query"]
    assert ["get_item", "update_item"] == mine[-2:]
    assert 1 == mine.count("update_item")
    assert stack._cloud.timeline.now_us / US == stack.now
