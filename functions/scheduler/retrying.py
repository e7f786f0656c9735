"""How often a delivery is tried, and how long after the last time. The waiting is a message's own delay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scheduler.limits import SQS_DELAY_S_MAX

ATTEMPTS_DEFAULT = 5
ATTEMPTS_MAX = 20
MAX_AGE_S_DEFAULT = 86_400
MAX_AGE_S_MAX = 7 * 86_400
PAUSE_S_FIRST = 10.0
"""Then 20, 40, 80: a restart of the other side fits in between, and five attempts take two to three minutes."""

DOUBLINGS_MAX = 10


@dataclass(frozen=True, slots=True)
class Terms:
    """What a schedule says of its delivery, or what goes without saying."""

    attempts_max: int = ATTEMPTS_DEFAULT
    max_age_ms: int = MAX_AGE_S_DEFAULT * 1000
    failure_target: str | None = None

    @classmethod
    def read(cls, text: str | None) -> Terms:
        """As `Schedule.terms` has them, which were checked when they came in."""
        if text is None:
            return cls()
        terms: dict[str, Any] = json.loads(text)
        retry = terms.get("retry", {})
        return cls(
            retry.get("attempts", ATTEMPTS_DEFAULT),
            retry.get("max_age_s", MAX_AGE_S_DEFAULT) * 1000,
            terms.get("failure_target"),
        )


def pause_s(attempt: int, retry_after_s: float | None, jitter: float) -> float:
    """After so many attempts: twice as long each time, at random so that callers spread, and no sooner than the other
    side wants it."""
    own_s = PAUSE_S_FIRST * 2 ** min(attempt - 1, DOUBLINGS_MAX) * (0.5 + jitter / 2)
    return float(min(SQS_DELAY_S_MAX, max(own_s, retry_after_s or 0.0)))
