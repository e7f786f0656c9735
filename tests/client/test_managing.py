"""Looking up, changing, listing and counting schedules, and failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from punctual import (
    UNSET,
    Cancelled,
    InvalidRequest,
    InvalidSchedule,
    NotFound,
    OnItsWay,
    Queued,
    Redriven,
    Scheduler,
)
from punctual.testing import Stack
from scheduler.aws import items
from scheduler.model.feed_run import FeedRun as Run

START = datetime(2030, 1, 1, tzinfo=UTC)
FAR = timedelta(hours=12)
ID = "1-001893456000000-0123456789abcdef"
ANSWER = {"id": ID, "timestamp": 1893456000, "state": "stored", "result": "replaced"}


def test_get_returns_all_that_the_stack_knows(scheduler):
    scheduled = scheduler.schedule({"a": 1}, delay=FAR, name="n", user="u")
    found = scheduler.get("n")
    assert (scheduled.id, "n", START + FAR, "stored") == (found.id, found.name, found.due, found.state)
    assert ('{"a":1}', {"a": 1}) == (found.data, found.json)
    assert (None, 0, None, START, None) == (
        found.target, found.attempts, found.error, found.changed, found.next_attempt,
    )  # fmt: skip


def test_a_name_has_its_outcome_after_it_was_delivered(scheduler, stack):
    scheduler.schedule("x", delay=30, name="n")
    stack.advance(seconds=60)
    assert "delivered" == scheduler.get("n").state


def test_an_unnamed_schedule_without_a_record_has_none_of_its_facts(scheduler):
    found = scheduler.get(id=scheduler.schedule("x", delay=FAR).id)
    assert (None, None, None) == (found.attempts, found.error, found.changed)


def test_data_that_is_no_json_is_a_value_error_when_it_is_read_as_json(scheduler):
    scheduler.schedule("plain", delay=FAR, name="n")
    with pytest.raises(ValueError, match="Expecting value"):
        scheduler.get("n").json  # noqa: B018


def test_what_is_not_there_is_not_found_and_what_is_too_late_is_on_its_way(scheduler, stack):
    with pytest.raises(NotFound, match="'n'"):
        scheduler.get("n")
    scheduled = scheduler.schedule("x", delay=30)
    with pytest.raises(OnItsWay):
        scheduler.cancel(id=scheduled.id)


@pytest.mark.parametrize("call", ["get", "cancel", "fire"])
def test_exactly_one_of_name_and_id_is_wanted(scheduler, call):
    with pytest.raises(InvalidSchedule, match="both missing"):
        getattr(scheduler, call)()
    with pytest.raises(InvalidSchedule, match="both given"):
        getattr(scheduler, call)("n", id=ID)


def test_cancel_answers_with_the_id(scheduler):
    scheduled = scheduler.schedule("x", delay=FAR)
    assert (scheduled.id, "cancelled") == (scheduler.cancel(id=scheduled.id).id, "cancelled")
    assert [] == list(scheduler.list())


def test_move_changes_the_time_and_nothing_else(scheduler):
    scheduler.schedule({"a": 1}, delay=FAR, name="n")
    moved = scheduler.move("n", delay=timedelta(days=2))
    assert (START + timedelta(days=2), "n", "replaced") == (moved.due, moved.name, moved.result)
    assert {"a": 1} == scheduler.get("n").json


def test_move_by_id_works_too(scheduler):
    scheduled = scheduler.schedule("x", delay=FAR)
    moved = scheduler.move(id=scheduled.id, at="2030-02-01T00:00:00Z")
    assert [moved.id] == [each.id for each in scheduler.list()]


def test_move_takes_a_time_in_a_zone(scheduler):
    scheduler.schedule("x", delay=FAR, name="n")
    moved = scheduler.move("n", at="2030-06-01T09:00", zone="Europe/Berlin")
    assert datetime(2030, 6, 1, 7, tzinfo=UTC) == moved.due


def test_move_wants_exactly_one_time(scheduler):
    with pytest.raises(InvalidSchedule, match="at and delay are both missing"):
        scheduler.move("n")


def test_fire_releases_now(scheduler, stack):
    scheduler.schedule("x", delay=FAR, name="n")
    assert START == scheduler.fire("n").due
    stack.advance(seconds=5)
    assert ["x"] == [released.data for released in stack.released()]


# ------------------------------------------------------------------------------------------------------------ change


def test_change_sends_the_fields_that_are_given_and_null_for_none(scripted):
    scheduler, script = scripted(ANSWER)
    scheduler.change(
        "n", at=START, data={"a": 1}, user=None, retry={"attempts": 2}, failure_target=None, expires_after=timedelta(1)
    )
    assert [
        {
            "operation": "change",
            "name": "n",
            "timestamp": "2030-01-01T00:00:00+00:00",
            "data": {"a": 1},
            "user": None,
            "retry": {"attempts": 2},
            "failure_target": None,
            "expires_after": 86400,
        }
    ] == script.requests


def test_change_keeps_what_is_not_given_and_removes_what_is_none(scheduler, stack):
    scheduler.schedule({"a": 1}, delay=FAR, name="n", user="u")
    changed = scheduler.change("n", data={"a": 2}, delay=timedelta(minutes=1), user=None)
    assert (START + timedelta(minutes=1), "n", "replaced") == (changed.due, changed.name, changed.result)
    stack.advance(minutes=2)
    (released,) = stack.released()
    assert ({"a": 2}, None, "n") == (released.json, released.user, released.name)


def test_change_by_id_gives_a_new_id(scheduler):
    scheduled = scheduler.schedule("x", delay=FAR)
    changed = scheduler.change(id=scheduled.id, data="y")
    assert (scheduled.due, "y") == (changed.due, scheduler.get(id=changed.id).data)
    assert scheduled.id != changed.id
    with pytest.raises(NotFound):
        scheduler.get(id=scheduled.id)


def test_change_with_unset_is_the_same_as_not_giving_the_field(scripted):
    scheduler, script = scripted(ANSWER)
    changed = scheduler.change("n", user=UNSET, data="x")
    assert [{"operation": "change", "name": "n", "data": "x"}] == script.requests
    assert (ID, "n", "replaced") == (changed.id, changed.name, changed.result)


def test_change_turns_a_delay_into_a_time_once(scripted):
    scheduler, script = scripted(ANSWER)
    scheduler.change(id=ID, delay=timedelta(hours=1))
    (request,) = script.requests
    assert "delay" not in request
    assert START.timestamp() + 3600 == request["timestamp"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "no field to change"),
        ({"at": START, "delay": 1}, "given together"),
        ({"at": None}, "at is None"),
        ({"at": datetime(2030, 1, 1)}, "no time zone"),  # noqa: DTZ001
        ({"data": float("nan")}, "data cannot be written as JSON"),
    ],
)
def test_a_change_that_says_nothing_possible_is_refused(scripted, fields, message):
    scheduler, script = scripted(ANSWER)
    with pytest.raises(InvalidSchedule, match=message):
        scheduler.change("n", **fields)
    assert [] == script.requests


# ------------------------------------------------------------------------------------------------------------ many


@pytest.fixture
def twelve(scheduler):
    list(
        scheduler.schedule_many(
            {"data": {"n": number}, "name": f"order/{number}", "delay": 40_000 + number} for number in range(12)
        )
    )
    return scheduler


def test_list_turns_the_pages_when_their_first_item_is_wanted(scheduler, line):
    requests = ({"data": str(number), "delay": 40_000 + number} for number in range(1_200))
    ids = [scheduled.id for scheduled in scheduler.schedule_many(requests)]
    line.requests.clear()
    listed = scheduler.list()
    assert [] == line.requests
    first = next(listed)
    assert 1 == len(line.requests)
    assert ids == [first.id, *(schedule.id for schedule in listed)]
    assert 2 == len(line.requests)


def test_list_takes_a_span_a_prefix_and_a_limit(twelve, line):
    start, end = START + timedelta(seconds=40_003), START + timedelta(seconds=40_006)
    assert ["order/3", "order/4", "order/5"] == [each.name for each in twelve.list(start, end)]
    assert {"order/1", "order/10", "order/11"} == {each.name for each in twelve.list(prefix="order/1")}
    assert ["order/0", "order/1"] == [each.name for each in twelve.list(limit=2)]
    assert 2 == line.last["limit"]


def test_list_keeps_the_note_about_what_it_cannot_show(twelve):
    twelve.schedule("near", delay=60)
    listed = twelve.list(START, START + timedelta(hours=1))
    assert [] == list(listed)
    assert "not shown here" in listed.note
    assert Queued(output=1, delivery=0) == listed.queued


def test_full_lists_are_asked_for_by_name(scripted):
    scheduler, script = scripted({"schedules": [], "next": None})
    list(scheduler.list(full=True))
    list(scheduler.list())
    assert [True, None] == [request.get("full") for request in script.requests]


def test_a_full_schedule_has_every_field_of_its_request(scripted):
    answer = {"id": ID, "name": "n", "timestamp": 1893456000, "state": "stored", "target": {"url": "https://a.b"}}
    answer |= {"data": "x", "attempts": 1, "error": "503", "changed": 1893456000.5, "next_attempt": 1893456010}
    answer |= {"user": "u", "retry": {"attempts": 3}, "failure_target": "arn", "expires_after": 60}
    answer |= {"accepted": 1893450000, "attempt_times": [1893456000]}
    scheduler, script = scripted(answer)
    found = scheduler.get("n")
    assert [{"operation": "get", "name": "n", "full": True}] == script.requests
    assert (START - timedelta(seconds=6000), (START,)) == (found.accepted, found.attempt_times)
    assert ("u", {"attempts": 3}, "arn", 60) == (found.user, found.retry, found.failure_target, found.expires_after)
    assert START + timedelta(milliseconds=500) == found.changed
    assert START + timedelta(seconds=10) == found.next_attempt
    assert {"url": "https://a.b"} == found.target


def test_get_works_with_a_stack_that_does_not_know_full_yet(scripted):
    refusal = {"errorType": "InvalidRequest", "errorMessage": "'full' is not a field of get; accepted are name, id"}
    answer = {"id": ID, "name": "n", "timestamp": 1893456000, "state": "stored", "target": None, "data": "x"}
    answer |= {"attempts": 0, "error": None, "changed": 1893456000}
    scheduler, script = scripted(refusal, answer)
    assert "x" == scheduler.get("n").data
    assert [True, None] == [request.get("full") for request in script.requests]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(scheduler, limit):
    with pytest.raises(InvalidSchedule, match="limit is"):
        scheduler.list(limit=limit)


def test_a_span_needs_a_time_zone(scheduler):
    with pytest.raises(InvalidSchedule, match=r"start is .* no time zone"):
        scheduler.list(datetime(2030, 1, 1))  # noqa: DTZ001


def test_a_prefix_that_cannot_be_one_is_an_invalid_request(scheduler):
    with pytest.raises(InvalidRequest, match="prefix is"):
        list(scheduler.list(prefix="a b"))


def test_forecast_counts_the_schedules_of_each_bucket(twelve):
    forecast = twelve.forecast(START, START + timedelta(days=1), timedelta(hours=6))
    assert [0, 12, 0, 0] == [count for _, count in forecast.buckets]
    assert START + timedelta(hours=6) == forecast.buckets[1][0]
    assert 12 == forecast.total


def test_the_pages_of_a_forecast_are_added_up(scripted):
    first = {"buckets": [{"timestamp": 0, "count": 2}, {"timestamp": 60, "count": 0}], "total": 2, "next": "more"}
    second = {"buckets": [{"timestamp": 0, "count": 1}, {"timestamp": 60, "count": 4}], "total": 5, "next": None}
    scheduler, script = scripted(first, second)
    forecast = scheduler.forecast("1970-01-01T00:00Z", "1970-01-01T00:02Z", 60)
    assert ([3, 4], 7) == ([count for _, count in forecast.buckets], forecast.total)
    assert "more" == script.requests[1]["next"]


def test_cancel_where_counts_and_then_cancels(twelve):
    assert Cancelled(3, 0) == twelve.cancel_where("order/1", dry_run=True)
    assert Cancelled(3, 3) == twelve.cancel_where("order/1", dry_run=False)
    assert 9 == len(list(twelve.list()))


def test_cancel_where_wants_to_be_told_whether_it_is_a_dry_run(scheduler):
    with pytest.raises(TypeError, match="dry_run"):
        scheduler.cancel_where("order/")


def test_cancel_where_adds_up_the_pages_and_what_was_not_confirmed(scripted):
    scheduler, _ = scripted(
        {"matched": 5, "cancelled": 4, "next": "more", "unconfirmed": 1}, {"matched": 2, "cancelled": 2, "next": None}
    )
    assert Cancelled(7, 6, 1) == scheduler.cancel_where("n", dry_run=False)


# ------------------------------------------------------------------------------------------------------------ failures


@pytest.fixture
def failing():
    stack = Stack(start=START.timestamp(), WebhookHosts="api.example.com")
    stack.answer("api.example.com", status=400)
    scheduler = Scheduler(stack)
    scheduler.schedule("x", delay=1, target={"url": "https://api.example.com/hook"}, name="n")
    scheduler.schedule("y", delay=1, target={"url": "https://api.example.com/hook"})
    stack.advance(seconds=60)
    stack.answer("api.example.com", status=200)
    return stack, scheduler


def test_failures_say_why_and_when(failing):
    _, scheduler = failing
    failures = {failure.name: failure for failure in scheduler.failures()}
    assert {"n", None} == set(failures)
    failure = failures["n"]
    assert ("failed", 1) == (failure.reason, failure.attempts)
    assert "400" in failure.error
    assert START < failure.due <= failure.failed


def test_failures_take_a_span_and_a_limit(failing):
    _, scheduler = failing
    assert 1 == len(list(scheduler.failures(limit=1)))
    assert [] == list(scheduler.failures(START + timedelta(days=1), START + timedelta(days=2)))


def test_redrive_schedules_failures_again(failing):
    stack, scheduler = failing
    one = next(scheduler.failures())
    assert Redriven(1, 0) == scheduler.redrive(id=one.id)
    assert Redriven(1, 0) == scheduler.redrive(START, START + timedelta(days=1), spread=timedelta(seconds=10))
    stack.advance(seconds=60)
    assert [] == list(scheduler.failures())
    assert {"x", "y"} == {delivered.data for delivered in stack.delivered()[-2:]}


def test_redrive_wants_an_id_or_a_span(scheduler):
    with pytest.raises(InvalidRequest, match="id is missing"):
        scheduler.redrive()


def test_runs_tell_what_each_run_of_the_feed_did(scheduler, stack):
    scheduled = scheduler.schedule("x", delay=timedelta(hours=1))
    stack.advance(hours=2)
    partition = scheduled.id.split("-")[0]
    runs = list(scheduler.runs(START, START + timedelta(hours=2), partition))
    assert {partition} == {run.partition for run in runs}
    (mover,) = [run for run in runs if run.moved]
    assert (1, 0, None) == (mover.moved, mover.left, mover.error)
    assert START < mover.begun <= mover.ended < scheduled.due


def test_runs_turn_the_pages_of_all_partitions(scheduler, stack):
    start_ms = round(START.timestamp() * 1000)
    for number in range(1_100):
        item = items.feed_run(Run(str(number % 3), start_ms + number, start_ms, number, 0, "", f"{number}"))
        stack.client("dynamodb").put_item(TableName=stack.output("TableName"), Item=item)
        if number % 500 == 0:
            stack.advance(seconds=1)  # DynamoDB takes 1,000 writes a second for a hash key.
    stack.advance(seconds=5)
    assert list(range(1_100)) == [run.moved for run in scheduler.runs()]
    assert list(range(1, 1_100, 3)) == [run.moved for run in scheduler.runs(partition=1)]


def test_runs_take_the_number_of_a_partition_and_refuse_any_other(scheduler):
    assert [] == list(scheduler.runs(partition=0))
    with pytest.raises(InvalidRequest, match="partition is '256'"):
        list(scheduler.runs(partition=256))
