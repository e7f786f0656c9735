"""Move schedules from the table to their queues, one job at a time. Send first, delete second.

A crash between send and delete repeats the job. The opposite order would lose it. Schedules that were not confirmed
stay in the table. A bundle that was sent in part is written back with its unsent members, so that no member is sent
again. That write is conditional on the bundle being unchanged since it was read.

An item that can never be sent is quarantined: the mover writes it under `quarantine`, and then deletes the original. A
crash in between leaves both items, and the next feed quarantines the same item again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from scheduler import log
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch
from scheduler.feeding import jobs
from scheduler.feeding.jobs import BundleGroup, FeedCounts, Job, JobCounts, QuarantinedItem, UnreadableItems
from scheduler.feeding.outgoing import FOREIGN_TRIES_MAX, Outgoing
from scheduler.feeding.write_rate import WriteRateLimiter
from scheduler.measuring.metrics import NO_METRICS, Metrics
from scheduler.model import failure_report
from scheduler.model.bundle import Bundle, Unpackable
from scheduler.model.delivery_options import DeliveryOptions
from scheduler.model.failure_report import Report
from scheduler.model.schedule import Key, Schedule
from scheduler.placing.sending import Queues as SendingQueues
from scheduler.placing.sending import SendChunk, send_chunks

if TYPE_CHECKING:
    from scheduler.feeding.tally import Tally
    from scheduler.placing.near_names import Row

FEED_THREADS_MAX = 16
"""At most so many chunks are sent and not deleted yet."""
FEED_RESERVE_S = 6
"""Time kept back to end cleanly: the last send may take 5 s, and the schedules that it sent must be deleted."""

TO_THE_END_TRIES_MAX = 32

UNAVAILABLE_IN_TABLE_MS_MAX = 24 * 3600 * 1000
"""How long an overdue schedule waits for a queue that is missing or denies access, before it is quarantined."""
NEWER_MS_MAX = UNAVAILABLE_IN_TABLE_MS_MAX
"""How long an overdue item that only newer code can send waits for an update."""

Reported = TypeVar("Reported")


class Table(Protocol):
    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]: ...
    def delete(self, keys: Sequence[Key]) -> BatchResult[Key]: ...
    def put_failed(self, reports: Sequence[Report[Schedule]]) -> BatchResult[Report[Schedule]]: ...
    def quarantine(self, things: Sequence[QuarantinedItem]) -> BatchResult[QuarantinedItem]: ...
    def write_back(self, read: Bundle, kept: Bundle) -> BatchResult[Bundle]: ...


class Queues(SendingQueues, Protocol):
    def report(self, reports: Sequence[Report[Schedule]]) -> BatchResult[Report[Schedule]]: ...
    def send_to_delivery(self, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]: ...


class Mover:
    """Works on one job at a time in each thread. All threads of a run share one mover."""

    def __init__(
        self,
        table: Table,
        queues: Queues,
        deadline: Deadline,
        units_per_s: float | None = None,
        tally: Tally | None = None,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._table, self._queues, self._deadline = table, queues, deadline
        self._tally, self._metrics = tally, metrics
        # May use the reserve: a sent schedule that is neither deleted nor written back would be sent twice.
        self._to_the_end = replace(
            deadline, deadline_s=deadline.deadline_s + FEED_RESERVE_S - 1, tries_max=TO_THE_END_TRIES_MAX
        )
        self._short = replace(deadline, tries_max=FOREIGN_TRIES_MAX)
        self._write_rate = WriteRateLimiter(deadline.clock, deadline.sleep, units_per_s)
        self._outgoing = Outgoing(queues, deadline, metrics)
        self._failing_destinations: dict[str, str] = {}
        """The queues that do not accept reports of expired schedules, each with its reason."""

    def of(self, table: Table, queues: Queues, tally: Tally | None) -> Mover:
        """Return a mover for the items of an application, which shares what this one knows of the queues.

        Its writes have a separate rate, because its items have another hash key.
        """
        theirs = copy(self)
        theirs._table, theirs._queues, theirs._outgoing = table, queues, self._outgoing.of(queues)
        theirs._tally = tally
        theirs._write_rate = WriteRateLimiter(self._deadline.clock, self._deadline.sleep)
        return theirs

    @property
    def units_per_s(self) -> float | None:
        """The write rate that the table accepted, or None if it has not throttled."""
        return self._write_rate.units_per_s

    def work(self, job: Job) -> FeedCounts:
        counts, units = JobCounts(), jobs.write_units(job)
        if not self._write_rate.begin(units, self._deadline.deadline_s):
            return FeedCounts(left=jobs.item_count(job), why="time is over")
        try:
            finished = self._send_all(job, counts)
            if self._tally is not None:
                self._tally.end_job(job, counts)
            outcome = self._delete(finished, units / jobs.item_count(job))
        finally:
            self._write_rate.end(units)
        counts.add(FeedCounts(deleted=len(outcome.confirmed), undeleted=len(outcome.unconfirmed)))
        return counts

    def _send_all(self, job: Job, counts: JobCounts) -> list[Key]:
        """Send or quarantine the content of the job, and return the keys that are to be deleted."""
        if isinstance(job, BundleGroup):
            return [bundle.key for bundle in job.bundles if self._empty(bundle, counts)]
        if isinstance(job, UnreadableItems):
            return [item.key for item in self._quarantine(self._given_up(job.things, counts), counts)]
        return [schedule.key for schedule in self._release(job, counts)]

    def _delete(self, finished: Sequence[Key], units_each: float) -> BatchResult[Key]:
        throttled: set[Key] = set()

        def delete(keys: Sequence[Key]) -> BatchResult[Key]:
            outcome = self._table.delete(keys)
            again = keys[0] in throttled  # `retry_batch` retries throttled keys after all others.
            throttled.update(outcome.unconfirmed)
            self._write_rate.observe(len(outcome.confirmed) * units_each, len(outcome.unconfirmed) * units_each, again)
            return outcome

        outcome = retry_batch(delete, finished, self._to_the_end)
        outcome.unconfirmed += outcome.not_attempted
        return outcome

    def _release(self, chunk: SendChunk, counts: JobCounts) -> list[Schedule]:
        """Send, report or quarantine each schedule. Return the schedules that may be deleted."""
        now_ms = self._deadline.now_ms()
        expired = [schedule for schedule in chunk.schedules if schedule.expired(now_ms)]
        if expired:
            chunk = SendChunk(chunk.queue_url, [each for each in chunk.schedules if each not in expired])
        outcome = self._outgoing.send(chunk, counts)
        finished = self._listed(outcome.confirmed, counts)
        counts.sent += len(outcome.confirmed)
        if self._tally is not None:
            counts.released += self._tally.straight(outcome.confirmed)
        given_up = [each for each in outcome.unavailable if now_ms - each[0].due_ms > UNAVAILABLE_IN_TABLE_MS_MAX]
        counts.closed += len(outcome.unavailable) - len(given_up)
        refused = [*outcome.rejected, *given_up]
        if refused and not self._stops(bool(finished), len(refused), counts):
            to_quarantine = [QuarantinedItem(schedule.key, schedule, reason) for schedule, reason in refused]
            finished += [
                item.content for item in self._quarantine(to_quarantine, counts) if isinstance(item.content, Schedule)
            ]
        if expired and not self._stops(bool(finished), len(expired), counts):
            finished += self._drop(expired, now_ms, counts)
        return finished

    def _stops(self, begun: bool, count: int, counts: JobCounts) -> bool:
        """Return whether time is over, and count the schedules as left if so. A job may always make its first call."""
        if not (begun and count and self._deadline.passed()):
            return False
        counts.add(FeedCounts(left=count, why="time is over"))
        return True

    def _listed(self, sent: list[Schedule], counts: JobCounts) -> list[Schedule]:
        """Write the list rows of sent names, and return the schedules that are finished.

        If the row of a name cannot be written, its timer stays in the table. There the list finds it, and the next tick
        sends it once more.
        """
        if all(each.name is None for each in sent):
            return sent
        from scheduler.placing import near_names

        unlisted = near_names.write(map(near_names.entry_of, sent), self._table, self._short)
        counts.add(FeedCounts(undeleted=len(unlisted)))
        return [each for each in sent if each.id not in unlisted]

    def _empty(self, bundle: Bundle, counts: JobCounts) -> bool:
        """Release the members of a bundle. Return whether none is left, so that the bundle may be deleted."""
        if self._stops(counts.sent > 0, bundle.count, counts):
            return False
        try:
            contents = bundle.unpacked()
        except Unpackable as fault:
            return bool(self._quarantine([QuarantinedItem(bundle.key, bundle, str(fault))], counts))
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

    def _sort_out(self, bundle: Bundle, broken: Mapping[str, str], counts: JobCounts) -> list[str]:
        """Quarantine each unreadable member. Return those that have to stay in the bundle."""
        if self._stops(counts.sent > 0, len(broken), counts):
            return list(broken)
        unreadable = {text: _part(bundle.key, text, why) for text, why in broken.items()}
        done = {item.key for item in self._quarantine(list(unreadable.values()), counts)}
        return [text for text, item in unreadable.items() if item.key not in done]

    def _drop(self, expired: Sequence[Schedule], now_ms: int, counts: JobCounts) -> list[Schedule]:
        """Report and keep expired schedules, so that none disappears silently. Return those that may be deleted.

        The report comes first. A failure queue that fails for hours then leaves one kept failure, and not one for each
        try. A crash before the delete repeats both. The deliver function handles an expired schedule with a failure
        target, because two receivers must be notified. A failure target that cannot be notified then does not repeat
        the report to the failure queue.
        """
        alone: list[Report[Schedule]] = []
        with_failure_target: list[Schedule] = []
        for each in expired:
            if DeliveryOptions.read(each.terms).failure_target is None:
                alone.append(failure_report.expired(each, now_ms))
            else:
                with_failure_target.append(each)
        kept = self._kept(self._reported("failure queue", self._queues.report, alone, counts), counts)
        self._metrics.ended("expired", len(kept))
        for schedule in kept:
            log.outcome("expired", id=schedule.id)
        finished = kept
        counts.dropped += len(kept)
        if not self._stops(bool(kept), len(with_failure_target), counts):
            send = partial(self._queues.send_to_delivery, now_ms=now_ms)
            finished += self._reported("delivery queue", send, with_failure_target, counts)
        counts.expired += len(finished)
        return finished

    def _kept(self, reports: Sequence[Report[Schedule]], counts: JobCounts) -> list[Schedule]:
        """Write the failures that the operation `failures` shows. Return the schedules whose failure is kept."""
        outcome = retry_batch(self._table.put_failed, reports, self._short)
        left, stuck = len(reports) - len(outcome.confirmed), len(outcome.unconfirmed)
        counts.add(FeedCounts(left=left, stuck=stuck, why=outcome.last_error if left else ""))
        return [report.schedule for report in outcome.confirmed]

    def _reported(
        self,
        destination: str,
        call: Callable[[Sequence[Reported]], BatchResult[Reported]],
        expired: Sequence[Reported],
        counts: JobCounts,
    ) -> list[Reported]:
        """Report expired schedules to one queue, and return the confirmed ones.

        After a batch without any confirmation, this run sends nothing more to that queue. Other schedules need the
        time.
        """
        if destination in self._failing_destinations:
            counts.add(FeedCounts(held=len(expired), why=self._failing_destinations[destination]))
            return []
        outcome = retry_batch(call, expired, self._short)
        not_done = len(expired) - len(outcome.confirmed)
        reasons = [reason for _, reason in [*outcome.unavailable, *outcome.rejected]]
        why = f"{destination}: {reasons[0] if reasons else outcome.last_error}"
        if not_done and not outcome.confirmed:
            self._failing_destinations[destination] = why
            counts.add(FeedCounts(held=not_done, why=why))
        elif not_done:
            stuck = not_done - len(outcome.not_attempted)
            counts.add(FeedCounts(left=not_done, stuck=stuck, why=why))
        return outcome.confirmed

    def _given_up(self, things: Sequence[QuarantinedItem], counts: JobCounts) -> list[QuarantinedItem]:
        """Return the items to quarantine. An item of a newer format waits for newer code, for a day at most."""
        now_ms = self._deadline.now_ms()
        waiting = [each for each in things if each.newer and now_ms - each.key.due_ms <= NEWER_MS_MAX]
        counts.add(FeedCounts(held=len(waiting), why=waiting[0].reason if waiting else ""))
        return [each for each in things if each not in waiting]

    def _quarantine(self, things: Sequence[QuarantinedItem], counts: JobCounts) -> list[QuarantinedItem]:
        outcome = retry_batch(self._table.quarantine, things, self._deadline)
        for item in outcome.confirmed:
            log.outcome("quarantined", partition=item.key.partition, sort=item.key.sort, reason=item.reason)
        left, stuck = len(things) - len(outcome.confirmed), len(outcome.unconfirmed)
        counts.add(FeedCounts(quarantined=len(outcome.confirmed), left=left, stuck=stuck, why=outcome.last_error))
        counts.spoiled += sum(item.schedule_count for item in outcome.confirmed)
        return outcome.confirmed


def _part(key: Key, text: str, why: str) -> QuarantinedItem:
    """Return the quarantined item of an unreadable member. A hash of the member makes its key unique."""
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    return QuarantinedItem(
        Key(key.partition, f"{key.sort}-{mark}"), {"text": {"S": text}}, f"no member of a bundle: {why}"
    )
