"""Convert the timestamps and delays of requests to whole milliseconds since 1970 UTC.

A fraction of a millisecond is rounded up. So a schedule may be a fraction late, but it is never early.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_UP, Decimal

from scheduler.errors import InvalidSchedule
from scheduler.limits import DUE_MS_MAX
from scheduler.text import shown

DAY_MS = 86_400_000
TIMESTAMP_WANTED = 'seconds since 1970 as a number, or an ISO 8601 string such as "2030-01-31T08:00:00Z"'
ZONE_WANTED = (
    'an IANA time zone such as "Europe/Berlin", beside a timestamp that is an ISO 8601 string without an offset'
)
DELAY_WANTED = "a number of seconds from now, 0 or more"
SINGLE_MOMENTS = (
    "Punctual schedules single moments: schedule the next one each time one comes out, or let EventBridge Scheduler "
    "invoke the schedule function"
)
"""The hint for a caller who wants to repeat a schedule."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# fromisoformat accepts any character between date and time. It reads 08.5 as eight hours and half a second.
_ISO_8601 = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2}|\d{8}|\d{4}-?W\d{2}-?\d)"
    r"([Tt ](?P<clock>\d{2}:\d{2}:\d{2}|\d{2}:\d{2}(?![.,])|\d{6}|\d{4}(?![.,])|\d{2}(?![.,]))([.,](?P<fraction>\d+))?"
    r"(?P<offset>[Zz]|[+-]\d{2}(:?[0-5]\d)?)?)?",
    re.ASCII,
)
_MS_IN_2001 = 1_000_000_000_000
"""A number is taken for a finer unit if it then means a time from 2001 to 9999. At most one unit fits."""
_FINER_UNITS = {"milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}


def due_ms_in_zone(value: object, zone: object) -> int:
    """Return the time at which the clocks of a time zone show this `timestamp`, or raise InvalidSchedule.

    A time that the clocks skip moves forward by the gap. A time that occurs twice is the first of the two.
    """
    from scheduler import time_zones

    found = time_zones.find(zone) if isinstance(zone, str) else None
    if found is None:
        meant = time_zones.nearest(zone) if isinstance(zone, str) else None
        hint = f"; did you mean {meant}?" if meant else ""
        raise InvalidSchedule(f"zone is {shown(zone)}, which is not known{hint}; wanted: {ZONE_WANTED}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise InvalidSchedule(f"zone is {shown(zone)}, and timestamp is a number; wanted: {ZONE_WANTED}")
    return due_ms_from_timestamp(value, found)


def due_ms_from_timestamp(value: object, zone: tzinfo | None = None) -> int:
    """Return the time that a `timestamp` names, or raise InvalidSchedule."""
    due_ms = _from_text(value, zone) if isinstance(value, str) else _milliseconds("timestamp", value, TIMESTAMP_WANTED)
    if due_ms < 0:
        raise InvalidSchedule(f"timestamp is {shown(value)}, before 1970; wanted: {TIMESTAMP_WANTED}")
    if due_ms > DUE_MS_MAX:
        hint = "" if isinstance(value, str) else _finer_unit(due_ms)
        raise InvalidSchedule(f"timestamp is {shown(value)}, past the year 9999{hint}; wanted: {TIMESTAMP_WANTED}")
    return due_ms


def due_ms_from_delay(value: object, now_ms: int) -> int:
    """Return the time at which a `delay` from now ends, or raise InvalidSchedule."""
    delay_ms = _milliseconds("delay", value, DELAY_WANTED)
    if delay_ms < 0:
        raise InvalidSchedule(f"delay is {shown(value)}, in the past; wanted: {DELAY_WANTED}")
    if now_ms + delay_ms > DUE_MS_MAX:
        raise InvalidSchedule(f"delay is {shown(value)}, which ends past the year 9999; wanted: {DELAY_WANTED}")
    return now_ms + delay_ms


def duration_ms(field: str, value: object, wanted: str) -> int:
    """Return a duration given in seconds, 0 or more, or raise InvalidSchedule that names the field."""
    length_ms = _milliseconds(field, value, wanted)
    if not 0 <= length_ms <= DUE_MS_MAX:
        raise InvalidSchedule(f"{field} is {shown(value)}; wanted: {wanted}")
    return length_ms


def from_event_time(text: str) -> float:
    """Return the `time` of an EventBridge event, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def epoch_s(moment_ms: int) -> int | float:
    """Return seconds since 1970 for output. The number is an int if it has no fraction."""
    seconds, rest = divmod(moment_ms, 1000)
    return seconds if rest == 0 else moment_ms / 1000


def _finer_unit(taken_for_ms: int) -> str:
    """Return a hint that names the probable unit and the time in seconds, or an empty string if no unit fits."""
    for unit, in_a_second in _FINER_UNITS.items():
        meant_ms = -(-taken_for_ms // in_a_second)
        if _MS_IN_2001 <= meant_ms <= DUE_MS_MAX:
            return f"; it looks like {unit}: divide by {in_a_second}, which makes {epoch_s(meant_ms)}"
    return ""


def _milliseconds(field: str, value: object, wanted: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidSchedule(f"{field} is {shown(value)}; wanted: {wanted}")
    if isinstance(value, int):
        return value * 1000
    if not math.isfinite(value):
        raise InvalidSchedule(f"{field} is {shown(value)}; wanted: {wanted}")
    # repr() gives the shortest decimal, which the caller wrote. As floats, 2.007 * 1000 is more than 2007.
    return _rounded(Decimal(repr(value)) * 1000)


def _rounded(milliseconds: Decimal) -> int:
    """Round away from 1970: later times round up, and a time just before 1970 stays before 1970."""
    return int(milliseconds.to_integral_value(ROUND_UP))


def _from_text(value: str, zone: tzinfo | None) -> int:
    try:
        found = _ISO_8601.fullmatch(value)
        if found is None:
            raise ValueError(value)
        written = found["date"] + (f"T{found['clock']}{found['offset'] or ''}" if found["clock"] else "")
        moment = datetime.fromisoformat(written.upper())
    except ValueError:
        raise InvalidSchedule(
            f"timestamp is {shown(value)}, no date that exists{_not_a_date(value)}; wanted: {TIMESTAMP_WANTED}"
        ) from None
    if zone is not None and moment.tzinfo is not None:
        raise InvalidSchedule(f"zone is given, and timestamp {shown(value)} has an offset; wanted: {ZONE_WANTED}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone or UTC)
    whole_ms = (moment - _EPOCH) // _MILLISECOND
    # A time before 1970 is refused. Adding the fraction, rounded up, could turn it into the start of 1970.
    return whole_ms if whole_ms < 0 else whole_ms + _rounded(Decimal(f"0.{found['fraction'] or 0}") * 1000)


def _not_a_date(value: str) -> str:
    """Return a hint on what the caller probably meant by a text that is not a date."""
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return "; a number goes without quotes"
    if value.startswith(("cron(", "rate(")):
        return f"; {SINGLE_MOMENTS}"
    return "; the date goes without at( and )" if value.startswith("at(") else ""


def day_of(moment_ms: int) -> date:
    """Return the day of UTC."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC).date()
