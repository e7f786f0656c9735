"""What one execution environment has accepted for an application on one day of UTC.

The totals are absolute. So a write whose answer was lost is made again without harm.
"""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.model.schedule import Key

COUNT = "count#"
ROWS = tuple("0123456789abcdef")
"""The rows of a day are spread over as many hash keys, so that none is hot."""
KEPT_S = 400 * 24 * 3600
"""A year and a month, so that last year's bill can be checked."""


@dataclass(frozen=True, slots=True)
class Count:
    day: str
    application: str
    environment: str
    """Sixteen random hex digits, of which the first is the row."""
    accepted: int
    seq: int
    """How many times the environment has counted that day. A later write wins."""

    @property
    def key(self) -> Key:
        return Key(hash_key(self.day, self.application, self.environment[0]), self.environment)


def hash_key(day: str, application: str, row: str) -> str:
    return f"{COUNT}{day}#{application}#{row}"
