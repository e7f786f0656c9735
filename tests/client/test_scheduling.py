"""One schedule: its data, its time, and the request that the function gets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from punctual import InvalidSchedule, NotFound, Scheduler
from punctual.testing import Stack

START = datetime(2030, 1, 1, tzinfo=UTC)
ANSWER = {"id": "1-001893456000000-0123456789abcdef", "timestamp": 1893456000, "state": "stored"}


def test_an_accepted_schedule_has_its_id_time_and_state(scheduler):
    scheduled = scheduler.schedule({"order": 7}, delay=timedelta(hours=2), name="order/7")

    assert START + timedelta(hours=2) == scheduled.due
    assert ("stored", "order/7", "created") == (scheduled.state, scheduled.name, scheduled.result)
    assert scheduler.get(id=scheduled.id).json == {"order": 7}


def test_a_name_that_is_taken_is_replaced_or_kept(scheduler):
    first = scheduler.schedule("a", delay=4000, name="n")

    assert "kept" == scheduler.schedule("b", delay=5000, name="n", if_exists="keep").result
    assert "replaced" == scheduler.schedule("c", delay=5000, name="n").result
    with pytest.raises(InvalidSchedule, match="'n'"):
        scheduler.schedule("d", delay=5000, name="n", if_exists="fail")
    with pytest.raises(NotFound):
        scheduler.get(id=first.id)


# ------------------------------------------------------------------------------------------------------------ the data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("plain text", "plain text"),
        ('{"a":  1}', '{"a":  1}'),
        ({"a": 1, "b": [None, True]}, '{"a":1,"b":[null,true]}'),
        ([1, 2.5], "[1,2.5]"),
        ((1, 2), "[1,2]"),
        (7, "7"),
        ("naïve 🎉", "naïve 🎉"),
        ({"ü": "🎉"}, '{"ü":"🎉"}'),
    ],
)
def test_a_string_goes_as_it_is_and_anything_else_as_compact_json(scheduler, stack, data, text):
    scheduler.schedule(data, delay=1)
    stack.advance(seconds=2)
    assert [text] == [released.data for released in stack.released()]


@pytest.mark.parametrize("data", [b"bytes", bytearray(b"x"), {"a": b"x"}, object(), {"at": START}, {1, 2}])
def test_data_that_json_cannot_hold_is_a_type_error(scheduler, line, data):
    with pytest.raises(TypeError, match="data cannot be written as JSON"):
        scheduler.schedule(data, delay=1)
    assert [] == line.requests


@pytest.mark.parametrize("data", [float("nan"), {"a": float("inf")}])
def test_nan_and_infinity_are_refused_because_json_has_neither(scheduler, line, data):
    with pytest.raises(InvalidSchedule, match="data cannot be written as JSON"):
        scheduler.schedule(data, delay=1)
    assert [] == line.requests


def test_data_that_contains_itself_is_refused(scheduler):
    data: list[object] = []
    data.append(data)
    with pytest.raises(InvalidSchedule):
        scheduler.schedule(data, delay=1)


def test_data_that_is_nested_too_deeply_is_refused_before_it_is_sent(scheduler, line):
    """Lambda could not read the whole batch that contains it."""
    data: object = "x"
    for _ in range(5_000):
        data = [data]
    with pytest.raises(InvalidSchedule, match="nested more than 100 levels"):
        scheduler.schedule(data, delay=1)
    assert [] == line.requests


def test_wide_data_is_not_taken_for_deep_data(scheduler):
    assert "queued" == scheduler.schedule([[]] * 300, delay=1).state


def test_data_that_is_too_large_is_refused(scheduler, line):
    with pytest.raises(InvalidSchedule, match="data is a string of 300000 bytes"):
        scheduler.schedule("x" * 300_000, delay=1)
    with pytest.raises(InvalidSchedule, match="wanted: data of at most 262144 bytes"):
        scheduler.schedule("x" * 7_000_000, delay=1)
    assert 1 == len(line.requests)


def test_a_lone_surrogate_is_refused_with_its_place(scheduler):
    with pytest.raises(InvalidSchedule, match="position 1, a lone surrogate"):
        scheduler.schedule("a\ud800", delay=1)


def test_a_webhook_may_do_without_data():
    stack = Stack(WebhookHosts="api.example.com")
    scheduler = Scheduler(stack)
    scheduler.schedule(target={"url": "https://api.example.com/ping", "method": "GET"}, delay=1)
    stack.advance(seconds=5)
    assert [""] == [delivered.data for delivered in stack.delivered()]


def test_data_may_be_missing_for_webhooks_only(scheduler):
    with pytest.raises(InvalidSchedule, match="data is missing"):
        scheduler.schedule(delay=1)
    with pytest.raises(InvalidSchedule, match="data is null"):
        scheduler.schedule(None, delay=1)


# ------------------------------------------------------------------------------------------------------------ the time


@pytest.mark.parametrize(
    "at",
    [
        datetime(2030, 6, 1, 9, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2030, 6, 1, 7, tzinfo=UTC),
        datetime(2030, 6, 1, 2, tzinfo=timezone(timedelta(hours=-5))),
        "2030-06-01T09:00:00+02:00",
        "2030-06-01T07:00:00Z",
        " 2030-06-01T07:00Z ",
    ],
)
def test_at_takes_a_datetime_or_a_text_with_an_offset(scheduler, at):
    assert datetime(2030, 6, 1, 7, tzinfo=UTC) == scheduler.schedule("x", at=at).due


@pytest.mark.parametrize("at", [datetime(2030, 6, 1, 9), "2030-06-01T09:00:00", "2030-06-01"])  # noqa: DTZ001
def test_a_time_without_a_zone_is_a_value_error_that_says_how_to_add_one(scheduler, line, at):
    with pytest.raises(ValueError, match=r'no time zone; wanted: .*zone="Europe/Berlin"') as caught:
        scheduler.schedule("x", at=at)
    assert isinstance(caught.value, InvalidSchedule)
    assert "at" == caught.value.field
    assert [] == line.requests


@pytest.mark.parametrize(
    ("at", "sent"),
    [(datetime(2030, 6, 1, 9), "2030-06-01T09:00:00"), ("2030-06-01 09:00", "2030-06-01 09:00")],  # noqa: DTZ001
)
def test_the_function_gets_a_time_without_an_offset_together_with_its_zone(scripted, at, sent):
    scheduler, script = scripted(ANSWER)
    scheduler.schedule("x", at=at, zone="Europe/Berlin", spread=timedelta(minutes=1))
    (request,) = script.requests
    assert (sent, "Europe/Berlin", 60) == (request["timestamp"], request["zone"], request["spread"])


def test_a_zone_gives_the_time_in_that_zone(scheduler):
    for at in (datetime(2030, 6, 1, 9), "2030-06-01T09:00:00"):  # noqa: DTZ001
        scheduled = scheduler.schedule("x", at=at, zone="Europe/Berlin")
        assert datetime(2030, 6, 1, 7, tzinfo=UTC) == scheduled.due


def test_an_unknown_zone_is_an_error_that_suggests_the_nearest(scheduler):
    with pytest.raises(InvalidSchedule, match="did you mean Europe/Berlin") as caught:
        scheduler.schedule("x", at="2030-06-01T09:00:00", zone="Europe/Berln")
    assert "zone" == caught.value.field


def test_a_spread_draws_a_moment_after_the_time(scheduler):
    due = scheduler.schedule("x", at="2030-06-01T07:00:00Z", spread=timedelta(hours=1)).due
    assert timedelta(0) <= due - datetime(2030, 6, 1, 7, tzinfo=UTC) <= timedelta(hours=1)


def test_a_time_with_an_offset_refuses_a_zone(scheduler):
    with pytest.raises(InvalidSchedule, match="only one of the two"):
        scheduler.schedule("x", at=START, zone="Europe/Berlin")


def test_a_delay_refuses_a_zone(scheduler):
    with pytest.raises(InvalidSchedule, match="zone is given with a delay"):
        scheduler.schedule("x", delay=1, zone="Europe/Berlin")


@pytest.mark.parametrize("at", ["tomorrow", "2030-13-01T00:00:00Z", 7, None])
def test_a_time_that_is_none_is_refused(scheduler, at):
    with pytest.raises(InvalidSchedule, match=r"at (is|and)"):
        scheduler.schedule("x", at=at)


@pytest.mark.parametrize(("delay", "due_s"), [(90, 90), (0.0015, 0.002), (timedelta(days=1), 86_400), (0, 0)])
def test_a_delay_counts_from_the_clock_of_the_client_and_rounds_up_to_milliseconds(scheduler, line, delay, due_s):
    """The timestamp is made once, so that a repeat means the same time."""
    assert START + timedelta(seconds=due_s) == scheduler.schedule("x", delay=delay).due
    assert "delay" not in line.last
    assert START.timestamp() + due_s == line.last["timestamp"]


@pytest.mark.parametrize("delay", [-1, timedelta(seconds=-1), float("nan"), float("inf"), True, "1"])
def test_a_delay_that_is_none_is_refused(scheduler, delay):
    with pytest.raises(InvalidSchedule, match="delay is"):
        scheduler.schedule("x", delay=delay)


def test_exactly_one_of_at_and_delay_is_wanted(scheduler):
    with pytest.raises(InvalidSchedule, match="both missing"):
        scheduler.schedule("x")
    with pytest.raises(InvalidSchedule, match="both given"):
        scheduler.schedule("x", at=START, delay=1)


# --------------------------------------------------------------------------------------------------- the other fields


def test_every_request_has_a_token_of_its_own(scheduler, line):
    scheduler.schedule("x", delay=1)
    scheduler.schedule("x", delay=1)
    first, second = [request["token"] for request in line.requests]
    assert len(first) == 32
    assert first != second


def test_a_token_of_the_caller_is_used_and_makes_the_same_schedule(scheduler, line):
    one = scheduler.schedule("x", at="2030-06-01T07:00:00Z", token="mine")
    two = scheduler.schedule("x", at="2030-06-01T07:00:00Z", token="mine")
    assert one == two
    assert "mine" == line.last["token"]
    assert 1 == len(list(scheduler.list()))


def test_a_delay_with_a_token_of_the_caller_is_refused(scheduler, line):
    """A repeat of it would be another time."""
    with pytest.raises(InvalidSchedule, match="delay and token"):
        scheduler.schedule("x", delay=1, token="mine")
    assert [] == line.requests


def test_every_field_reaches_the_function(scripted):
    scheduler, script = scripted(ANSWER)
    scheduler.schedule(
        "x",
        delay=60,
        name="n",
        if_exists="keep",
        target={"url": "https://api.example.com", "method": "PUT"},
        user="u",
        retry={"attempts": 3},
        failure_target="arn:aws:sqs:eu-central-1:123456789012:failed",
        expires_after=timedelta(hours=1),
    )
    (request,) = script.requests
    del request["token"], request["timestamp"]
    assert {
        "data": "x",
        "name": "n",
        "if_exists": "keep",
        "target": {"url": "https://api.example.com", "method": "PUT"},
        "user": "u",
        "retry": {"attempts": 3},
        "failure_target": "arn:aws:sqs:eu-central-1:123456789012:failed",
        "expires_after": 3600,
    } == request


def test_a_refusal_names_the_field(scheduler):
    with pytest.raises(InvalidSchedule) as caught:
        scheduler.schedule("x", delay=1, name="a b")
    assert ("InvalidSchedule", "name", False) == (caught.value.code, caught.value.field, caught.value.retryable)


def test_the_same_seed_gives_the_same_ids():
    def ids() -> list[str]:
        scheduler = Scheduler(Stack(seed=7))
        return [scheduler.schedule(str(number), delay=4000).id for number in range(5)]

    assert ids() == ids()


def test_the_log_has_no_data(scheduler, line, faults, caplog):
    caplog.set_level("DEBUG", "punctual")
    line.plan.append(faults.throttled())
    scheduler.schedule({"secret": "hush"}, delay=1, user="hush", name="hush")
    assert ["punctual"] == [record.name for record in caplog.records]
    assert "hush" not in caplog.text
    assert "hush" in json.dumps(line.last)
