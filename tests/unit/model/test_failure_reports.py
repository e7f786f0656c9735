"""Reports of refused and unreleased schedules: complete if they fit, and marked if truncated."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, schedule
from scheduler.limits import SNS_MESSAGE_BYTES_MAX, SQS_MESSAGE_BYTES_MAX
from scheduler.model import failure_report
from scheduler.text import fault


def test_a_report_holds_the_refused_object_unchanged():
    """The caller can correct the object and send it again."""
    report = failure_report.refused({"timestmap": 5, "data": "Grüße"}, "'timestmap' is not a field", NOON_MS + 5)
    assert (
        '{"reason":"refused","error":"\'timestmap\' is not a field","attempts":0,"at":1893456000.005,'
        '"schedule":{"timestmap":5,"data":"Grüße"}}'
    ) == report.body()


def test_a_message_that_holds_no_object_is_reported_as_text():
    """Its characters are quoted only once."""
    assert '{"broken": ' == json.loads(failure_report.refused('{"broken": ', "no JSON", NOON_MS).body())["schedule"]


def test_an_expired_schedule_is_reported_as_it_was_sent():
    """The report adds the id and the lateness."""
    told = json.loads(failure_report.expired(schedule(7, expires_after_ms=500), NOON_MS + 1500).body())
    assert "it would have been 1.500 s late, past its expires_after" == told["error"]
    assert {"id": schedule(7).id, "timestamp": NOON_MS // 1000, "data": "data 7", "expires_after": 0.5} == told[
        "schedule"
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"data": math.nan}, '{"data": NaN}'),
        ([math.inf, "ü"], '[Infinity, "ü"]'),
        ({"data": "\ud800"}, {"data": "\ud800"}),
        ({"data": "\uffff"}, {"data": "\uffff"}),
        ({"data": "\x00"}, {"data": "\x00"}),
    ],
)
def test_content_that_json_or_sqs_cannot_carry_is_still_reported(content, told):
    """The report holds it as text, or with escaped characters."""
    body = failure_report.refused(content, "refused", NOON_MS).body()
    assert told == json.loads(body)["schedule"]
    assert fault(body) is None


@pytest.mark.parametrize("bytes_max", [SQS_MESSAGE_BYTES_MAX, SNS_MESSAGE_BYTES_MAX])
@pytest.mark.parametrize("character", ["x", "ü", "🎉", '"', "\n", "\uffff"])
def test_a_long_report_is_truncated_and_says_so(bytes_max, character):
    """It is truncated to the message limit, and not much below it."""
    content = {"data": character * SQS_MESSAGE_BYTES_MAX}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    body = failure_report.refused(content, "too long", NOON_MS).body(bytes_max)
    told = json.loads(body)
    assert bytes_max - 20 <= len(body.encode()) <= bytes_max
    assert text.startswith(told["schedule"])
    assert len(text.encode()) == told["schedule_bytes"]
    assert fault(body) is None


def test_a_report_that_just_fits_is_not_truncated():
    """A report one byte larger is truncated."""
    room = SQS_MESSAGE_BYTES_MAX - len(failure_report.refused("", "e", NOON_MS).body())
    fits = json.loads(failure_report.refused("x" * room, "e", NOON_MS).body())
    assert ("x" * room, False) == (fits["schedule"], "schedule_bytes" in fits)
    assert room + 1 == json.loads(failure_report.refused("x" * (room + 1), "e", NOON_MS).body())["schedule_bytes"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=4)
    ),
)


@given(json_values, st.integers(150, 400))
def test_sqs_accepts_every_report(content, bytes_max):
    """Any content, and any size limit."""
    body = failure_report.refused(content, "refused", NOON_MS).body(bytes_max)
    assert fault(body) is None
    assert len(body.encode()) <= bytes_max
    assert {"reason", "error", "attempts", "at", "schedule"} <= json.loads(body).keys()
