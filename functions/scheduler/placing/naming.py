"""Schedule under a name: write the record, then set its timer, then remove the timer of the previous schedule.

The record decides, and a timer only wakes it. So every order of crashes and callers has a correct result:
- A crash after the record and before its timer: the timer of the previous schedule wakes the new one. A repeat of the
  request does so, too. The caller had no answer. The previous schedule is replaced all the same.
- A crash before the old timer is removed: it wakes, finds another id in the record, and does nothing.
- Two callers at once: the table accepts one write after the other. The later schedule is current, and its timer
  delivers it.

Only the timer with the id of the record delivers. A function that finds a pending record that may lack its timer sets a
backup timer, `BACKUP_DELAY_MS` after the first. It has nothing to do if the first timer delivered.
`delivering.timers` keeps the number of backup timers small.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.model.name_record import Record
from scheduler.model.schedule import Schedule, Timer, is_near, timer
from scheduler.value_class import value_class

BACKUP_DELAY_MS = 20_000
"""Longer than a delivery takes, so that the backup timer finds the outcome of the first."""
OLDER = "older"
"""The result of a possible repeat that was requested before the current schedule. It changes nothing."""
IS_PENDING = "under which {id} is pending"
WRITE_ROUNDS_MAX = 20
"""How many other writers of the same name a call can outlast. One write succeeds in each round."""


def without_id(message: str) -> str:
    """Return a refusal of `register` without the pending id, which holds the due time of that schedule."""
    return re.sub(IS_PENDING.format(id=r"\S+"), "which is pending", message)


class Records(Protocol):
    def put(self, new: Record, even_if_pending: bool = True) -> tuple[bool, Record | None]: ...


class Table(Protocol):
    def remove_timer(self, timer: Timer) -> None: ...


@value_class
class NameRequest:
    """A schedule with a name, and what to do if the name is taken."""

    schedule: Schedule
    request_number: int
    if_exists: str = "replace"
    repeats: bool = False
    """It may repeat an older request. A repeat must not undo a later request."""
    timed: int = 0
    """The value of `Record.timed`."""


@value_class
class NameResult:
    """The current schedule of the name, and the timers to set and to remove."""

    schedule: Schedule
    state: str
    result: str
    timer: Timer | None = None
    superseded_timer: Timer | None = None
    """The timer of the replaced schedule, if it is still in the table because it is far."""
    unconfirmed: bool = False
    """A write had no answer. It is unknown whether it replaced a schedule, or AWS may still carry it out."""


def register(name_request: NameRequest, records: Records, deadline: Deadline, reach_ms: int) -> NameResult:
    """Write the record, unless the current schedule must stay. Raise NotConfirmed if the result is unknown."""
    now_ms, request_number = deadline.now_ms(), name_request.request_number
    unconfirmed_writes: list[Record] = []
    for _ in range(WRITE_ROUNDS_MAX):
        new = Record(name_request.schedule, request_number, now_ms, timed=name_request.timed)
        written, old = retry_call(partial(_put, new, name_request, records, unconfirmed_writes), deadline)
        if written or (old == new and new in unconfirmed_writes):  # An earlier write succeeded without an answer.
            result = _written(new, old if written else None, now_ms, reach_ms)
            return replace(result, unconfirmed=not written)
        if old is None:  # The record disappeared between the conditional write and the read.
            continue
        if old.id == new.id:
            return _kept(old, now_ms, reach_ms)
        if name_request.repeats and old.request_number >= request_number:
            return replace(_kept(old, now_ms, reach_ms), result=OLDER, unconfirmed=bool(unconfirmed_writes))
        if old.pending and name_request.if_exists == "keep":
            return replace(_kept(old, now_ms, reach_ms), unconfirmed=bool(unconfirmed_writes))
        if old.pending and name_request.if_exists == "fail" and unconfirmed_writes:  # It may be ours, moved by now.
            raise NotConfirmed(
                f"AWS did not confirm what became of the name {name_request.schedule.name!r}; send it again"
            )
        if old.pending and name_request.if_exists == "fail":
            raise InvalidSchedule(
                f"name is {name_request.schedule.name!r}, {IS_PENDING.format(id=old.id)}, and if_exists is fail; "
                "wanted: another name, or if_exists replace or keep",
                name_taken=True,
            )
        # This request came later, whatever the function's clock says.
        request_number = max(request_number, old.request_number + 1)
    raise NotConfirmed(f"the name {name_request.schedule.name!r} is written by others all the time; send it again")


def _put(
    new: Record, name_request: NameRequest, records: Records, unconfirmed_writes: list[Record]
) -> tuple[bool, Record | None]:
    try:
        return records.put(new, name_request.if_exists == "replace")
    except NotConfirmed:
        unconfirmed_writes.append(new)
        raise


def _written(new: Record, old: Record | None, now_ms: int, reach_ms: int) -> NameResult:
    superseded_timer, result = None, "created"
    if old is not None and old.pending:
        result = "replaced"
        if old.id != new.id and not is_near(old.schedule.due_ms, now_ms, reach_ms):
            superseded_timer = timer_of(old)
    return NameResult(new.schedule, "", result, timer_of(new), superseded_timer)


def _kept(current: Record, now_ms: int, reach_ms: int) -> NameResult:
    """Return the current schedule, with a backup timer, because its writer may have crashed before it set the first."""
    second = backup_timer(current, now_ms, reach_ms) if current.pending else None
    return NameResult(current.schedule, "" if current.pending else current.state, "kept", second)


def backup_timer(current: Record, now_ms: int, reach_ms: int) -> Timer:
    """Return a backup timer for the record.

    A far one has the key of the first timer, so both are the same item. A near one wakes a while after the first.
    """
    first = timer_of(current)
    if not is_near(first.due_ms, now_ms, reach_ms):
        return first
    return replace(first, due_ms=max(first.due_ms, now_ms) + BACKUP_DELAY_MS)


def timer_of(record: Record) -> Timer:
    return timer(record.schedule, record.request_number)


def remove(superseded_timer: Timer, table: Table) -> None:
    """Remove the timer of a replaced schedule. If that fails, the timer wakes, finds another id, and does nothing."""
    with suppress(NotConfirmed):
        table.remove_timer(superseded_timer)
