"""Cancel, change, move and fire a schedule: by name while it is pending, by id while it is far from due.

A move changes only the time, and a fire moves to now.

For a named schedule, the record changes first, on condition that it is unchanged since it was read. The timer is set
after that, in the order that `naming` uses. A crash in between leaves the old timer. It wakes, finds the record and
sets the right timer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from scheduler.errors import InvalidRequest, InvalidSchedule, NotConfirmed, NotFound, OnItsWay
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing import item_lock, lookup
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.lookup import StoredSchedule
from scheduler.managing.request import ManageRequest
from scheduler.model.name_record import CANCELLED, DELIVERED, Record, request_number_at
from scheduler.model.schedule import Request, Schedule, accepted, is_near, random_key, repeatable_offset_ms
from scheduler.placing import naming, placement
from scheduler.placing.naming import WRITE_ROUNDS_MAX
from scheduler.timestamps import epoch_s

Answer = dict[str, Any]

TIMER_TRIES_MAX = 3


def cancel(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> Answer:
    return _Cancel(dependencies, deadline).make(request)


def change(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> Answer:
    """Change the given fields, and keep the others. A null removes an optional field."""
    request.which()
    given = {field: value for field, value in request.fields.items() if field not in ("name", "id")}
    if not given:
        raise InvalidRequest("no field to change is given; wanted: one or more, such as timestamp, data or target")
    now_ms = deadline.now_ms()

    def revised(old: Schedule) -> Schedule:
        try:
            return _drawn(old, dependencies.revise(old, given, now_ms))
        except InvalidSchedule as refusal:
            raise InvalidRequest(str(refusal)) from None

    return _Replacement(revised, dependencies, deadline).make(request)


def move(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> Answer:
    request.which()
    due_ms = request.due_ms(deadline.now_ms())
    return _Replacement(lambda old: replace(old, due_ms=due_ms), dependencies, deadline).make(request)


def fire(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> Answer:
    due_ms = deadline.now_ms()
    return _Replacement(lambda old: replace(old, due_ms=due_ms), dependencies, deadline).make(request)


def cancel_record(record: Record, dependencies: ManageDependencies, deadline: Deadline) -> bool:
    """Cancel the record if it is still pending under the same id, and remove its far timer.

    Return whether this call cancelled it. Raise NotConfirmed if AWS does not answer in time: the record may be
    cancelled then. A timer that stays behind wakes, finds nothing to do and goes away. The caller counts it.
    """
    return _Cancel(dependencies, deadline).cancelled(record)


class _Change(ABC):
    """A change of one schedule: find what holds it, and change that. A subclass says how."""

    def __init__(self, dependencies: ManageDependencies, deadline: Deadline) -> None:
        self._dependencies, self._deadline = dependencies, deadline

    @abstractmethod
    def _of_item(self, found: StoredSchedule) -> Answer:
        """Change an unnamed schedule, which its item in the table holds."""

    @abstractmethod
    def _of_record(self, record: Record) -> Answer | None:
        """Change a named schedule, which its record holds. Return None if the record has changed since it was read."""

    def make(self, request: ManageRequest) -> Answer:
        """Change the schedule. The id of a named schedule stands for its name while the name's record has that id."""
        dependencies, deadline = self._dependencies, self._deadline
        name, schedule_id = request.which()
        if name:
            return self._under_name(name, None)
        found = lookup.find(schedule_id, dependencies, deadline)
        if found is not None and found.schedule.name is not None:
            return self._under_name(found.schedule.name, schedule_id)
        now_ms = deadline.now_ms()
        if found is None or not lookup.changeable(found.schedule.key, dependencies, now_ms):
            raise lookup.not_found(schedule_id, dependencies, now_ms)
        return self._of_item(found)

    def _under_name(self, name: str, expected_id: str | None) -> Answer:
        for _ in range(WRITE_ROUNDS_MAX):
            record = lookup.get_record(name, self._dependencies, self._deadline)
            if expected_id is not None and record.id != expected_id:
                raise lookup.replaced(expected_id, record)
            answer = self._of_record(record)
            if answer is not None:
                return answer
        raise NotConfirmed(f"the name {name!r} is written by others all the time; try again")

    def _remove_timer(self, record: Record, now_ms: int) -> None:
        """Remove the far timer. Give up after a few tries: a timer that stays behind does no harm."""
        if not is_near(record.schedule.due_ms, now_ms, self._dependencies.reach_ms):
            timer, few = naming.timer_of(record), replace(self._deadline, tries_max=TIMER_TRIES_MAX)
            with suppress(NotConfirmed):
                retry_call(lambda: self._dependencies.table.remove_timer(timer), few)


class _Cancel(_Change):
    def _of_item(self, found: StoredSchedule) -> Answer:
        owner, ledger = item_lock.new_owner(self._dependencies), self._dependencies.ledger
        day = ledger.count(self._deadline, cancelled=1)
        try:
            item_lock.remove(found, owner, self._dependencies, self._deadline)
        except (NotFound, OnItsWay):
            ledger.take_back(day, cancelled=1)
            raise
        return {"id": found.schedule.id, "state": CANCELLED}

    def _of_record(self, record: Record) -> Answer | None:
        if record.state != CANCELLED:
            _pending(record)
            day = self._dependencies.ledger.count(self._deadline, cancelled=1)
            if not self.cancelled(record):
                self._dependencies.ledger.take_back(day, cancelled=1)
                return None
        return {"id": record.id, "state": CANCELLED}

    def cancelled(self, record: Record) -> bool:
        """Do as `cancel_record` says."""
        now_ms = self._deadline.now_ms()
        request_number = max(request_number_at(now_ms), record.request_number + 1)
        unconfirmed_writes: list[NotConfirmed] = []

        def cancelled() -> bool:
            try:
                return self._dependencies.records.cancel(record, request_number, now_ms)
            except NotConfirmed as failure:
                unconfirmed_writes.append(failure)
                raise

        if not retry_call(cancelled, self._deadline) and not (
            unconfirmed_writes and self._is_own_write(record, request_number, now_ms)
        ):
            return False
        self._remove_timer(record, now_ms)
        return True

    def _is_own_write(self, read: Record, request_number: int, now_ms: int) -> bool:
        """Return whether this call made the current cancellation: an earlier try succeeded, but its answer was lost."""
        current = retry_call(lambda: self._dependencies.records.get(read.name), self._deadline)
        if current is None or current.state != CANCELLED:
            return False
        return (current.id, current.request_number, current.changed_ms) == (read.id, request_number, now_ms)


class _Replacement(_Change):
    """Puts the revised schedule in the place of the old one, under a new id."""

    def __init__(
        self, revised: Callable[[Schedule], Schedule], dependencies: ManageDependencies, deadline: Deadline
    ) -> None:
        super().__init__(dependencies, deadline)
        self._revised, self._begun_ms = revised, deadline.now_ms()

    def _of_item(self, found: StoredSchedule) -> Answer:
        new = _in_time(self._revised(found.schedule), self._begun_ms)
        placed = item_lock.put_in_place(found, new, self._dependencies, self._deadline)
        return accepted(placed, self._begun_ms, self._dependencies.reach_ms)

    def _of_record(self, record: Record) -> Answer | None:
        """Put the revised schedule under the name. Its id is new, so that the old timers no longer apply."""
        _pending(record)
        dependencies, deadline = self._dependencies, self._deadline
        now_ms, key_generator = deadline.now_ms(), dependencies.key_generator
        changed = _in_time(self._revised(record.schedule), now_ms)
        key = random_key(changed.due_ms, key_generator.partition_count, key_generator.randomness)
        schedule = replace(changed, key=key)
        new = Record(schedule, max(request_number_at(now_ms), record.request_number + 1), now_ms)
        placement.get_ready(schedule, now_ms, dependencies, deadline)
        if not retry_call(lambda: dependencies.records.put_over(record, new), deadline):
            return None
        placement.place(naming.timer_of(new), dependencies, deadline)
        self._remove_timer(record, now_ms)
        return {**accepted(schedule, now_ms, dependencies.reach_ms), "result": "replaced"}


def _drawn(old: Schedule, wanted: Request) -> Schedule:
    """Return the changed schedule. Its moment in a spread depends on the old id, so that a repeat draws the same."""
    return replace(
        old,
        due_ms=wanted.due_ms + repeatable_offset_ms(wanted.spread_ms, [old.id]),
        data=wanted.data,
        target=wanted.target,
        user=wanted.user,
        expires_after_ms=wanted.expires_after_ms,
        terms=wanted.terms,
    )


def _in_time(schedule: Schedule, now_ms: int) -> Schedule:
    """Return the schedule. Raise InvalidRequest if the feed would drop it."""
    if schedule.expired(now_ms):
        raise InvalidRequest("by its expires_after it would be dropped at once; wanted: a later moment")
    return schedule


def _pending(record: Record) -> None:
    """Raise OnItsWay if the schedule was delivered, and NotFound if it ended in another way."""
    if record.pending:
        return
    past = f"{record.id}, the last under the name {record.name!r}, is {record.state} since {epoch_s(record.changed_ms)}"
    if record.state == DELIVERED:
        raise OnItsWay(past)
    raise NotFound(f"{past}; a new schedule may take the name")
