"""The counts of one execution environment for an application and a day of UTC.

Accepted + redriven = released + delivered + cancelled + replaced + expired + failed + pending.

The totals are absolute. So a write whose answer was lost is made again without harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from scheduler.model.schedule import Key
from scheduler.value_class import value_class

COUNT = "count#"
ROWS = tuple("0123456789abcdef")
"""The rows of a day are spread over as many hash keys, so that none is hot."""
COUNT_KEPT_S = 400 * 24 * 3600
"""A year and a month, so that last year's bill can be checked."""
ENTERED = ("accepted", "redriven")
LEFT = ("released", "delivered", "cancelled", "replaced", "expired", "failed")
COUNTERS = (*ENTERED, *LEFT)
"""Released: confirmed by a target's own queue. Delivered: accepted by the target that the deliver function called."""
RECENT_MAX = 10
RECENT_BYTES_MAX = 600
"""A row stays below 1 KB, which one write unit covers."""


@value_class
class Recent:
    """A schedule that was delivered lately."""

    id: str
    due_ms: int
    delivered_ms: int
    name: str | None = None

    @property
    def size(self) -> int:
        return len(self.id) + len((self.name or "").encode()) + 40


@value_class
class Count:
    day: str
    application: str
    environment: str
    """Sixteen random hex digits. The first is the row."""
    seq: int
    """How many times the environment has counted that day. A later write wins."""
    totals: Mapping[str, int]
    """The totals by counter. A counter that is missing is 0."""
    recent: Sequence[Recent] = field(default=())
    """Its latest deliveries, the newest last."""

    @property
    def key(self) -> Key:
        return Key(hash_key(self.day, self.application, self.environment[0]), self.environment)


def hash_key(day: str, application: str, row: str) -> str:
    return f"{COUNT}{day}#{application}#{row}"


def latest(recent: Sequence[Recent]) -> list[Recent]:
    """Return as many of the newest deliveries as a row keeps."""
    kept: list[Recent] = []
    for each in reversed(recent[-RECENT_MAX:]):
        if sum(one.size for one in kept) + each.size > RECENT_BYTES_MAX:
            break
        kept.insert(0, each)
    return kept
