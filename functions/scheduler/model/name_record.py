"""The record of a name: its current schedule, and the state of that schedule.

The record decides. A timer holds only the name and the id that it was set for. The function that a timer wakes reads
the record.
"""

from __future__ import annotations

from dataclasses import field, replace

from scheduler.errors import InvalidSchedule
from scheduler.limits import NAME_CHARACTERS_MAX
from scheduler.model.schedule import Schedule, is_id, is_name
from scheduler.text import shown
from scheduler.value_class import value_class

NAMES = "names#"
NAME_PARTITIONS = tuple(f"{NAMES}{digit:x}" for digit in range(16))
FIRST_NAME, AFTER_NAMES = " ", "~"
"""Characters that sort before and after every character of a name."""

NAME_WANTED = f"1 to {NAME_CHARACTERS_MAX} of A-Z a-z 0-9 . _ : / -, and not of the form of an id"

PENDING = "pending"
DELIVERED = "delivered"
FAILED = "failed"
CANCELLED = "cancelled"
EXPIRED = "expired"

RECORD_KEPT_S = 7 * 24 * 3600
"""How long the table keeps a record with an outcome.

It is longer than a message may stay in the input queue, so that no repeat of an old request finds its name free.
"""

ATTEMPTS_KEPT = 20
"""As many times of attempts as a record holds: all that `retry` allows. A queue as target may be tried more often."""

REQUEST_NUMBERS_PER_MS = 1_000_000
"""The units of `request_number` in a millisecond. The digits below the millisecond hold the index in a batch."""


@value_class
class Record:
    schedule: Schedule
    """The current schedule, with its name. Its timer has the same id."""
    request_number: int
    """When the caller requested it. An earlier request that arrives later changes nothing."""
    changed_ms: int
    state: str = PENDING
    attempts: int = 0
    error: str = ""
    wake_count: int = 0
    """How often a timer started the delivery and set the next timer. Only that next timer has anything left to do."""
    covered_by: str = field(default="", compare=False)
    """The message that sets a backup timer for this schedule. No other message sets one."""
    claimed_by: str = field(default="", compare=False)
    """The message that delivers now, if it began late or is a backup timer. No other message delivers meanwhile."""
    claimed_until_ms: int = field(default=0, compare=False)
    retry_ms: int | None = None
    """When the next attempt is, after a failed attempt or a postponement."""
    timed: int = 0
    """When this was written, every name of its batch with an index below this number had its timer."""
    accepted_ms: int | None = field(default=None, compare=False)
    """When this schedule was accepted. None for a new record, which is accepted when it is written, and for one that an
    earlier version wrote."""
    attempted_ms: tuple[int, ...] = field(default=(), compare=False)
    """When the last attempts began. An earlier version noted none."""

    @property
    def id(self) -> str:
        return self.schedule.id

    @property
    def name(self) -> str:
        return self.schedule.name or ""

    @property
    def pending(self) -> bool:
        return self.state == PENDING

    def attempted(self, begun_ms: int) -> Record:
        """Return the record with one more attempt. The next note or outcome of the delivery writes it."""
        return replace(self, attempted_ms=(*self.attempted_ms, begun_ms)[-ATTEMPTS_KEPT:])

    @property
    def wakes_ms(self) -> int:
        """Return when the schedule wakes next, as far as the record knows."""
        return self.schedule.due_ms if self.retry_ms is None else self.retry_ms


@value_class
class RecordPage:
    """Pending records without their data, the number of records scanned, and the sort key of the next page."""

    records: list[Record]
    scanned: int
    next_sort: str | None


def request_number_at(moment_ms: int, index: int = 0) -> int:
    return moment_ms * REQUEST_NUMBERS_PER_MS + index


def checked_name(value: object) -> str:
    """Return the value if it is a name. Raise InvalidSchedule otherwise."""
    if not isinstance(value, str) or not is_name(value) or is_id(value):
        raise InvalidSchedule(f"name is {shown(value)}; wanted: {NAME_WANTED}")
    return value
