"""A delivery job survives the delivery queue unchanged, and other messages there are recognised."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, OTHER_ARN, schedule
from scheduler.delivering.in_flight import Message
from scheduler.limits import DUE_MS_MAX
from scheduler.model import delivery_job
from scheduler.model.delivery_job import ATTEMPT_MAX, STEPS, Conclusion, DeliveryJob
from scheduler.model.failure_report import unreadable
from scheduler.model.schedule import Key, Schedule

ID = schedule(1).id
GOOD = {"id": ID, "due": NOON_MS, "data": "x"}
OVER = {"state": "failed", "attempts": 1, "at": NOON_MS, "error": "503", "left": ["keep"], "tries": 0}
WEBHOOK = '{"url":"https://example.com/"}'


def read(facts):
    return delivery_job.read(json.dumps(facts))


@pytest.mark.parametrize(
    "job",
    [
        DeliveryJob(schedule(1)),
        DeliveryJob(schedule(1, target=OTHER_ARN, expires_after_ms=0), ATTEMPT_MAX, DUE_MS_MAX),
        DeliveryJob(replace(schedule(1, target=WEBHOOK), data="", user="Ünal", index=499)),
        DeliveryJob(replace(schedule(1), data="", name="bill/7"), 2, 0, 2),
        DeliveryJob(replace(schedule(1), data="", name="bill/7"), 2, 0, ATTEMPT_MAX),
        DeliveryJob(replace(schedule(1), terms='{"retry":{"attempts":3}}')),
        DeliveryJob(schedule(1), 3, NOON_MS, begun_ms=NOON_MS - 5, faults=2),
        DeliveryJob(schedule(1), 3, NOON_MS, conclusion=Conclusion("failed", 3, NOON_MS, "answered 400", STEPS, 7)),
        DeliveryJob(replace(schedule(1), name="bill/7"), conclusion=Conclusion("delivered", 1, 0, "", ("close",))),
        DeliveryJob(
            replace(schedule(1), name="bill/7"),
            conclusion=Conclusion("failed", 2, 0, "503", ("close",), attempted_ms=(NOON_MS, NOON_MS + 9)),
        ),
    ],
)
def test_a_delivery_job_comes_out_as_it_went_in(job):
    """A single schedule, a member of a bundle, a timer, and a retry."""
    assert job == delivery_job.read(delivery_job.body(job))


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[", "[" * 200_000, '{"a":' * 200_000, "null", "5", "[]", '"text"', "9" * 5_000, "{}", "NaN"],
    ids=lambda text: text[:8],
)
def test_a_message_that_is_no_object_is_no_delivery_job(text):
    """Every such message raises the same error type."""
    with pytest.raises(ValueError, match=r"it is|its id"):
        delivery_job.read(text)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        *[("id", value, "its id") for value in (5, None, "", "a", "0-1-2", f"{ID}-", f"{ID}-x", f"{ID}-1000")],
        ("id", f"{ID}\n", "its id"),
        *[("due", value, "its due") for value in (None, True, "1", 1.5, -1, -(10**400), DUE_MS_MAX + 1, [1])],
        *[("retry", value, "its retry") for value in (True, "", -1, 10**400, {})],
        *[("begun", value, "its begun") for value in (True, "", -1, 10**400, {})],
        *[("faults", value, "its faults") for value in (None, -1, True, "1", ATTEMPT_MAX + 1)],
        *[("conclusion", value, "its conclusion") for value in (None, 5, [], {}, "x")],
        *[("conclusion", {**OVER, "state": value}, "its conclusion") for value in (None, [], {}, "pending")],
        *[("conclusion", {**OVER, "at": value}, "its at|its conclusion") for value in (None, -1, 10**400, "x")],
        *[("conclusion", {**OVER, "tries": value}, "its conclusion") for value in (None, -1, 10**400, "x")],
        *[("conclusion", {**OVER, "attempts": value}, "its conclusion") for value in (None, -1, True)],
        *[("conclusion", {**OVER, "error": value}, "its conclusion") for value in (None, 5, "\ud800", "\x00")],
        *[("conclusion", {**OVER, "left": value}, "its conclusion") for value in (None, [], "keep", ["x"], [[]], [{}])],
        *[("conclusion", {**OVER, "attempted": value}, "its conclusion") for value in (None, 5, [1.5], [-1], [0] * 21)],
        *[("attempt", value, "its attempt") for value in (None, 0, True, 1.0, ATTEMPT_MAX + 1)],
        *[("expires_after", value, "its expires_after") for value in (False, "", "soon", -1, 10**400)],
        *[("data", value, "its data|U.D800|U.0000") for value in (None, 5, [], "", "\ud800", "\x00")],
        *[("target", value, "its target") for value in (5, "", "arn", {}, '{"url":"https://["}', '{"url":"\ud800"}')],
        *[("user", value, "its user") for value in (5, "", "\ud800")],
        *[("name", value, "its name") for value in (5, "", "a b", "x" * 129)],
        *[("terms", value, "terms|failure target|no text") for value in (5, "", "x", "[]", "[" * 200_000)],
        *[("terms", json.dumps(value), "terms") for value in ({"id": 1}, {"retry": 5}, {"retry": {"a": 1}})],
        *[("terms", f'{{"retry":{{"max_age_s":{value}}}}}', "terms") for value in ("0", "1e3", "9" * 30, '"5"')],
        *[("terms", json.dumps({"failure_target": value}), "failure target") for value in (5, "x", WEBHOOK)],
    ],
)  # fmt: skip
def test_a_delivery_job_has_the_types_and_bounds_of_accepted_schedules(field, value, says):
    """The error names the wrong field."""
    assert DeliveryJob(schedule(1)) == read({**GOOD, "data": "data 1"})
    with pytest.raises(ValueError, match=says):
        read({**GOOD, field: value})


def test_an_error_does_not_show_the_content():
    """The text goes to the failure queue, but the reason goes to logs as well."""
    for text in ('{"id":"secret"}', "secret", json.dumps({**GOOD, "target": "secret"})):
        assert "secret" not in Message("m", text).fault


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([WEBHOOK, OTHER_ARN, ID]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["id", "due", "data", "target", "user", "expires_after", "terms", "name", "attempt", "retry"]
FIELDS += ["turn", "begun", "faults", "conclusion"]


@given(st.text() | st.dictionaries(st.sampled_from(FIELDS), json_values).map(lambda some: json.dumps({**GOOD, **some})))
def test_any_message_becomes_a_delivery_job_or_an_error(text):
    """Any delivery job can be serialised, has a due time, and can be reported."""
    message = Message("m", text)
    assert 0 <= message.wake_ms <= DUE_MS_MAX
    if message.job is None:
        assert message.fault.startswith("no delivery job: ")
        assert json.loads(unreadable(text, message.fault, NOON_MS).body())
    else:
        assert message.job == delivery_job.read(delivery_job.body(message.job))


def test_the_due_time_may_differ_from_the_key():
    """A second timer is due after the time in its key."""
    later = Schedule(Key("0", schedule(1).key.sort), NOON_MS + 20_000, "", name="bill")
    assert NOON_MS + 20_000 == Message("m", delivery_job.body(DeliveryJob(later))).wake_ms
