"""What a schedule says of its delivery: how often to try, for how long, and whom to tell where it fails for good.

The terms are kept as one JSON text, which nobody reads on the way. The waiting of a retry is a message's own delay.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.errors import InvalidSchedule
from scheduler.limits import SQS_DELAY_S_MAX
from scheduler.model import targets
from scheduler.text import shown

ATTEMPTS_DEFAULT = 12
"""They outlast an outage of an hour. docs/reference.md has the pauses."""
ATTEMPTS_MAX = 20
AGE_S_DEFAULT = 86_400
AGE_S_MAX = 7 * 86_400
PAUSE_S_FIRST = 10.0
"""Then 20, 40, 80 and so on, to 15 minutes: a restart of the receiver costs seconds, an outage few calls."""
SPREAD = 0.25
"""A pause is shorter by up to this share of it, at random. More would end twelve attempts within the hour."""
DOUBLINGS_MAX = 10
PUT_OFFS_MAX = 100
"""How often a message is put off for a fault of our own, by growing pauses: for 17 hours at least, and 24 at most."""

RETRY_WANTED = (
    f'{{"attempts": 1 to {ATTEMPTS_MAX}, "max_age_s": 1 to {AGE_S_MAX}}}, whole numbers, either of them or both'
)

TEXTS_MAX = 256
"""Kept when they were read: the terms of many schedules are the same few."""
_BOUNDS = {"attempts": ATTEMPTS_MAX, "max_age_s": AGE_S_MAX}


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    attempts_max: int = ATTEMPTS_DEFAULT
    age_ms_max: int = AGE_S_DEFAULT * 1000
    failure_target: str | None = None

    @classmethod
    @functools.lru_cache(TEXTS_MAX)
    def read(cls, text: str | None) -> DeliveryOptions:
        """As `Schedule.terms` has them, or what goes without saying. ValueError where they are none of ours."""
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
    """The terms of a request as they are kept, or InvalidSchedule."""
    found: dict[str, object] = {}
    if "retry" in raw:
        found["retry"] = _retry(raw["retry"])
    if "failure_target" in raw:
        found["failure_target"] = targets.checked_hearer(raw["failure_target"], listed)
    return json.dumps(found, separators=(",", ":")) if found else None


def pause_s(attempt: int, retry_after_s: float | None, jitter: float, longest_s: float = SQS_DELAY_S_MAX) -> float:
    """After so many attempts: twice as long each time, at random so that callers spread, and no sooner than the other
    side wants it."""
    own_s = min(longest_s, PAUSE_S_FIRST * 2 ** min(attempt - 1, DOUBLINGS_MAX)) * (1 - SPREAD * (1 - jitter))
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
    """The object that it is, with no field but these."""
    if not isinstance(value, dict) or not set(value) <= set(fields):
        raise ValueError("its terms are none")
    return value
