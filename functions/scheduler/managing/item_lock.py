"""Take an unnamed schedule out of the table, by itself or out of its bundle, and put it elsewhere.

To move one is: hold its item, write the new one, take the old one out. A hold is a conditional write that keeps other
calls off for a while, longer than one runs; the feed is kept off by the distance to the reach.
- A crash after the hold leaves it as it was, and held until the hold has run out.
- A crash after the new one is written leaves both, and both come out: nothing is lost. The new key follows from the
  old id and the new moment, so a repeat to the same moment makes no third one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from scheduler.errors import InvalidRequest, NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing import lookup
from scheduler.managing.dependencies import BUSY, DONE, ManageDependencies
from scheduler.managing.lookup import Found
from scheduler.model.schedule import Schedule, repeatable_key
from scheduler.placing.placement import get_ready, place

HOLD_MS = 60_000
"""Longer than the manage function may run: no holder is still at it when it has run out."""

_HELD = "it is being changed by another call; try again"


def new_holder(office: ManageDependencies) -> str:
    return f"{office.key_generator.randomness.getrandbits(64):016x}"


def move(found: Found, due_ms: int, office: ManageDependencies, deadline: Deadline) -> Schedule:
    """The new one, which has another id."""
    old, holder = found.schedule, new_holder(office)
    key = repeatable_key(due_ms, office.key_generator.partition_count, ["moved", old.id, due_ms])
    new = replace(old, key=key, due_ms=due_ms, index=None)
    if new.expired(deadline.now_ms()):
        raise InvalidRequest("by its expires_after it would be dropped at once; wanted: a later moment")
    get_ready(new, deadline.now_ms(), office, deadline)
    held = _hold(found, holder, office, deadline)
    try:
        place(new, office, deadline)
    except (InvalidRequest, NotConfirmed):
        with suppress(NotConfirmed):
            office.catalogue.let_go(held.item.key, holder)
        raise
    take_out(held, holder, office, deadline)
    return new


def take_out(found: Found, holder: str, office: ManageDependencies, deadline: Deadline) -> None:
    """Where nobody else holds it. That it is gone after a try without an answer was that try."""
    unsure = False
    for tries in range(1, deadline.tries_max + 1):
        why = _HELD
        try:
            fate = office.catalogue.take_out(found.item, found.rest(), holder, deadline.now_ms())
        except NotConfirmed as failure:
            fate, unsure, why = BUSY, True, str(failure)
        if fate == DONE:
            return
        if fate != BUSY:
            again = _again(found, office, deadline)
            if again is None and unsure:
                return
            found = _still_there(again, found, office, deadline)
        if not deadline.backoff(tries):
            raise NotConfirmed(why)


def _hold(found: Found, holder: str, office: ManageDependencies, deadline: Deadline) -> Found:
    for tries in range(1, deadline.tries_max + 1):
        now_ms = deadline.now_ms()
        fate = retry_call(lambda: office.catalogue.hold(found.item, holder, now_ms, now_ms + HOLD_MS), deadline)  # noqa: B023 - Called at once.
        if fate == DONE:
            return found
        if fate != BUSY:
            found = _still_there(_again(found, office, deadline), found, office, deadline)
        if not deadline.backoff(tries):
            break
    raise NotConfirmed(_HELD)


def _again(found: Found, office: ManageDependencies, deadline: Deadline) -> Found | None:
    return lookup.find(found.schedule.id, office, deadline)


def _still_there(again: Found | None, found: Found, office: ManageDependencies, deadline: Deadline) -> Found:
    """Its fellows have changed; it may be changed itself while it is there, and no feed comes upon it."""
    now_ms = deadline.now_ms()
    if again is None or not lookup.changeable(again.schedule.key, office, now_ms):
        raise lookup.missing(found.schedule.id, office, now_ms)
    return again
