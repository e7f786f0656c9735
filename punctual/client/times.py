"""Read the times and durations that callers give, and write the times of answers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import TypeAlias

from punctual.client.errors import InvalidSchedule

Moment: TypeAlias = "datetime | str"
Duration: TypeAlias = "timedelta | float"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
SHOWN_CHARACTERS_MAX = 60
SHOWN_BITS_MAX = 192
"""Python refuses to write very large integers as text."""
ZONE_HINT = (
    'wanted: one with an offset ("2030-01-01T09:00:00+01:00", datetime(…, tzinfo=ZoneInfo("Europe/Berlin"))), '
    'or zone="Europe/Berlin" beside it'
)


def timestamp(field: str, value: object, zone: str | None = None) -> str:
    """Return the time for a request. With a zone it has no offset, and the function resolves it."""
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, str):
        found = _parsed(field, value)
    else:
        raise InvalidSchedule(
            f"{field} is {_shown(value)}; wanted: a datetime or an ISO 8601 string, with an offset", field=field
        )
    naive = found.utcoffset() is None
    if naive and zone is None:
        raise InvalidSchedule(f"{field} is {_shown(value)}, which has no time zone; {ZONE_HINT}", field=field)
    if not naive and zone is not None:
        raise InvalidSchedule(
            f"{field} is {_shown(value)}, which has an offset, and zone is {zone!r}; wanted: only one of the two",
            field="zone",
        )
    if isinstance(value, str):
        return value.strip()
    return found.isoformat() if naive else _in_utc(field, found).isoformat()


def from_delay(value: object, now_s: float) -> float | int:
    """Return the time at which a delay from now ends, in seconds since 1970. It is never a fraction early."""
    delay_s = seconds("delay", value)
    return _whole_ms(Decimal(repr(now_s)) + delay_s)


def duration(field: str, value: object) -> float | int:
    """Return a duration in seconds, which may be given as a timedelta."""
    return _whole_ms(seconds(field, value))


def seconds(field: str, value: object) -> Decimal:
    if isinstance(value, timedelta):
        found = Decimal(value // timedelta(microseconds=1)) / 1_000_000
    elif isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise InvalidSchedule(f"{field} is {_shown(value)}; wanted: a timedelta or a number of seconds", field=field)
    else:
        found = Decimal(repr(value))
    if found < 0:
        raise InvalidSchedule(f"{field} is {_shown(value)}, less than 0; wanted: 0 or more seconds", field=field)
    return found


def _is_finite(value: float) -> bool:
    """Return whether a number is one that a float can hold. An integer may be larger."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def from_epoch(value: object) -> datetime:
    """Return the datetime for seconds since 1970, as answers have them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a time in an answer is {value!r}")
    return _EPOCH + round(value * 1000) * _MILLISECOND


def from_epoch_or_none(value: object) -> datetime | None:
    return None if value is None else from_epoch(value)


def _whole_ms(value: Decimal) -> float | int:
    whole_ms = int((value * 1000).to_integral_value(ROUND_UP))
    return whole_ms // 1000 if whole_ms % 1000 == 0 else whole_ms / 1000


def _parsed(field: str, value: str) -> datetime:
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        raise InvalidSchedule(
            f'{field} is {_shown(value)}, which is not ISO 8601; wanted: "2030-01-01T09:00:00+01:00", for example',
            field=field,
        ) from None


def _in_utc(field: str, value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidSchedule(f"{field} is {value}; wanted: a time from 1970 to 9999", field=field) from None


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > SHOWN_BITS_MAX:
        return f"an integer of {value.bit_length()} bits"
    text = str(value) if isinstance(value, datetime | timedelta | int | float | None) else ascii(value)
    if not isinstance(value, datetime | timedelta | int | float | str | None):
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"
