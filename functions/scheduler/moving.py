"""From the table to the queue, a job at a time. Send first, delete second.

A crash between the two repeats the job; the other order would lose it. What was not confirmed stays in the table: of a
bundle that was sent in part, what is left is written back, on condition that it is as it was read, so that no member
is sent again. What can never be sent is put aside: written under `quarantine` before it goes from where it was, so that
a crash leaves it in both places and the next feed only puts it aside again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

from scheduler import failures, log
from scheduler.bundle import Bundle, Unpackable
from scheduler.failures import Report
from scheduler.outcome import Outcome
from scheduler.patience import Patience, insist
from scheduler.schedule import Key, Schedule
from scheduler.sending import Parcel, parcels, send
from scheduler.sending import Queues as Outlets

RESERVE_S = 6
"""Time kept back to end cleanly: a call that begins at the last moment may take 5 s, and what it sent be deleted."""

CLOSED_MS_MAX = 24 * 3600 * 1000
"""How long something overdue waits for a queue that is gone or closed to us, before it is put aside."""


@dataclass(frozen=True, slots=True)
class Aside:
    """What can never be sent as it is: a schedule, or a bundle or an item that is none; where it lay, and why."""

    key: Key
    content: Schedule | Bundle | dict[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Bale:
    """A few bundles, unpacked one at a time and deleted together."""

    bundles: list[Bundle]


@dataclass(frozen=True, slots=True)
class Odds:
    """Items that are no schedules."""

    things: list[Aside]


Job = Parcel | Bale | Odds


class Table(Protocol):
    def delete(self, keys: Sequence[Key]) -> Outcome[Key]: ...
    def put_aside(self, things: Sequence[Aside]) -> Outcome[Aside]: ...
    def write_back(self, read: Bundle, kept: Bundle) -> Outcome[Bundle]: ...


class Queues(Outlets, Protocol):
    def report(self, reports: Sequence[Report]) -> Outcome[Report]: ...


@dataclass(slots=True)
class Tally:
    """What became of the schedules that were read. Of these, `closed` and `left` are still in the table."""

    sent: int = 0
    expired: int = 0
    quarantined: int = 0
    closed: int = 0
    left: int = 0
    deleted: int = 0
    """Items, each a schedule or a bundle."""
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

    def work(self, job: Job) -> Tally:
        tally = Tally()
        if isinstance(job, Bale):
            finished = [bundle.key for bundle in job.bundles if self._empty(bundle, tally)]
        elif isinstance(job, Odds):
            finished = [aside.key for aside in self._put_aside(job.things, tally)]
        else:
            finished = [schedule.key for schedule in self._release(job, tally)]
        tally.deleted += len(insist(self.table.delete, finished, self._to_the_end()).done)
        return tally

    def _release(self, parcel: Parcel, tally: Tally) -> list[Schedule]:
        """Send what is due, or do with it what else is right; those come back that need not be kept any longer."""
        now_ms = self.patience.now_ms()
        expired = [schedule for schedule in parcel.schedules if schedule.expired(now_ms)]
        live = (
            [schedule for schedule in parcel.schedules if not schedule.expired(now_ms)] if expired else parcel.schedules
        )
        outcome = self._send(Parcel(parcel.queue_url, live))
        tally.add(Tally(sent=len(outcome.done), left=len(outcome.left), why=outcome.why))
        given_up = [each for each in outcome.closed if now_ms - each[0].due_ms > CLOSED_MS_MAX]
        tally.closed += len(outcome.closed) - len(given_up)
        asides = [Aside(schedule.key, schedule, reason) for schedule, reason in [*outcome.refused, *given_up]]
        put_aside = [aside.content for aside in self._put_aside(asides, tally) if isinstance(aside.content, Schedule)]
        return [*outcome.done, *self._drop(expired, now_ms, tally), *put_aside]

    def _empty(self, bundle: Bundle, tally: Tally) -> bool:
        """Release its members. True where none is left of it, so that it may be deleted."""
        if self.patience.over() and tally.sent:
            tally.add(Tally(left=bundle.count, why="time is over"))
            return False
        try:
            members = bundle.members()
        except Unpackable as fault:
            return bool(self._put_aside([Aside(bundle.key, bundle, str(fault))], tally))
        released: set[int | None] = set()
        for parcel in parcels(members, self.queues.output_queue_url):
            released |= {schedule.index for schedule in self._release(parcel, tally)}
        kept = [schedule for schedule in members if schedule.index not in released]
        if kept and released:
            insist(lambda _: self.table.write_back(bundle, bundle.holding(kept)), [bundle], self._to_the_end())
        return not kept

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

    def _drop(self, expired: Sequence[Schedule], now_ms: int, tally: Tally) -> list[Schedule]:
        """Report what has expired, so that it is not silently gone."""
        outcome = insist(self.queues.report, [failures.expired(each, now_ms) for each in expired], self.patience)
        for report in outcome.done:
            log.outcome("expired", id=report.schedule.id)
        left = len(expired) - len(outcome.done)
        tally.add(Tally(expired=len(outcome.done), left=left, why=outcome.why))
        return [report.schedule for report in outcome.done]

    def _put_aside(self, things: Sequence[Aside], tally: Tally) -> list[Aside]:
        outcome = insist(self.table.put_aside, things, self.patience)
        for aside in outcome.done:
            log.outcome("quarantined", partition=aside.key.partition, sort=aside.key.sort, reason=aside.reason)
        tally.add(Tally(quarantined=len(outcome.done), left=len(things) - len(outcome.done), why=outcome.why))
        return outcome.done

    def _to_the_end(self) -> Patience:
        """Into the reserve if need be, for what is sent and neither deleted nor written back comes out twice."""
        return replace(self.patience, deadline_s=self.patience.deadline_s + RESERVE_S - 1)
