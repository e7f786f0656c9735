"""Look at one schedule, by its name or by its id, and tell how it stands.

An id is a key, so an unnamed schedule is found where it lies, or in its bundle. Once it has left the table nothing is
known of it any more: who wants to know what became of it gives it a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scheduler.errors import NotConfirmed, NotFound, OnItsWay, OutOfTime
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing import failures
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.request import ManageRequest
from scheduler.model import targets
from scheduler.model.bundle import Bundle, Unpackable
from scheduler.model.name_record import Record
from scheduler.model.schedule import Key, Schedule, index_of, key_of, waiting_state
from scheduler.timestamps import epoch_s

MARGIN_MS = 60_000
"""How long before its key comes within reach an unnamed schedule is let alone: more than the manage function runs and
clocks differ, so that no feed comes upon an item that is being changed."""


DATA_CHARACTERS_MAX = 256
"""Of each in a list: a thousand with all of their data would not fit an answer of Lambda's."""


@dataclass(frozen=True, slots=True)
class Found:
    """A schedule in the table, and the item that it lies in as it was read."""

    schedule: Schedule
    item: Schedule | Bundle

    def rest(self) -> Bundle | None:
        """What is left of the bundle without it; None where nothing is, or it lies there by itself."""
        if not isinstance(self.item, Bundle):
            return None
        contents = self.item.unpacked()
        others = [each for each in contents.members if each.index != self.schedule.index]
        return self.item.holding(others, contents.broken) if others or contents.broken else None


def get(request: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    name, schedule_id = request.which()
    now_ms = deadline.now_ms()
    if name:
        return _of_record(named(name, office, deadline), now_ms, office)
    found = find(schedule_id, office, deadline)
    if found is None:
        return _quarantined(schedule_id, office, deadline)
    if found.schedule.name is not None:
        return _of_record(awaiting(found.schedule, office, deadline), now_ms, office)
    return shown(found.schedule, None, now_ms, office.reach_ms)


def named(name: str, office: ManageDependencies, deadline: Deadline) -> Record:
    record = retry_call(lambda: office.records.get(name), deadline)
    if record is None:
        raise NotFound(f"nothing is known under the name {name!r}; it was never given, or its outcome is too long ago")
    return record


def awaiting(timer: Schedule, office: ManageDependencies, deadline: Deadline) -> Record:
    """The record that this timer is to wake."""
    record = named(timer.name or "", office, deadline)
    if record.id != timer.id:
        raise replaced(timer.id, record)
    return record


def replaced(schedule_id: str, record: Record) -> NotFound:
    return NotFound(f"{schedule_id} was replaced under its name {record.name!r} by {record.id}")


def find(schedule_id: str, office: ManageDependencies, deadline: Deadline) -> Found | None:
    """Where the id says, as it is after every write that was confirmed before."""
    index = index_of(schedule_id)
    item = retry_call(lambda: office.catalogue.get(key_of(schedule_id)), deadline)
    if isinstance(item, Bundle):
        try:
            members = item.members() if index is not None else []
        except Unpackable:  # The next feed puts it aside.
            return None
        return next((Found(each, item) for each in members if each.index == index), None)
    return Found(item, item) if item is not None and index is None else None


def missing(schedule_id: str, office: ManageDependencies, now_ms: int) -> NotFound | OnItsWay:
    """What is to be said of an id under which nothing lies in the table."""
    if changeable(key_of(schedule_id), office, now_ms):
        return NotFound(f"{schedule_id} is not there: it was cancelled, moved or replaced, or never given")
    return OnItsWay(
        f"{schedule_id} is queued, released or was never there: so close to its moment an unnamed schedule cannot be "
        "told or changed any more; one with a name can, by its name"
    )


def changeable(key: Key, office: ManageDependencies, now_ms: int) -> bool:
    """Whether no feed comes upon it for a while yet."""
    return now_ms < key.due_ms - office.reach_ms - MARGIN_MS


def shown(schedule: Schedule, record: Record | None, now_ms: int, reach_ms: int) -> dict[str, Any]:
    """As callers see it; None where there is nothing to see."""
    state = record.state if record is not None and not record.pending else waiting_state(schedule, now_ms, reach_ms)
    return {
        "id": schedule.id,
        "name": schedule.name,
        "timestamp": epoch_s(schedule.due_ms),
        "state": state,
        "target": targets.as_sent(schedule.target),
        "data": schedule.data or None,
        "attempts": None if record is None else record.attempts,
        "error": None if record is None else record.error or None,
        "changed": None if record is None else epoch_s(record.changed_ms),
        "next_attempt": None if record is None else _next_attempt(record),
    }


def _next_attempt(record: Record) -> float | None:
    """When a pending one that failed, or was put off, is tried again."""
    return epoch_s(record.retry_ms) if record.pending and record.retry_ms is not None else None


def shown_short(schedule: Schedule, record: Record | None, now_ms: int, reach_ms: int) -> dict[str, Any]:
    """As one of many, with the beginning of its data."""
    facts = shown(schedule, record, now_ms, reach_ms)
    return {**facts, "data": schedule.data[:DATA_CHARACTERS_MAX] or None}


def _of_record(record: Record, now_ms: int, office: ManageDependencies) -> dict[str, Any]:
    return shown(record.schedule, record, now_ms, office.reach_ms)


def _quarantined(schedule_id: str, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """What was put aside is told by its id too; what is nowhere is missing."""
    now_ms = deadline.now_ms()
    try:
        failure = failures.put_aside(schedule_id, office, deadline)
    except OutOfTime:
        raise NotConfirmed(f"so much was put aside that looking for {schedule_id} took too long; try again") from None
    if failure is None:
        raise missing(schedule_id, office, now_ms)
    schedule = failure.schedule or Schedule(key_of(schedule_id), key_of(schedule_id).due_ms, "")
    facts = shown(schedule, None, now_ms, office.reach_ms)
    return {**facts, "id": schedule_id, "state": "failed", "error": failure.reason}
