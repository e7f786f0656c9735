"""The times and delays that a caller may send, and their values in milliseconds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import timestamps
from scheduler.errors import InvalidSchedule
from scheduler.limits import DUE_MS_MAX


@pytest.mark.parametrize(
    ("written", "due_ms"),
    [
        (0, 0),
        (1564378340, 1_564_378_340_000),
        (1564378340.123, 1_564_378_340_123),
        (0.001, 1),
        (1.0001, 1001),  # Rounded up: slightly late, never early.
        (253402300799.999, DUE_MS_MAX),
        ("2030-01-31T08:00:00Z", 1_896_076_800_000),
        ("2030-01-31T08:00:00", 1_896_076_800_000),  # Without an offset it is UTC.
        ("2030-01-31T10:00:00+02:00", 1_896_076_800_000),
        ("2030-01-31 08:00", 1_896_076_800_000),
        ("2030-01-31t08:00:00.5z", 1_896_076_800_500),
        ("2030-01-31T08:00:00,0001", 1_896_076_800_001),
        ("20300131T080000Z", 1_896_076_800_000),
        ("2030-W05-4", 1_896_048_000_000),
        ("2030-01-31", 1_896_048_000_000),
        ("2030-01-31T08", 1_896_076_800_000),
        ("20300131T080000,5+0200", 1_896_069_600_500),
        ("2030-01-31T08:00:00.1230000009Z", 1_896_076_800_124),
        ("2030-01-31T10:00:00+02", 1_896_076_800_000),
        (-0.0, 0),
        ("1970-01-01T00:00:00Z", 0),
        ("9999-12-31T23:59:59.999Z", DUE_MS_MAX),
    ],
)
def test_a_timestamp_is_exact_to_the_millisecond(written, due_ms):
    """Numbers are epoch seconds, and strings are ISO 8601. Fractions of a millisecond are rounded up."""
    assert due_ms == timestamps.due_ms_from_timestamp(written)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (True, "timestamp is true"),
        (None, "timestamp is null"),
        ([], "timestamp is a list of 0"),
        ({}, "timestamp is an object with 0 fields"),
        (math.nan, "timestamp is nan"),
        (math.inf, "timestamp is inf"),
        (-math.inf, "timestamp is -inf"),
        (-1, "before 1970"),
        (-0.001, "before 1970"),
        (253402300800, "past the year 9999"),
        (1564378340123, "it looks like milliseconds: divide by 1000, which makes 1564378340.123; wanted"),
        (1564378340123.0, "it looks like milliseconds: divide by 1000, which makes 1564378340.123; wanted"),
        (1564378340000, "divide by 1000, which makes 1564378340; wanted"),
        (253402300799999, "it looks like milliseconds: divide by 1000, which makes 253402300799.999; wanted"),
        (253402300800000, "past the year 9999; wanted"),
        (999999999998999, "past the year 9999; wanted"),
        (1564378340123456, "it looks like microseconds: divide by 1000000, which makes 1564378340.124; wanted"),
        (1564378340123456789, "it looks like nanoseconds: divide by 1000000000, which makes 1564378340.124; wanted"),
        (10**21, "past the year 9999; wanted"),
        (1e300, "past the year 9999"),
        pytest.param(10**5000, "past the year 9999", id="huge"),
        ("", "no date that exists"),
        ("tomorrow", "no date that exists; wanted"),
        (
            "cron(0 9 * * ? *)",
            "no date that exists; Punctual schedules single moments: schedule the next one each time",
        ),
        ("at(2030-01-31T08:00:00)", "no date that exists; the date goes without at( and )"),
        ("2030-02-30", "no date that exists"),
        ("2030-01-31T25:00:00", "no date that exists"),
        ("2030-01-31x08:00:00", "no date that exists"),
        # Decimal hours and minutes are valid ISO 8601, but Python would read 08.5 as half a second past eight.
        ("2030-01-31T08.5Z", "no date that exists"),
        ("2030-01-31T08:30.5Z", "no date that exists"),
        ("20300131T0830.5Z", "no date that exists"),
        ("2030-01-31T08:00:00:00", "no date that exists"),
        ("2030-01-31T08:00:00.Z", "no date that exists"),
        ("20300131T123Z", "no date that exists"),
        ("20300131T08:Z", "no date that exists"),
        ("2030-01-31T08:00:00+05:99", "no date that exists"),
        ("2030-01-31T08:00:00+25:00", "no date that exists"),
        ("2030-01-31T23:59:60Z", "no date that exists"),
        (-1e-320, "before 1970"),
        ("1969-12-31T23:59:59.9995Z", "before 1970"),
        ("日本語" * 1000, "… (3000 characters)"),
        ("1564378340", "a number goes without quotes"),
        ("1564378340.5", "a number goes without quotes"),
        ("0001-01-01T00:00:00Z", "before 1970"),
        ("9999-12-31T23:59:59-12:00", "past the year 9999"),
        ("10000-01-01T00:00:00Z", "no date that exists"),
        ("٢٠٣٠-٠١-٣١", "no date that exists"),
        ("x" * 1000, "… (1000 characters)"),
    ],
)
def test_an_invalid_timestamp_is_refused_with_field_value_and_accepted_forms(written, says):
    """The message names the field, shows the truncated value, and says what to send instead."""
    with pytest.raises(InvalidSchedule) as refusal:
        timestamps.due_ms_from_timestamp(written)
    message = str(refusal.value)
    assert says in message
    assert "wanted: seconds since 1970 as a number" in message
    assert len(message) < 300


def test_a_delay_counts_from_now():
    """It is in seconds. A fraction of a millisecond is rounded up, and 0 is now."""
    assert 5_000 == timestamps.due_ms_from_delay(0, 5_000)
    assert 6_500 == timestamps.due_ms_from_delay(1.5, 5_000)
    assert 5_001 == timestamps.due_ms_from_delay(0.0001, 5_000)


@pytest.mark.parametrize("written", [True, None, "5", -1, -0.5, -1e-320, math.nan, math.inf, 1e15, 10**30])
def test_an_invalid_delay_is_refused(written):
    """The delay is negative, ends after the year 9999, or is no number."""
    with pytest.raises(InvalidSchedule, match=r"delay is .* wanted: a number of seconds from now"):
        timestamps.due_ms_from_delay(written, 1_893_456_000_000)


@given(st.integers(0, DUE_MS_MAX))
def test_a_returned_time_can_be_sent_again(due_ms):
    """The epoch number of an answer, sent as a timestamp, is the same millisecond for every year to 9999."""
    assert due_ms == timestamps.due_ms_from_timestamp(timestamps.epoch_s(due_ms))


@given(st.floats(0, 253402300799, allow_nan=False))
def test_no_time_is_rounded_down(seconds):
    """The millisecond is never before the float."""
    assert timestamps.due_ms_from_timestamp(seconds) / 1000 >= seconds or math.isclose(
        timestamps.due_ms_from_timestamp(seconds) / 1000, seconds, rel_tol=1e-15
    )


@pytest.mark.parametrize("moment", [253402300800, 253402300799.9995, "9999-12-31T23:59:59.9999Z"])
def test_only_a_likely_wrong_unit_is_mentioned(moment):
    """A time just past the year 9999 is not, and neither is a date."""
    with pytest.raises(InvalidSchedule) as refusal:
        timestamps.due_ms_from_timestamp(moment)
    assert "looks like" not in str(refusal.value)
