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
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch
from scheduler.feeding.outgoing import OTHERS_TRIES_MAX, Outgoing
from scheduler.feeding.write_rate import WriteRateLimiter
from scheduler.model import failure_report
from scheduler.model.bundle import Bundle, Unpackable
from scheduler.model.delivery_options import DeliveryOptions
from scheduler.model.failure_report import Report
from scheduler.model.schedule import Key, Schedule
from scheduler.placing.sending import Queues as Transports
from scheduler.placing.sending import SendChunk, send_chunks

if TYPE_CHECKING:
    from scheduler.placing.near_names import Row

RESERVE_S = 6
"""Time kept back to end cleanly: a call that begins at the last moment may take 5 s, and what it sent be deleted."""

TO_THE_END_TRIES_MAX = 32

CLOSED_MS_MAX = 24 * 3600 * 1000
"""How long something overdue waits for a queue that is gone or closed to us, before it is put aside."""


@dataclass(frozen=True, slots=True)
class QuarantinedItem:
    """What can never be sent as it is: a schedule, or a bundle, an item or a part of one that is none; where it lay,
    and why."""

    key: Key
    content: Schedule | Bundle | dict[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class BundleGroup:
    """A few bundles, unpacked one at a time and deleted together."""

    bundles: list[Bundle]


@dataclass(frozen=True, slots=True)
class UnreadableItems:
    """Items that are no schedules."""

    things: list[QuarantinedItem]


Told = TypeVar("Told")
Job = SendChunk | BundleGroup | UnreadableItems


class Table(Protocol):
    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]: ...
    def delete(self, keys: Sequence[Key]) -> BatchResult[Key]: ...
    def put_aside(self, things: Sequence[QuarantinedItem]) -> BatchResult[QuarantinedItem]: ...
    def write_back(self, read: Bundle, kept: Bundle) -> BatchResult[Bundle]: ...


class Queues(Transports, Protocol):
    def report(self, reports: Sequence[Report[Schedule]]) -> BatchResult[Report[Schedule]]: ...
    def hand_over(self, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]: ...


@dataclass(slots=True)
class FeedCounts:
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

    def add(self, other: FeedCounts) -> None:
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

    def __init__(self, table: Table, queues: Queues, deadline: Deadline, units_per_s: float | None = None) -> None:
        self._table, self._queues, self._patience = table, queues, deadline
        # Into the reserve if need be, for what is sent and neither deleted nor written back comes out twice.
        self._to_the_end = replace(
            deadline, deadline_s=deadline.deadline_s + RESERVE_S - 1, tries_max=TO_THE_END_TRIES_MAX
        )
        self._short = replace(deadline, tries_max=OTHERS_TRIES_MAX)
        self._pace = WriteRateLimiter(deadline.clock, deadline.sleep, units_per_s)
        self._outgoing = Outgoing(queues, deadline)
        self._deaf: dict[str, str] = {}
        """Where expired schedules cannot be told, and why."""

    @property
    def units_per_s(self) -> float | None:
        """The pace that it found; None while nothing was throttled."""
        return self._pace.units_per_s

    def work(self, job: Job) -> FeedCounts:
        counts, units = FeedCounts(), _units(job)
        if not self._pace.begin(units, self._patience.deadline_s):
            return FeedCounts(left=_items(job), why="time is over")
        try:
            finished = self._send_all(job, counts)
            outcome = self._delete(finished, units / _items(job))
        finally:
            self._pace.end(units)
        counts.add(FeedCounts(deleted=len(outcome.confirmed), undeleted=len(outcome.unconfirmed)))
        return counts

    def _send_all(self, job: Job, counts: FeedCounts) -> list[Key]:
        """What is then to be deleted."""
        if isinstance(job, BundleGroup):
            return [bundle.key for bundle in job.bundles if self._empty(bundle, counts)]
        if isinstance(job, UnreadableItems):
            return [aside.key for aside in self._put_aside(job.things, counts)]
        return [schedule.key for schedule in self._release(job, counts)]

    def _delete(self, finished: Sequence[Key], units_each: float) -> BatchResult[Key]:
        bounced: set[Key] = set()

        def delete(keys: Sequence[Key]) -> BatchResult[Key]:
            outcome = self._table.delete(keys)
            again = keys[0] in bounced  # What has bounced once comes after all others.
            bounced.update(outcome.unconfirmed)
            self._pace.learn(len(outcome.confirmed) * units_each, len(outcome.unconfirmed) * units_each, again)
            return outcome

        outcome = retry_batch(delete, finished, self._to_the_end)
        outcome.unconfirmed += outcome.not_attempted
        return outcome

    def _release(self, chunk: SendChunk, counts: FeedCounts) -> list[Schedule]:
        """Send what is due, or do with it what else is right; those come back that need not be kept any longer."""
        now_ms = self._patience.now_ms()
        expired = [schedule for schedule in chunk.schedules if schedule.expired(now_ms)]
        if expired:
            chunk = SendChunk(chunk.queue_url, [each for each in chunk.schedules if each not in expired])
        outcome = self._outgoing.send(chunk, counts)
        finished = self._listed(outcome.confirmed, counts)
        counts.sent += len(outcome.confirmed)
        given_up = [each for each in outcome.unavailable if now_ms - each[0].due_ms > CLOSED_MS_MAX]
        counts.closed += len(outcome.unavailable) - len(given_up)
        invalid_reason = [*outcome.rejected, *given_up]
        if invalid_reason and not self._stops(bool(finished), len(invalid_reason), counts):
            asides = [QuarantinedItem(schedule.key, schedule, reason) for schedule, reason in invalid_reason]
            finished += [
                aside.content for aside in self._put_aside(asides, counts) if isinstance(aside.content, Schedule)
            ]
        if expired and not self._stops(bool(finished), len(expired), counts):
            finished += self._drop(expired, now_ms, counts)
        return finished

    def _stops(self, begun: bool, count: int, counts: FeedCounts) -> bool:
        """Return whether time is over, so that so many are left. What has not begun may always make one call."""
        if not (begun and count and self._patience.passed()):
            return False
        counts.add(FeedCounts(left=count, why="time is over"))
        return True

    def _listed(self, sent: list[Schedule], counts: FeedCounts) -> list[Schedule]:
        """A name whose row could not be written is not finished: its timer stays in the table, where it is listed, and
        goes out once more with the next tick."""
        if all(each.name is None for each in sent):
            return sent
        from scheduler.placing import near_names  # noqa: PLC0415 - Most parcels hold no names.

        unlisted = near_names.write(map(near_names.entry_of, sent), self._table, self._short)
        counts.add(FeedCounts(undeleted=len(unlisted)))
        return [each for each in sent if each.id not in unlisted]

    def _empty(self, bundle: Bundle, counts: FeedCounts) -> bool:
        """Release its members. True where none is left of it, so that it may be deleted."""
        if self._stops(counts.sent > 0, bundle.count, counts):
            return False
        try:
            contents = bundle.unpacked()
        except Unpackable as fault:
            return bool(self._put_aside([QuarantinedItem(bundle.key, bundle, str(fault))], counts))
        released: set[int | None] = set()
        for chunk in send_chunks(contents.members, self._queues.url_of):
            if not self._stops(bool(released), len(chunk.schedules), counts):
                released |= {schedule.index for schedule in self._release(chunk, counts)}
        broken = self._sort_out(bundle, contents.broken, counts)
        kept = [schedule for schedule in contents.members if schedule.index not in released]
        if (kept or broken) and len(kept) + len(broken) < contents.count:
            lighter = bundle.holding(kept, broken)
            outcome = retry_batch(lambda _: self._table.write_back(bundle, lighter), [bundle], self._to_the_end)
            counts.lightened += len(outcome.confirmed)
        return not kept and not broken

    def _sort_out(self, bundle: Bundle, broken: Mapping[str, str], counts: FeedCounts) -> list[str]:
        """Put aside what is no member, each for itself; those come back that have to stay."""
        if self._stops(counts.sent > 0, len(broken), counts):
            return list(broken)
        asides = {text: _part(bundle.key, text, why) for text, why in broken.items()}
        done = {aside.key for aside in self._put_aside(list(asides.values()), counts)}
        return [text for text, aside in asides.items() if aside.key not in done]

    def _drop(self, expired: Sequence[Schedule], now_ms: int, counts: FeedCounts) -> list[Schedule]:
        """Report expired schedules, so that none is silently gone. One with a failure target has two to tell: the
        deliver function does that, so that a failure target that cannot be told makes no report come twice."""
        alone: list[Report[Schedule]] = []
        heard: list[Schedule] = []
        for each in expired:
            if DeliveryOptions.read(each.terms).failure_target is None:
                alone.append(failure_report.expired(each, now_ms))
            else:
                heard.append(each)
        reported = [report.schedule for report in self._told("failure queue", self._queues.report, alone, counts)]
        for schedule in reported:
            log.outcome("expired", id=schedule.id)
        if self._stops(bool(reported), len(heard), counts):
            return reported
        hand_over = self._queues.hand_over
        return reported + self._told("delivery queue", lambda left: hand_over(left, now_ms), heard, counts)

    def _told(
        self,
        place: str,
        call: Callable[[Sequence[Told]], BatchResult[Told]],
        expired: Sequence[Told],
        counts: FeedCounts,
    ) -> list[Told]:
        """Tell of expired schedules. Once nothing gets through, this run tells no more: others need the time."""
        if place in self._deaf:
            counts.add(FeedCounts(held=len(expired), why=self._deaf[place]))
            return []
        outcome = retry_batch(call, expired, self._short)
        not_done = len(expired) - len(outcome.confirmed)
        reasons = [reason for _, reason in [*outcome.unavailable, *outcome.rejected]]
        why = f"{place}: {reasons[0] if reasons else outcome.last_error}"
        if not_done and not outcome.confirmed:
            self._deaf[place] = why
            counts.add(FeedCounts(held=not_done, why=why))
        elif not_done:
            stuck = not_done - len(outcome.not_attempted)
            counts.add(FeedCounts(left=not_done, stuck=stuck, why=why))
        counts.expired += len(outcome.confirmed)
        return outcome.confirmed

    def _put_aside(self, things: Sequence[QuarantinedItem], counts: FeedCounts) -> list[QuarantinedItem]:
        outcome = retry_batch(self._table.put_aside, things, self._patience)
        for aside in outcome.confirmed:
            log.outcome("quarantined", partition=aside.key.partition, sort=aside.key.sort, reason=aside.reason)
        left, stuck = len(things) - len(outcome.confirmed), len(outcome.unconfirmed)
        counts.add(FeedCounts(quarantined=len(outcome.confirmed), left=left, stuck=stuck, why=outcome.last_error))
        return outcome.confirmed


def _part(key: Key, text: str, why: str) -> QuarantinedItem:
    """Of a bundle, told from others by what it holds."""
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    return QuarantinedItem(
        Key(key.partition, f"{key.sort}-{mark}"), {"text": {"S": text}}, f"no member of a bundle: {why}"
    )


def _items(job: Job) -> int:
    return (
        len(job.bundles)
        if isinstance(job, BundleGroup)
        else len(job.things if isinstance(job, UnreadableItems) else job.schedules)
    )


def _units(job: Job) -> int:
    """About what deleting it will take."""
    if isinstance(job, BundleGroup):
        return sum(1 + len(bundle.packed) // 1024 for bundle in job.bundles)
    return (
        len(job.things)
        if isinstance(job, UnreadableItems)
        else sum(1 + len(each.data) // 1024 for each in job.schedules)
    )
