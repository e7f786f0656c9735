"""Look up one schedule by its name or its id, and report its state.

An id is a key, so an unnamed schedule is found under its key or in its bundle. The stack keeps no record of an unnamed
schedule that has left the table. A caller that wants to know its result gives it a name.
"""

from __future__ import annotations

from typing import Any

from scheduler.errors import NotConfirmed, NotFound, OnItsWay, OutOfTime
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import DATA_BYTES_MAX
from scheduler.managing import failures
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.request import ManageRequest
from scheduler.model import targets
from scheduler.model.bundle import Bundle, Unpackable
from scheduler.model.delivery_options import as_sent
from scheduler.model.name_record import Record
from scheduler.model.schedule import Key, Schedule, index_of, key_of, waiting_state
from scheduler.timestamps import epoch_s
from scheduler.value_class import value_class

MARGIN_MS = 60_000
"""An unnamed schedule may not change in this time before its key comes within reach. It is longer than the manage
function runs plus the difference between clocks, so that no feed reads an item that is being changed."""


DATA_CHARACTERS_MAX = 256
"""The part of each schedule's data that a list shows. A thousand with all data would not fit an answer of Lambda."""


@value_class
class StoredSchedule:
    """A schedule in the table, and the item that holds it, as it was read."""

    schedule: Schedule
    item: Schedule | Bundle

    def rest(self) -> Bundle | None:
        """Return the bundle without this schedule. Return None if nothing is left, or if it is not in a bundle."""
        if not isinstance(self.item, Bundle):
            return None
        contents = self.item.unpacked()
        others = [each for each in contents.members if each.index != self.schedule.index]
        return self.item.holding(others, contents.broken) if others or contents.broken else None


def get(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    name, schedule_id = request.which()
    full, now_ms = request.truth("full"), deadline.now_ms()
    if name:
        return _of_record(get_record(name, dependencies, deadline), full, now_ms, dependencies)
    found = find(schedule_id, dependencies, deadline)
    if found is None:
        return _quarantined(schedule_id, full, dependencies, deadline)
    if found.schedule.name is not None:
        return _of_record(record_of(found.schedule, dependencies, deadline), full, now_ms, dependencies)
    return shown(found.schedule, None, full, now_ms, dependencies.reach_ms)


def get_record(name: str, dependencies: ManageDependencies, deadline: Deadline) -> Record:
    record = retry_call(lambda: dependencies.records.get(name), deadline)
    if record is None:
        raise NotFound(f"nothing is known under the name {name!r}; it was never given, or its outcome is too long ago")
    return record


def record_of(timer: Schedule, dependencies: ManageDependencies, deadline: Deadline) -> Record:
    """Return the record that this timer wakes."""
    record = get_record(timer.name or "", dependencies, deadline)
    if record.id != timer.id:
        raise replaced(timer.id, record)
    return record


def replaced(schedule_id: str, record: Record) -> NotFound:
    return NotFound(f"{schedule_id} was replaced under its name {record.name!r} by {record.id}")


def find(schedule_id: str, dependencies: ManageDependencies, deadline: Deadline) -> StoredSchedule | None:
    """Return the schedule stored under this id, if any. The read is strongly consistent."""
    index = index_of(schedule_id)
    item = retry_call(lambda: dependencies.manage_table.get(key_of(schedule_id)), deadline)
    if isinstance(item, Bundle):
        try:
            members = item.members() if index is not None else []
        except Unpackable:  # The next feed quarantines it.
            return None
        return next((StoredSchedule(each, item) for each in members if each.index == index), None)
    return StoredSchedule(item, item) if item is not None and index is None else None


def not_found(schedule_id: str, dependencies: ManageDependencies, now_ms: int) -> NotFound | OnItsWay:
    """Return the error for an id that the table does not hold."""
    if changeable(key_of(schedule_id), dependencies, now_ms):
        return NotFound(f"{schedule_id} is not there: it was cancelled, moved or replaced, or never given")
    return OnItsWay(
        f"{schedule_id} is queued, released or was never there: so close to its moment an unnamed schedule cannot be "
        "told or changed any more; one with a name can, by its name"
    )


def changeable(key: Key, dependencies: ManageDependencies, now_ms: int) -> bool:
    """Return whether the schedule may still change, because no feed reads it soon."""
    return now_ms < key.due_ms - dependencies.reach_ms - MARGIN_MS


def shown(schedule: Schedule, record: Record | None, full: bool, now_ms: int, reach_ms: int) -> dict[str, Any]:
    """Return the schedule as callers see it. A field is None if it does not apply.

    With `full` the answer also has the fields of the request that it leaves out otherwise.
    """
    state = record.state if record is not None and not record.pending else waiting_state(schedule, now_ms, reach_ms)
    facts = {
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
        "accepted": None if record is None or record.accepted_ms is None else epoch_s(record.accepted_ms),
        "attempt_times": None if record is None else _attempt_times(record),
    }
    return facts | _rest_of_request(schedule) if full else facts


def _rest_of_request(schedule: Schedule) -> dict[str, Any]:
    """Return the rarer fields of the request, as the caller sent them."""
    after_ms = schedule.expires_after_ms
    return {
        "user": schedule.user,
        "expires_after": None if after_ms is None else epoch_s(after_ms),
        **as_sent(schedule.terms),
    }


def _next_attempt(record: Record) -> float | None:
    """Return when the next attempt of a pending schedule is due, after it failed or was postponed."""
    return epoch_s(record.retry_ms) if record.pending and record.retry_ms is not None else None


def _attempt_times(record: Record) -> list[float] | None:
    """Return when the last attempts began. None means that there were attempts of which no time is known."""
    if record.attempts and not record.attempted_ms:
        return None
    return [epoch_s(begun_ms) for begun_ms in record.attempted_ms]


def characters_max(request: ManageRequest) -> int:
    """Return how much of each schedule's data a list shows: its beginning, or all of it with `full`."""
    return DATA_BYTES_MAX if request.truth("full") else DATA_CHARACTERS_MAX


def shown_listed(
    schedule: Schedule, record: Record | None, request: ManageRequest, now_ms: int, reach_ms: int
) -> dict[str, Any]:
    """Return the schedule as one of many."""
    facts = shown(schedule, record, request.truth("full"), now_ms, reach_ms)
    return {**facts, "data": schedule.data[: characters_max(request)] or None}


def _of_record(record: Record, full: bool, now_ms: int, dependencies: ManageDependencies) -> dict[str, Any]:
    return shown(record.schedule, record, full, now_ms, dependencies.reach_ms)


def _quarantined(schedule_id: str, full: bool, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return the quarantined schedule with this id. Raise the error of `not_found` if there is none."""
    now_ms = deadline.now_ms()
    try:
        failure = failures.quarantined_item(schedule_id, dependencies, deadline)
    except OutOfTime:
        raise NotConfirmed(f"so much was put aside that looking for {schedule_id} took too long; try again") from None
    if failure is None:
        raise not_found(schedule_id, dependencies, now_ms)
    schedule = failure.schedule or Schedule(key_of(schedule_id), key_of(schedule_id).due_ms, "")
    facts = shown(schedule, None, full, now_ms, dependencies.reach_ms)
    return {**facts, "id": schedule_id, "state": "failed", "error": failure.reason}
