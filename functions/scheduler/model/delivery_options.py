"""The delivery options of a schedule: how often to try, for how long, and which failure target to notify.

The options are stored and sent as one JSON text. A retry waits in the queue, by the delay of its message.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from scheduler.errors import InvalidSchedule
from scheduler.limits import SQS_DELAY_S_MAX
from scheduler.model import targets
from scheduler.text import shown
from scheduler.value_class import value_class

ATTEMPTS_DEFAULT = 12
"""Attempts over more than an hour, so that a receiver can be down for an hour. docs/reference.md lists the pauses."""
ATTEMPTS_MAX = 20
AGE_S_DEFAULT = 86_400
AGE_S_MAX = 7 * 86_400
RETRY_PAUSE_S_FIRST = 10.0
"""Then 20, 40, 80 and so on, up to 15 minutes. A restart of the receiver costs seconds, and an outage few calls."""
SPREAD = 0.25
"""A pause is shortened by up to this share at random. With more, twelve attempts could end within an hour."""
DOUBLINGS_MAX = 10
POSTPONEMENTS_MAX = 100
"""How often a fault of this stack may postpone a message. The pauses grow, and add up to 17 to 24 hours."""

RETRY_WANTED = (
    f'{{"attempts": 1 to {ATTEMPTS_MAX}, "max_age_s": 1 to {AGE_S_MAX}}}, whole numbers, either of them or both'
)

TEXTS_MAX = 256
"""The size of the cache of parsed options. Many schedules share the same few."""
_BOUNDS = {"attempts": ATTEMPTS_MAX, "max_age_s": AGE_S_MAX}


@value_class
class DeliveryOptions:
    attempts_max: int = ATTEMPTS_DEFAULT
    age_ms_max: int = AGE_S_DEFAULT * 1000
    failure_target: str | None = None

    @classmethod
    @functools.lru_cache(TEXTS_MAX)
    def read(cls, text: str | None) -> DeliveryOptions:
        """Return the options in `Schedule.terms`, or the defaults for None. Raise ValueError if they are invalid."""
        if text is None:
            return cls()
        terms = _with(_parsed(text), "retry", "failure_target")
        retry = _with(terms.get("retry", {}), *_BOUNDS)
        if not all(_within(retry[field], bound) for field, bound in _BOUNDS.items() if field in retry):
            raise ValueError("its terms are out of bounds")
        failure_target = terms.get("failure_target")
        if failure_target is not None and not targets.allows(failure_target):
            raise ValueError("its failure target is neither queue nor topic")
        return cls(
            retry.get("attempts", ATTEMPTS_DEFAULT), retry.get("max_age_s", AGE_S_DEFAULT) * 1000, failure_target
        )


def checked(raw: Mapping[str, object], listed: targets.AllowedTargets) -> str | None:
    """Return the options of a request as they are stored, or raise InvalidSchedule."""
    return _stored(_checked(raw, listed))


def changed(text: str | None, given: Mapping[str, object], listed: targets.AllowedTargets) -> str | None:
    """Return stored options with the given ones in their place. A null removes an option."""
    kept = {} if text is None else _with(_parsed(text), "retry", "failure_target")
    checked_ones = _checked({field: value for field, value in given.items() if value is not None}, listed)
    both = {field: value for field, value in kept.items() if field not in given} | checked_ones
    return _stored({field: both[field] for field in ("retry", "failure_target") if field in both})


def _checked(raw: Mapping[str, object], listed: targets.AllowedTargets) -> dict[str, object]:
    found: dict[str, object] = {}
    if "retry" in raw:
        found["retry"] = _retry(raw["retry"])
    if "failure_target" in raw:
        found["failure_target"] = targets.checked_failure_target(raw["failure_target"], listed)
    return found


def _stored(found: Mapping[str, object]) -> str | None:
    return json.dumps(found, separators=(",", ":")) if found else None


def as_sent(text: str | None) -> dict[str, object]:
    """Return the fields of the request that these options came from. A field is None if it was not sent."""
    try:
        given = {} if text is None else _with(_parsed(text), "retry", "failure_target")
    except ValueError:  # Other programs may write to the table too.
        given = {}
    return {"retry": given.get("retry"), "failure_target": given.get("failure_target")}


def pause_s(attempt: int, retry_after_s: float | None, jitter: float, longest_s: float = SQS_DELAY_S_MAX) -> float:
    """Return the pause after so many attempts.

    It doubles each time, with jitter so that retries spread. It is at least as long as the receiver asked for.
    """
    own_s = min(longest_s, RETRY_PAUSE_S_FIRST * 2 ** min(attempt - 1, DOUBLINGS_MAX)) * (1 - SPREAD * (1 - jitter))
    return float(min(SQS_DELAY_S_MAX, max(own_s, retry_after_s or 0.0)))


def _retry(value: object) -> dict[str, int]:
    if not isinstance(value, dict) or not value:
        raise InvalidSchedule(f"retry is {shown(value)}; wanted: {RETRY_WANTED}")
    for field, number in value.items():
        if field not in _BOUNDS:
            raise InvalidSchedule(f"retry has {shown(field)}, which is not a field of it; wanted: {RETRY_WANTED}")
        if not _within(number, _BOUNDS[field]):
            raise InvalidSchedule(f"retry.{field} is {shown(number)}; wanted: {RETRY_WANTED}")
    return {field: value[field] for field in _BOUNDS if field in value}


def _within(number: object, bound: int) -> bool:
    return type(number) is int and 1 <= number <= bound


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("its terms are no JSON") from None


def _with(value: object, *fields: str) -> dict[str, Any]:
    """Return the value if it is an object with only these fields. Raise ValueError otherwise."""
    if not isinstance(value, dict) or not set(value) <= set(fields):
        raise ValueError("its terms are none")
    return value
