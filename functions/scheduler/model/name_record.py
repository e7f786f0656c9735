"""What is known of a name: the schedule that stands under it, and what has become of that.

The record is the truth. A timer holds nothing but the name and the id that it was set for, and whoever it wakes looks
here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scheduler.errors import InvalidSchedule
from scheduler.limits import NAME_CHARACTERS_MAX
from scheduler.model.schedule import Schedule, is_id, is_name
from scheduler.text import shown

NAMES = "names#"
PARTITIONS = tuple(f"{NAMES}{digit:x}" for digit in range(16))
BEFORE, BEYOND = " ", "~"
"""What sorts before every character of a name, and behind them all."""

NAME_WANTED = f"1 to {NAME_CHARACTERS_MAX} of A-Z a-z 0-9 . _ : / -, and not of the form of an id"

PENDING = "pending"
DELIVERED = "delivered"
FAILED = "failed"
CANCELLED = "cancelled"
EXPIRED = "expired"

KEPT_S = 7 * 24 * 3600
"""How long a record with an outcome stays. Longer than a message may stay in the input queue, so that no repeat of an
old request finds its name free."""

ASKED_PER_MS = 1_000_000
"""`asked` counts in these: behind the millisecond there is room for the place in a batch."""


@dataclass(frozen=True, slots=True)
class Record:
    schedule: Schedule
    """With its name, and with the id that its timer has."""
    asked: int
    """When it was asked for. What was asked for earlier and comes later changes nothing."""
    changed_ms: int
    state: str = PENDING
    attempts: int = 0
    error: str = ""
    turns: int = 0
    """How often a timer took it up, and set another before it went: whichever is not that one has nothing to do."""
    covered_by: str = field(default="", compare=False)
    """The message that sets a second timer for this schedule. No other message sets one."""
    claimed_by: str = field(default="", compare=False)
    """The message whose delivery began late, or that is a second timer. No other message delivers meanwhile."""
    claimed_until_ms: int = field(default=0, compare=False)
    retry_ms: int | None = None
    """When it is taken up again, if it was tried in vain or put off."""
    timed: int = 0
    """When this was written, every name of its batch with a place before this number had its timer."""

    @property
    def id(self) -> str:
        return self.schedule.id

    @property
    def name(self) -> str:
        return self.schedule.name or ""

    @property
    def pending(self) -> bool:
        return self.state == PENDING

    @property
    def wakes_ms(self) -> int:
        """When it comes out next, as far as that is known."""
        return self.schedule.due_ms if self.retry_ms is None else self.retry_ms


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Pending records without their data, how many were looked at for them, and where the rest begins."""

    records: list[Record]
    scanned: int
    next_sort: str | None


def asked_at(moment_ms: int, place: int = 0) -> int:
    return moment_ms * ASKED_PER_MS + place


def checked_name(value: object) -> str:
    """Return it if it is a name. Raise InvalidSchedule otherwise."""
    if not isinstance(value, str) or not is_name(value) or is_id(value):
        raise InvalidSchedule(f"name is {shown(value)}; wanted: {NAME_WANTED}")
    return value
