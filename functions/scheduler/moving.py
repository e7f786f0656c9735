"""From the table to the queue, a parcel at a time. Send first, delete second.

A crash between the two repeats the parcel; the other order would lose it. What was not confirmed stays in the table.
What can never be sent is put aside: written under `quarantine` before it is deleted where it was, so that a crash
leaves it in both places and the next feed only puts it aside again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

from scheduler import failures, log
from scheduler.failures import Report
from scheduler.outcome import Outcome
from scheduler.patience import Patience, insist
from scheduler.schedule import Key, Schedule
from scheduler.sending import Parcel, send
from scheduler.sending import Queues as Outlets

RESERVE_S = 6
"""Time kept back to end cleanly: a call that begins at the last moment may take 5 s, and what it sent be deleted."""

CLOSED_MS_MAX = 24 * 3600 * 1000
"""How long something overdue waits for a queue that is gone or closed to us, before it is put aside."""


@dataclass(frozen=True, slots=True)
class Aside:
    """What lies under a key and can never be sent as it is: a schedule, or an item that is none; and why."""

    key: Key
    content: Schedule | dict[str, Any]
    reason: str


class Table(Protocol):
    def delete(self, keys: Sequence[Key]) -> Outcome[Key]: ...
    def put_aside(self, things: Sequence[Aside]) -> Outcome[Aside]: ...


class Queues(Outlets, Protocol):
    def report(self, reports: Sequence[Report]) -> Outcome[Report]: ...


@dataclass(slots=True)
class Tally:
    """What became of the schedules that were read."""

    sent: int = 0
    deleted: int = 0
    expired: int = 0
    quarantined: int = 0
    closed: int = 0
    left: int = 0
    why: str = ""

    def add(self, other: Tally) -> None:
        for each in fields(self):
            if each.name != "why":
                setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        self.why = other.why or self.why


@dataclass(frozen=True)
class Mover:
    """Works on one job after the other in each thread; all threads of a run share one."""

    table: Table
    queues: Queues
    patience: Patience
    closed: dict[str, str] = field(default_factory=dict)
    """Queues found closed in this run, with the reason: each is tried once."""

    def work(self, job: Parcel | list[Aside]) -> Tally:
        return self._move(job) if isinstance(job, Parcel) else self._put_aside(job)

    def _move(self, parcel: Parcel) -> Tally:
        now_ms = self.patience.now_ms()
        expired = [schedule for schedule in parcel.schedules if schedule.expired(now_ms)]
        live = [schedule for schedule in parcel.schedules if not schedule.expired(now_ms)]
        outcome = self._send(Parcel(parcel.queue_url, live))
        tally = Tally(sent=len(outcome.done), left=len(outcome.left), why=outcome.why)
        tally.deleted = self._delete(outcome.done)
        tally.add(self._drop(expired, now_ms))
        tally.add(self._put_aside([Aside(schedule.key, schedule, reason) for schedule, reason in outcome.refused]))
        tally.add(self._hold(outcome.closed, now_ms))
        return tally

    def _send(self, parcel: Parcel) -> Outcome[Schedule]:
        """A queue of others that is closed waits for the next run. Ours is never given up: it is as good as slow."""
        reason = self.closed.get(parcel.queue_url)
        if reason is not None:
            return Outcome(closed=[(schedule, reason) for schedule in parcel.schedules])
        outcome = send(parcel, self.queues, self.patience)
        if outcome.closed and parcel.queue_url == self.queues.output_queue_url:
            outcome.left += [schedule for schedule, _ in outcome.closed]
            outcome.why, outcome.closed = outcome.closed[0][1], []
        elif outcome.closed:
            self.closed[parcel.queue_url] = outcome.closed[0][1]
        return outcome

    def _hold(self, closed: Sequence[tuple[Schedule, str]], now_ms: int) -> Tally:
        """What a closed queue does not take stays in the table for a day, and is then put aside."""
        given_up = [
            Aside(schedule.key, schedule, reason)
            for schedule, reason in closed
            if now_ms - schedule.due_ms > CLOSED_MS_MAX
        ]
        tally = self._put_aside(given_up)
        tally.closed = len(closed) - len(given_up)
        return tally

    def _drop(self, expired: Sequence[Schedule], now_ms: int) -> Tally:
        """Report first, delete second: an expired schedule is not released, and not silently gone."""
        outcome = insist(
            self.queues.report, [failures.expired(schedule, now_ms) for schedule in expired], self.patience
        )
        dropped = [report.schedule for report in outcome.done]
        for schedule in dropped:
            log.outcome("expired", id=schedule.id)
        left = len(expired) - len(dropped)
        return Tally(expired=len(dropped), deleted=self._delete(dropped), left=left, why=outcome.why)

    def _put_aside(self, things: Sequence[Aside]) -> Tally:
        outcome = insist(self.table.put_aside, things, self.patience)
        for aside in outcome.done:
            log.outcome("quarantined", partition=aside.key.partition, sort=aside.key.sort, reason=aside.reason)
        left = len(things) - len(outcome.done)
        return Tally(quarantined=len(outcome.done), deleted=self._delete(outcome.done), left=left, why=outcome.why)

    def _delete(self, done: Sequence[Schedule | Aside]) -> int:
        """Into the reserve if need be, for what is sent and not deleted comes out twice."""
        to_the_end = replace(self.patience, deadline_s=self.patience.deadline_s + RESERVE_S - 1)
        return len(insist(self.table.delete, [each.key for each in done], to_the_end).done)
