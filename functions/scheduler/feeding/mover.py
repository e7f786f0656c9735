"""From the table to the queue, a job at a time. Send first, delete second.

A crash between the two repeats the job; the other order would lose it. What was not confirmed stays in the table: of a
bundle that was sent in part, what is left is written back, on condition that it is as it was read, so that no member
is sent again. What can never be sent is put aside: written under `quarantine` before it goes from where it was, so that
a crash leaves it in both places and the next feed only puts it aside again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from scheduler import log
from scheduler.execution.batch_result import Outcome
from scheduler.execution.deadline import Patience, insist
from scheduler.feeding.outgoing import OTHERS_TRIES_MAX, Outgoing
from scheduler.feeding.write_rate import Pace
from scheduler.model import failure_report
from scheduler.model.bundle import Bundle, Unpackable
from scheduler.model.delivery_options import Terms
from scheduler.model.failure_report import Report
from scheduler.model.schedule import Key, Schedule
from scheduler.placing.sending import Parcel, parcels
from scheduler.placing.sending import Queues as Outlets

if TYPE_CHECKING:
    from scheduler.placing.near_names import Row

RESERVE_S = 6
"""Time kept back to end cleanly: a call that begins at the last moment may take 5 s, and what it sent be deleted."""

TO_THE_END_TRIES_MAX = 32

CLOSED_MS_MAX = 24 * 3600 * 1000
"""How long something overdue waits for a queue that is gone or closed to us, before it is put aside."""


@dataclass(frozen=True, slots=True)
class Aside:
    """What can never be sent as it is: a schedule, or a bundle, an item or a part of one that is none; where it lay,
    and why."""

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


Told = TypeVar("Told")
Job = Parcel | Bale | Odds


class Table(Protocol):
    def put_near_names(self, rows: Sequence[Row]) -> Outcome[Row]: ...
    def delete(self, keys: Sequence[Key]) -> Outcome[Key]: ...
    def put_aside(self, things: Sequence[Aside]) -> Outcome[Aside]: ...
    def write_back(self, read: Bundle, kept: Bundle) -> Outcome[Bundle]: ...


class Queues(Outlets, Protocol):
    def report(self, reports: Sequence[Report[Schedule]]) -> Outcome[Report[Schedule]]: ...
    def hand_over(self, schedules: Sequence[Schedule], now_ms: int) -> Outcome[Schedule]: ...


@dataclass(slots=True)
class Tally:
    """What became of the schedules that were read; closed, held, left and undeleted ones are still in the table."""

    sent: int = 0
    expired: int = 0
    quarantined: int = 0
    closed: int = 0
    """Their queue is gone or closed to us."""
    held: int = 0
    """Trying them again at once would mend nothing: their queue fails, or their expiry cannot be reported for now."""
    left: int = 0
    """Not confirmed, or not reached any more: to be tried again as soon as may be."""
    stuck: int = 0
    """Those of `left` that were tried in vain."""
    undeleted: int = 0
    """Sent, and their item could not be deleted: they come out again with the next tick."""
    deleted: int = 0
    """Items, each a schedule or a bundle."""
    lightened: int = 0
    """Bundles written back with fewer members: not done, and yet the run got through with something."""
    why: str = ""

    def add(self, other: Tally) -> None:
        self.sent += other.sent
        self.expired += other.expired
        self.quarantined += other.quarantined
        self.closed += other.closed
        self.held += other.held
        self.left += other.left
        self.stuck += other.stuck
        self.undeleted += other.undeleted
        self.deleted += other.deleted
        self.lightened += other.lightened
        self.why = other.why or self.why


class Mover:
    """Works on one job after the other in each thread; all threads of a run share one."""

    def __init__(self, table: Table, queues: Queues, patience: Patience, units_per_s: float | None = None) -> None:
        self._table, self._queues, self._patience = table, queues, patience
        # Into the reserve if need be, for what is sent and neither deleted nor written back comes out twice.
        self._to_the_end = replace(
            patience, deadline_s=patience.deadline_s + RESERVE_S - 1, tries_max=TO_THE_END_TRIES_MAX
        )
        self._short = replace(patience, tries_max=OTHERS_TRIES_MAX)
        self._pace = Pace(patience.clock, patience.sleep, units_per_s)
        self._outgoing = Outgoing(queues, patience)
        self._deaf: dict[str, str] = {}
        """Where expired schedules cannot be told, and why."""

    @property
    def units_per_s(self) -> float | None:
        """The pace that it found; None while nothing was throttled."""
        return self._pace.units_per_s

    def work(self, job: Job) -> Tally:
        tally, units = Tally(), _units(job)
        if not self._pace.begin(units, self._patience.deadline_s):
            return Tally(left=_items(job), why="time is over")
        try:
            finished = self._send_all(job, tally)
            outcome = self._delete(finished, units / _items(job))
        finally:
            self._pace.end(units)
        tally.add(Tally(deleted=len(outcome.done), undeleted=len(outcome.left)))
        return tally

    def _send_all(self, job: Job, tally: Tally) -> list[Key]:
        """What is then to be deleted."""
        if isinstance(job, Bale):
            return [bundle.key for bundle in job.bundles if self._empty(bundle, tally)]
        if isinstance(job, Odds):
            return [aside.key for aside in self._put_aside(job.things, tally)]
        return [schedule.key for schedule in self._release(job, tally)]

    def _delete(self, finished: Sequence[Key], units_each: float) -> Outcome[Key]:
        bounced: set[Key] = set()

        def delete(keys: Sequence[Key]) -> Outcome[Key]:
            outcome = self._table.delete(keys)
            again = keys[0] in bounced  # What has bounced once comes after all others.
            bounced.update(outcome.left)
            self._pace.learn(len(outcome.done) * units_each, len(outcome.left) * units_each, again)
            return outcome

        outcome = insist(delete, finished, self._to_the_end)
        outcome.left += outcome.untried
        return outcome

    def _release(self, parcel: Parcel, tally: Tally) -> list[Schedule]:
        """Send what is due, or do with it what else is right; those come back that need not be kept any longer."""
        now_ms = self._patience.now_ms()
        expired = [schedule for schedule in parcel.schedules if schedule.expired(now_ms)]
        if expired:
            parcel = Parcel(parcel.queue_url, [each for each in parcel.schedules if each not in expired])
        outcome = self._outgoing.send(parcel, tally)
        finished = self._listed(outcome.done, tally)
        tally.sent += len(outcome.done)
        given_up = [each for each in outcome.closed if now_ms - each[0].due_ms > CLOSED_MS_MAX]
        tally.closed += len(outcome.closed) - len(given_up)
        unfit = [*outcome.refused, *given_up]
        if unfit and not self._stops(bool(finished), len(unfit), tally):
            asides = [Aside(schedule.key, schedule, reason) for schedule, reason in unfit]
            finished += [
                aside.content for aside in self._put_aside(asides, tally) if isinstance(aside.content, Schedule)
            ]
        if expired and not self._stops(bool(finished), len(expired), tally):
            finished += self._drop(expired, now_ms, tally)
        return finished

    def _stops(self, begun: bool, count: int, tally: Tally) -> bool:
        """Return whether time is over, so that so many are left. What has not begun may always make one call."""
        if not (begun and count and self._patience.over()):
            return False
        tally.add(Tally(left=count, why="time is over"))
        return True

    def _listed(self, sent: list[Schedule], tally: Tally) -> list[Schedule]:
        """A name whose row could not be written is not finished: its timer stays in the table, where it is listed, and
        goes out once more with the next tick."""
        if all(each.name is None for each in sent):
            return sent
        from scheduler.placing import near_names  # noqa: PLC0415 - Most parcels hold no names.

        unlisted = near_names.write(map(near_names.entry_of, sent), self._table, self._short)
        tally.add(Tally(undeleted=len(unlisted)))
        return [each for each in sent if each.id not in unlisted]

    def _empty(self, bundle: Bundle, tally: Tally) -> bool:
        """Release its members. True where none is left of it, so that it may be deleted."""
        if self._stops(tally.sent > 0, bundle.count, tally):
            return False
        try:
            contents = bundle.unpacked()
        except Unpackable as fault:
            return bool(self._put_aside([Aside(bundle.key, bundle, str(fault))], tally))
        released: set[int | None] = set()
        for parcel in parcels(contents.members, self._queues.url_of):
            if not self._stops(bool(released), len(parcel.schedules), tally):
                released |= {schedule.index for schedule in self._release(parcel, tally)}
        broken = self._sort_out(bundle, contents.broken, tally)
        kept = [schedule for schedule in contents.members if schedule.index not in released]
        if (kept or broken) and len(kept) + len(broken) < contents.count:
            lighter = bundle.holding(kept, broken)
            outcome = insist(lambda _: self._table.write_back(bundle, lighter), [bundle], self._to_the_end)
            tally.lightened += len(outcome.done)
        return not kept and not broken

    def _sort_out(self, bundle: Bundle, broken: Mapping[str, str], tally: Tally) -> list[str]:
        """Put aside what is no member, each for itself; those come back that have to stay."""
        if self._stops(tally.sent > 0, len(broken), tally):
            return list(broken)
        asides = {text: _part(bundle.key, text, why) for text, why in broken.items()}
        done = {aside.key for aside in self._put_aside(list(asides.values()), tally)}
        return [text for text, aside in asides.items() if aside.key not in done]

    def _drop(self, expired: Sequence[Schedule], now_ms: int, tally: Tally) -> list[Schedule]:
        """Report expired schedules, so that none is silently gone. One with a failure target has two to tell: the
        deliver function does that, so that a failure target that cannot be told makes no report come twice."""
        alone: list[Report[Schedule]] = []
        heard: list[Schedule] = []
        for each in expired:
            if Terms.read(each.terms).failure_target is None:
                alone.append(failure_report.expired(each, now_ms))
            else:
                heard.append(each)
        reported = [report.schedule for report in self._told("failure queue", self._queues.report, alone, tally)]
        for schedule in reported:
            log.outcome("expired", id=schedule.id)
        if self._stops(bool(reported), len(heard), tally):
            return reported
        hand_over = self._queues.hand_over
        return reported + self._told("delivery queue", lambda left: hand_over(left, now_ms), heard, tally)

    def _told(
        self, place: str, call: Callable[[Sequence[Told]], Outcome[Told]], expired: Sequence[Told], tally: Tally
    ) -> list[Told]:
        """Tell of expired schedules. Once nothing gets through, this run tells no more: others need the time."""
        if place in self._deaf:
            tally.add(Tally(held=len(expired), why=self._deaf[place]))
            return []
        outcome = insist(call, expired, self._short)
        not_done = len(expired) - len(outcome.done)
        reasons = [reason for _, reason in [*outcome.closed, *outcome.refused]]
        why = f"{place}: {reasons[0] if reasons else outcome.why}"
        if not_done and not outcome.done:
            self._deaf[place] = why
            tally.add(Tally(held=not_done, why=why))
        elif not_done:
            stuck = not_done - len(outcome.untried)
            tally.add(Tally(left=not_done, stuck=stuck, why=why))
        tally.expired += len(outcome.done)
        return outcome.done

    def _put_aside(self, things: Sequence[Aside], tally: Tally) -> list[Aside]:
        outcome = insist(self._table.put_aside, things, self._patience)
        for aside in outcome.done:
            log.outcome("quarantined", partition=aside.key.partition, sort=aside.key.sort, reason=aside.reason)
        left, stuck = len(things) - len(outcome.done), len(outcome.left)
        tally.add(Tally(quarantined=len(outcome.done), left=left, stuck=stuck, why=outcome.why))
        return outcome.done


def _part(key: Key, text: str, why: str) -> Aside:
    """Of a bundle, told from others by what it holds."""
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Aside(Key(key.partition, f"{key.sort}-{mark}"), {"text": {"S": text}}, f"no member of a bundle: {why}")


def _items(job: Job) -> int:
    return len(job.bundles) if isinstance(job, Bale) else len(job.things if isinstance(job, Odds) else job.schedules)


def _units(job: Job) -> int:
    """About what deleting it will take."""
    if isinstance(job, Bale):
        return sum(1 + len(bundle.packed) // 1024 for bundle in job.bundles)
    return len(job.things) if isinstance(job, Odds) else sum(1 + len(each.data) // 1024 for each in job.schedules)
