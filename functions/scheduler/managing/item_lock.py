"""Take an unnamed schedule out of the table, alone or out of its bundle, and put a changed one in its place.

A change locks the old item, writes the new schedule and then removes the old one. A lock is a conditional write that
keeps other calls off for a while, longer than a call runs. The feed does not read the item during a lock, because the
item is still far from the reach.
- A crash after the lock leaves the schedule as it was. It stays locked until the lock ends.
- A crash after the new schedule is written leaves both, and both are released: nothing is lost. The new key is derived
  from the old id and the new content, so a repeat of the same change makes no third one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial

from scheduler.errors import InvalidRequest, NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing import lookup
from scheduler.managing.dependencies import BUSY, DONE, ManageDependencies
from scheduler.managing.lookup import StoredSchedule
from scheduler.model.schedule import Key, Schedule, repeatable_key
from scheduler.placing.placement import get_ready, place

LOCK_MS = 60_000
"""Longer than the manage function may run, so the owner has stopped by the time the lock ends."""

_LOCKED = "it is being changed by another call; try again"


def new_owner(dependencies: ManageDependencies) -> str:
    return f"{dependencies.key_generator.randomness.getrandbits(64):016x}"


def put_in_place(
    found: StoredSchedule, changed: Schedule, dependencies: ManageDependencies, deadline: Deadline
) -> Schedule:
    """Put a changed schedule in the place of an old one, and return it with its new id."""
    owner, key = new_owner(dependencies), _key(found.schedule, changed, dependencies)
    new = replace(changed, key=key, index=None)
    get_ready(new, deadline.now_ms(), dependencies, deadline)
    locked = _lock(found, owner, dependencies, deadline)
    try:
        place(new, dependencies, deadline)
    except (InvalidRequest, NotConfirmed):
        with suppress(NotConfirmed):
            dependencies.manage_table.unlock(locked.item.key, owner)
        raise
    remove(locked, owner, dependencies, deadline)
    return new


def _key(old: Schedule, changed: Schedule, dependencies: ManageDependencies) -> Key:
    """Return the key of the changed schedule. It does not depend on chance, so that a repeat has the same key."""
    facts: list[object] = ["moved", old.id, changed.due_ms]
    if changed != replace(old, due_ms=changed.due_ms):
        facts += [changed.data, changed.target, changed.user, changed.expires_after_ms, changed.terms]
    key_generator = dependencies.key_generator
    return repeatable_key(changed.due_ms, key_generator.partition_count, key_generator.hashed(facts))


def remove(found: StoredSchedule, owner: str, dependencies: ManageDependencies, deadline: Deadline) -> None:
    """Remove the schedule unless another call holds it. If a try without an answer removed it, that is a success."""
    unsure = False
    for tries in range(1, deadline.tries_max + 1):
        why = _LOCKED
        try:
            result = dependencies.manage_table.remove(found.item, found.rest(), owner, deadline.now_ms())
        except NotConfirmed as failure:
            result, unsure, why = BUSY, True, str(failure)
        if result == DONE:
            return
        if result != BUSY:
            again = _again(found, dependencies, deadline)
            if again is None and unsure:
                return
            found = _still_there(again, found, dependencies, deadline)
        if not deadline.backoff(tries):
            raise NotConfirmed(why)


def _lock(found: StoredSchedule, owner: str, dependencies: ManageDependencies, deadline: Deadline) -> StoredSchedule:
    for tries in range(1, deadline.tries_max + 1):
        now_ms = deadline.now_ms()
        lock = partial(dependencies.manage_table.lock, found.item, owner, now_ms, now_ms + LOCK_MS)
        result = retry_call(lock, deadline)
        if result == DONE:
            return found
        if result != BUSY:
            found = _still_there(_again(found, dependencies, deadline), found, dependencies, deadline)
        if not deadline.backoff(tries):
            break
    raise NotConfirmed(_LOCKED)


def _again(found: StoredSchedule, dependencies: ManageDependencies, deadline: Deadline) -> StoredSchedule | None:
    return lookup.find(found.schedule.id, dependencies, deadline)


def _still_there(
    again: StoredSchedule | None, found: StoredSchedule, dependencies: ManageDependencies, deadline: Deadline
) -> StoredSchedule:
    """Return the schedule as read again, after other members of its bundle have changed.

    Raise NotFound or OnItsWay if it has left the table, or if a feed may soon read it.
    """
    now_ms = deadline.now_ms()
    if again is None or not lookup.changeable(again.schedule.key, dependencies, now_ms):
        raise lookup.not_found(found.schedule.id, dependencies, now_ms)
    return again
