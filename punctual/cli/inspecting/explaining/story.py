"""The sentences about a schedule that the stack has: where it is, what moved it, and why it was late if it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from punctual.cli import times
from punctual.cli.inspecting.explaining.evidence import LATE, Evidence
from punctual.cli.inspecting.explaining.feed import NOTED, Feed
from punctual.cli.output import counted
from punctual.cli.schedules import shown

if TYPE_CHECKING:
    from punctual import FeedRun, Schedule

DOCTOR = "punctual doctor names the fault"
UNEXPLAINED = "no reason is noted"
FEED_NOW = "To feed all partitions now: aws lambda invoke --function-name {function} /dev/null"


@dataclass(frozen=True)
class Clock:
    """Shows times in the zone of the reader, with their distance from now."""

    now: datetime
    zone: times.Zone

    def at(self, time: datetime) -> str:
        return f"{self.zone.shown(time)} ({shown.distance(time, self.now)})"


class Story:
    """Tells what is known about one schedule, in the order in which it happened."""

    def __init__(self, evidence: Evidence, schedule: Schedule, zone: times.Zone, trigger: str) -> None:
        self._found, self._schedule = evidence, schedule
        self._at = Clock(evidence.now, zone).at
        self._trigger = trigger

    def sentences(self) -> Iterator[str]:
        schedule = self._schedule
        what = f"{schedule.name} (id {schedule.id})" if schedule.name else schedule.id
        tense = "is" if schedule.due > self._found.now else "was"
        yield f"{what} {tense} due {self._at(schedule.due)}. It goes to {_target(schedule)}."
        yield self._accepted()
        yield from self._state()
        yield from self._attempts()
        yield from self._lateness()

    # ------------------------------------------------------------------------------------------------- the state

    def _accepted(self) -> str:
        schedule = self._schedule
        if schedule.accepted is None:
            if schedule.name is None:
                return "It has no name, so the stack does not note when it was accepted and what becomes of it."
            return "The stack did not note when it was accepted."
        gap, after = _gap(schedule.accepted, schedule.due), schedule.accepted > schedule.due
        return f"It was accepted {self._at(schedule.accepted)}, {gap} {'after' if after else 'before'} its time."

    def _state(self) -> Iterator[str]:
        by_verdict: dict[str, Callable[[], Iterator[str]]] = {
            "stored": self._stored,
            "queued": self._queued,
            "retrying": self._retrying,
            "overdue": self._overdue,
            "delivered": self._delivered,
            "failed": self._failed,
            "expired": self._failed,
            "cancelled": self._cancelled,
        }
        yield from by_verdict[self._found.verdict]()

    def _stored(self) -> Iterator[str]:
        yield "It is stored in the table."
        feed = self._found.feed
        if feed is None:
            return
        if feed.reachable > self._found.now:
            yield (
                f"The feed of partition {feed.partition} moves it to its queue from {self._at(feed.reachable)} on, "
                f"and until {self._at(feed.latest)}."
            )
        else:
            yield (
                f"It is within reach, and the next feed of partition {feed.partition} moves it to its queue, "
                f"until {self._at(feed.latest)}."
            )
        yield from self._health(feed)

    def _health(self, feed: Feed) -> Iterator[str]:
        """Tell whether the feed runs now."""
        if feed.unknown:
            yield f"Whether that feed runs is not known: {feed.unknown}."
        elif feed.last is None:
            yield (
                f"No run of that feed is noted since {self._at(feed.since)}. "
                f"If the stack is older than that, its feed does not run: {DOCTOR}."
            )
        elif feed.last.left or feed.last.error:
            yield f"The last run of that feed, {self._at(feed.last.begun)}, {_shortfall(feed.last)}."
        else:
            yield f"That feed last ran {self._at(feed.last.begun)}."

    def _queued(self) -> Iterator[str]:
        if self._found.in_table is None:
            yield (
                "It waits in the table for its feed, or in the delivery queue for its time. "
                f"Which of them is not known: {self._found.unread}."
            )
        else:
            yield "It has left the table: a message of the delivery queue delivers it at its time."
            yield from self._moved()
        yield from self._counts("delivery")

    def _moved(self) -> Iterator[str]:
        """Tell how it came into the queue."""
        feed = self._found.feed
        if feed is None:
            return
        if self._found.went_straight:
            yield "It was within reach when it was accepted, so it went straight to the queue, without a feed."
        elif feed.unknown:
            yield f"Which feed moved it is not known: {feed.unknown}."
        elif movers := feed.movers(self._began() or self._found.now):
            yield f"The feed of partition {feed.partition} moved it{which_run(movers, self._found.now, self._at)}."
        elif self._schedule.accepted is None:
            yield "It may have gone straight to the queue, without a feed."
        else:
            yield (
                f"The feed of partition {feed.partition} has noted no run since {self._at(feed.reachable)} that moved "
                "a schedule. A run notes what it moved when it ends, and nothing if it crashes."
            )

    def _retrying(self) -> Iterator[str]:
        schedule = self._schedule
        if schedule.attempts:
            yield f"{counted(schedule.attempts, 'attempt')} failed. The last error: {schedule.error or 'unknown'}."
        else:
            yield f"Its delivery was postponed, which is not an attempt. The reason: {schedule.error or 'unknown'}."
        if schedule.next_attempt is not None:
            yield f"The next attempt is {self._at(schedule.next_attempt)}."

    def _overdue(self) -> Iterator[str]:
        feed, schedule = self._found.feed, self._schedule
        past = self._found.now > schedule.due
        if self._found.in_table is None:
            yield f"It is not delivered {_gap(self._found.now, schedule.due)} after its time."
            yield f"Whether it is still in the table is not known: {self._found.unread}."
            yield from self._counts("delivery")
            yield from self._counts("dead letters")
            yield f"To find the cause: {DOCTOR}."
            return
        if self._found.in_table and feed is not None:
            late = f", {_gap(self._found.now, schedule.due)} after its time" if past else ""
            yield (
                f"It is still in the table{late}. "
                f"The feed of partition {feed.partition} had to move it until {self._at(feed.latest)}."
            )
            yield from self._why_not_fed(feed)
            yield f"To find the cause: {DOCTOR}. {FEED_NOW.format(function=self._trigger)}."
            return
        yield f"It has left the table, but it is not delivered {_gap(self._found.now, schedule.due)} after its time."
        yield from self._moved()
        yield from self._counts("delivery")
        yield from self._counts("dead letters")
        yield f"The deliver function fails, is throttled, or does not read its queue: {DOCTOR}."

    def _why_not_fed(self, feed: Feed) -> Iterator[str]:
        left = feed.incomplete(self._found.now)
        if feed.unknown:
            yield f"What that feed did is not known: {feed.unknown}."
        elif left is not None:
            yield f"Its run of {self._at(left.begun)} {_shortfall(left)}."
        elif feed.last is None:
            yield f"No run of that feed is noted since {self._at(feed.since)}: the feed does not run."
        elif feed.first is None:
            yield f"That feed last ran {self._at(feed.last.begun)}, before it could: the feed does not run any more."
        else:
            yield f"That feed ran {self._at(feed.last.begun)} and did not move it; the next one tries again."

    def _delivered(self) -> Iterator[str]:
        schedule = self._schedule
        if schedule.changed is not None:
            late_s = (schedule.changed - schedule.due).total_seconds()
            yield f"It was delivered {self._at(schedule.changed)}, {_seconds(late_s)} after its time."
        yield from self._moved()

    def _failed(self) -> Iterator[str]:
        schedule, failure = self._schedule, self._found.failure
        word = "expired" if self._found.verdict == "expired" else "failed"
        when = f" {self._at(schedule.changed)}" if schedule.changed is not None else ""
        tried = f" after {counted(schedule.attempts, 'attempt')}" if schedule.attempts else " without an attempt"
        yield f"It {word}{when}{tried}: {schedule.error or 'no error is noted'}."
        if schedule.name is None:
            yield "The feed set it aside in the quarantine, because it can never be sent."
        if failure is not None:
            yield f"punctual redrive {schedule.id} schedules it again, once the cause is mended."

    def _cancelled(self) -> Iterator[str]:
        changed = self._schedule.changed
        yield f"It was cancelled{'' if changed is None else ' ' + self._at(changed)}, so it is not delivered."

    # ------------------------------------------------------------------------------------------------ the causes

    def _attempts(self) -> Iterator[str]:
        """List the attempts, unless the only one delivered it."""
        moments, count = self._schedule.attempt_times, self._schedule.attempts or 0
        if self._found.verdict == "delivered" and count <= 1:
            return
        if moments is None and count:
            yield "The stack did not note the times of its attempts."
        moments = moments or ()
        if count > len(moments) > 0:
            yield f"The times of its last {counted(len(moments), 'attempt')} are known."
        for number, moment in enumerate(moments, max(count, len(moments)) - len(moments) + 1):
            yield f"Attempt {number} began {self._at(moment)}."

    def _lateness(self) -> Iterator[str]:
        """Say why the first attempt began late, if it did."""
        schedule, feed = self._schedule, self._found.feed
        if self._found.verdict not in ("delivered", "failed", "expired", "retrying"):
            return
        began = schedule.attempt_times[0] if schedule.attempt_times else schedule.changed
        if (
            began is None
            or began - schedule.due <= LATE
            or (schedule.attempts or 0) > len(schedule.attempt_times or (0,))
        ):
            return
        late = _gap(began, schedule.due)
        if schedule.accepted is not None and schedule.accepted > schedule.due:
            yield f"Its delivery began {late} late, because it was accepted after its time."
        elif self._found.went_straight or feed is None:
            yield f"Its delivery began {late} late, in the queue: see the errors and throttles of the deliver function."
        else:
            yield f"Its delivery began {late} late. {self._late_feed(feed, began)}"

    def _began(self) -> datetime | None:
        """Return when the first attempt began, or when the schedule ended without one. None if it is not known."""
        schedule = self._schedule
        if self._found.verdict not in ("delivered", "failed", "expired", "retrying"):
            return None
        if schedule.attempt_times:
            return schedule.attempt_times[0] if schedule.attempts == len(schedule.attempt_times) else None
        return schedule.changed if self._found.verdict != "retrying" else None

    def _late_feed(self, feed: Feed, began: datetime) -> str:
        left = feed.incomplete(began)
        if feed.unknown:
            return f"Whether its feed was late is not known: {feed.unknown}."
        if left is not None:
            return f"The feed's run of {self._at(left.begun)} {_shortfall(left)}."
        if feed.first is None:
            return f"No run of its feed is noted that could have moved it in time: {DOCTOR}."
        if feed.first.begun > feed.latest:
            return (
                f"Its feed was late: it had to run until {self._at(feed.latest)}, and the first run was "
                f"{self._at(feed.first.begun)}."
            )
        return (
            "Its feed began in time, so it probably waited in the queue: see the errors and throttles of the deliver "
            "function."
        )

    def _counts(self, queue: str) -> Iterator[str]:
        count = self._found.queues.get(queue)
        if count is not None and (count or queue == "delivery"):
            named = "the dead-letter queue" if queue == "dead letters" else f"the {queue} queue"
            yield f"SQS counts {counted(count, 'message')} in {named}."


def which_run(movers: Sequence[FeedRun], now: datetime, at: Callable[[datetime], str]) -> str:
    """Return the end of "The feed moved it". It names one run only if no other run seems to have moved the schedule.

    A run may have handed over to another, which is not noted before its end.
    """
    first = movers[0]
    if len(movers) > 1 or first.error or first.left or now - first.ended < NOTED:
        return f", in its run of {at(first.begun)} or a later one"
    return f": its run of {at(first.begun)} moved {counted(first.moved, 'schedule')}"


def _shortfall(run: FeedRun) -> str:
    """Say what a run did not do."""
    if run.left:
        return f"left {counted(run.left, 'schedule')} in the table: {run.error or UNEXPLAINED}"
    return f"failed: {run.error}"


def _target(schedule: Schedule) -> str:
    return "the output queue" if schedule.target is None else shown.target_shown(schedule.target)


def _gap(later: datetime, earlier: datetime) -> str:
    return times.words(later - earlier)


def _seconds(seconds: float) -> str:
    """Return a lateness: with milliseconds below a minute."""
    return f"{max(seconds, 0):.3f}s" if seconds < 60 else times.words(timedelta(seconds=seconds))
