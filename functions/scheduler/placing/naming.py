"""Schedule under a name: write the record, then set its timer, then remove the timer of what stood there before.

The record is the truth and a timer only wakes it, so every order of crashes and callers comes out right:
- A crash after the record and before its timer: the timer of what stood before wakes it, and so does a repeat of the
  request. The caller had no answer; what it had been promised before is replaced.
- A crash before the old timer is removed: that wakes, finds another id in the record, and does nothing.
- Two at once: the table lets one after the other, and the later one stands, whose timer delivers it.

Only the timer with the id of the record delivers. Whoever else finds a record pending that may lack its timer sets one
that comes `FOLLOWING_MS` behind it: where the first did its work there is nothing left to do for the second. `waking`
keeps their number small.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.model.name_record import Record
from scheduler.model.schedule import Schedule, Timer, timer

FOLLOWING_MS = 20_000
"""Longer than a delivery takes, so that the second timer finds its outcome."""
OLDER = "older"
"""Of a request that may be a repeat: it was asked for before what stands, and changes nothing."""
ROUNDS_MAX = 20
"""Others who write the same name at the same moment; each round one of them gets through."""


class Records(Protocol):
    def get(self, name: str) -> Record | None: ...
    def put(self, new: Record, even_if_pending: bool = True) -> tuple[bool, Record | None]: ...
    def batch(self, names: Sequence[str], whole: bool) -> tuple[dict[str, Record], list[str]]: ...


class Table(Protocol):
    def remove_timer(self, timer: Timer) -> None: ...


@dataclass(frozen=True, slots=True)
class NameRequest:
    """A schedule with a name, and what is to be done where the name is taken."""

    schedule: Schedule
    asked: int
    if_exists: str = "replace"
    repeats: bool = False
    """It may be the repeat of an older request, which is not to undo a later one."""
    timed: int = 0
    """As in its record."""


@dataclass(frozen=True, slots=True)
class NameResult:
    """What stands under the name now, and what is to be done so that it wakes."""

    schedule: Schedule
    state: str
    result: str
    timer: Timer | None = None
    superseded_timer: Timer | None = None
    """Where it is far, so that it lies in the table still."""


def register(wanted: NameRequest, records: Records, deadline: Deadline, reach_ms: int) -> NameResult:
    """Write the record, unless what stands is to be left alone. NotConfirmed where nobody knows."""
    now_ms, asked = deadline.now_ms(), wanted.asked
    unheard: list[Record] = []
    for _ in range(ROUNDS_MAX):
        new = Record(wanted.schedule, asked, now_ms, timed=wanted.timed)
        written, old = retry_call(partial(_put, new, wanted, records, unheard), deadline)
        if written or (old == new and new in unheard):  # Ours, by a write that had no answer.
            return _written(new, old if written else None, now_ms + reach_ms)
        if old is None:  # It went away between the condition and the look at it.
            continue
        if old.id == new.id:
            return _left_alone(old, now_ms, reach_ms)
        if wanted.repeats and old.asked >= asked:
            return replace(_left_alone(old, now_ms, reach_ms), result=OLDER)
        if old.pending and wanted.if_exists == "keep":
            return _left_alone(old, now_ms, reach_ms)
        if old.pending and wanted.if_exists == "fail" and unheard:  # Ours may be what stands, moved meanwhile.
            raise NotConfirmed(f"AWS did not confirm what became of the name {wanted.schedule.name!r}; send it again")
        if old.pending and wanted.if_exists == "fail":
            raise InvalidSchedule(
                f"name is {wanted.schedule.name!r}, under which {old.id} is pending, and if_exists is fail; "
                "wanted: another name, or if_exists replace or keep"
            )
        asked = max(asked, old.asked + 1)  # This one came later, whatever the clock of its function says.
    raise NotConfirmed(f"the name {wanted.schedule.name!r} is written by others all the time; send it again")


def _put(new: Record, wanted: NameRequest, records: Records, unheard: list[Record]) -> tuple[bool, Record | None]:
    try:
        return records.put(new, wanted.if_exists == "replace")
    except NotConfirmed:
        unheard.append(new)
        raise


def _written(new: Record, old: Record | None, horizon_ms: int) -> NameResult:
    replaced = old is not None and old.pending
    result = "replaced" if replaced else "created"
    at_hand = replaced and old is not None and old.schedule.due_ms > horizon_ms and old.id != new.id
    return NameResult(new.schedule, "", result, timer_of(new), timer_of(old) if at_hand and old is not None else None)


def _left_alone(standing: Record, now_ms: int, reach_ms: int) -> NameResult:
    """What stands may lack its timer, if whoever wrote it crashed."""
    second = following(standing, now_ms, reach_ms) if standing.pending else None
    return NameResult(standing.schedule, "" if standing.pending else standing.state, "kept", second)


def following(standing: Record, now_ms: int, reach_ms: int) -> Timer:
    """A second timer for the record. A far one has the key of the first, and is the same item; a near one comes a
    while behind it."""
    first = timer_of(standing)
    if first.due_ms - now_ms > reach_ms:
        return first
    return replace(first, due_ms=max(first.due_ms, now_ms) + FOLLOWING_MS)


def timer_of(record: Record) -> Timer:
    return timer(record.schedule, record.asked)


def remove(superseded_timer: Timer, table: Table) -> None:
    """Where that fails it wakes, finds that it is not meant, and that is all."""
    with suppress(NotConfirmed):
        table.remove_timer(superseded_timer)
