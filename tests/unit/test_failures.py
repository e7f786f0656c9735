"""Reports: what was refused or not released, whole where it fits, and marked where it was cut."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, schedule
from scheduler.limits import SNS_MESSAGE_BYTES_MAX, SQS_MESSAGE_BYTES_MAX
from scheduler.model import failure_report
from scheduler.text import fault


def test_a_refused_object_stands_in_its_report_as_it_came():
    """Whoever puts it right sends it again."""
    report = failure_report.refused({"timestmap": 5, "data": "Grüße"}, "'timestmap' is not a field", NOON_MS + 5)
    assert (
        '{"reason":"refused","error":"\'timestmap\' is not a field","attempts":0,"at":1893456000.005,'
        '"schedule":{"timestmap":5,"data":"Grüße"}}'
    ) == report.body()


def test_a_message_that_holds_no_object_is_reported_as_text():
    """Its own characters, quoted once."""
    assert '{"broken": ' == json.loads(failure_report.refused('{"broken": ', "no JSON", NOON_MS).body())["schedule"]


def test_an_expired_schedule_is_reported_as_it_was_sent():
    """With its id, and with how late it would have been."""
    told = json.loads(failure_report.expired(schedule(7, expires_after_ms=500), NOON_MS + 1500).body())
    assert "it would have been 1.500 s late, past its expires_after" == told["error"]
    assert {"id": schedule(7).id, "timestamp": NOON_MS // 1000, "data": "data 7", "expires_after": 0.5} == told[
        "schedule"
    ]


@pytest.mark.parametrize(
    ("came", "told"),
    [
        ({"data": math.nan}, '{"data": NaN}'),
        ([math.inf, "ü"], '[Infinity, "ü"]'),
        ({"data": "\ud800"}, {"data": "\ud800"}),
        ({"data": "\uffff"}, {"data": "\uffff"}),
        ({"data": "\x00"}, {"data": "\x00"}),
    ],
)
def test_what_json_or_sqs_has_no_way_to_carry_is_told_all_the_same(came, told):
    """As text, or with its characters escaped."""
    body = failure_report.refused(came, "refused", NOON_MS).body()
    assert told == json.loads(body)["schedule"]
    assert fault(body) is None


@pytest.mark.parametrize("bytes_max", [SQS_MESSAGE_BYTES_MAX, SNS_MESSAGE_BYTES_MAX])
@pytest.mark.parametrize("character", ["x", "ü", "🎉", '"', "\n", "\uffff"])
def test_what_is_too_long_is_cut_and_says_so(bytes_max, character):
    """To what the message may hold, and not by much more."""
    came = {"data": character * SQS_MESSAGE_BYTES_MAX}
    text = json.dumps(came, ensure_ascii=False, separators=(",", ":"))
    body = failure_report.refused(came, "too long", NOON_MS).body(bytes_max)
    told = json.loads(body)
    assert bytes_max - 20 <= len(body.encode()) <= bytes_max
    assert text.startswith(told["schedule"])
    assert len(text.encode()) == told["schedule_bytes"]
    assert fault(body) is None


def test_what_just_fits_is_not_cut():
    """One byte more is."""
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
def test_every_report_is_a_message_that_sqs_takes(came, bytes_max):
    """Whatever came in it, and however little room there is."""
    body = failure_report.refused(came, "refused", NOON_MS).body(bytes_max)
    assert fault(body) is None
    assert len(body.encode()) <= bytes_max
    assert {"reason", "error", "attempts", "at", "schedule"} <= json.loads(body).keys()
