"""Feed one partition: take its lease, move the schedules within reach, and invoke another feed if more are waiting.

A feed that runs out of time invokes the next feed, and hands over its lease and its position. The chain of feeds ends
when the next trigger takes over. Every chain is bounded: its first feed fixes the horizon, and it goes back to unsent
schedules a limited number of times.

The last feed raises an error if AWS has not confirmed all schedules. Lambda then retries it after 60 and 120 s. That is
early enough for all schedules that were in time.

The feed of a partition also looks at the applications that the trigger tells (`glances`). An application with much to
do has a feed of its own, with the lease and the line `<partition>#<application>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from scheduler import log
from scheduler.counting.ledger import NO_LEDGER, Ledger
from scheduler.errors import NotConfirmed, reason
from scheduler.execution.deadline import Deadline
from scheduler.execution.worker_pool import WorkerPool
from scheduler.feeding import lease as leasing
from scheduler.feeding import mover as moving
from scheduler.feeding import reader as reading
from scheduler.feeding import run_line
from scheduler.feeding.jobs import FeedCounts
from scheduler.feeding.lease import Lease
from scheduler.feeding.mover import Mover
from scheduler.feeding.reader import Position, Reader, Task
from scheduler.feeding.run import Run
from scheduler.feeding.tally import PageCount, Tally
from scheduler.limits import PARTITIONS_MAX
from scheduler.measuring.metrics import NO_METRICS, Metrics
from scheduler.value_class import value_class

if TYPE_CHECKING:
    from scheduler.feeding.glances import Glance, Glances, Parts
    from scheduler.model.schedule import Schedule


class Table(leasing.Table, moving.Table, reading.Table, run_line.Table, Protocol):
    pass


CALLS_AT_END = 6
"""Calls that the reserve has to cover: the last send, the write of an expiry, two deletes after it, and the invocation
of the next feed. One more is added because the duration of calls varies."""
EARLIER_S_MAX = 8
"""The feed stops at most this much earlier, so that even a slow feed has time to work."""
TURNS_MAX = 3
"""How many feeds in a row go back at once to schedules that the stack's own queues or table did not confirm."""
ROUNDS_MAX = 3
"""How often a chain of feeds goes back, at its end, to the schedules that it skipped."""


@value_class
class FeedEvent:
    """The input of a feed. The trigger sends it, or the feed before this one."""

    partition: str
    until_s: float | None = None
    inherited: str | None = None
    start: Position = Position()
    units_per_s: float | None = None
    """The write units per second that the table accepted in the feed before."""
    horizon: str | None = None
    """The sort key at which the whole chain ends. The first feed sets it."""
    behind: str | None = None
    """The first sort key of the earliest page that the chain skipped with unsent schedules."""
    turns: int = 0
    """How many feeds in a row before this one lacked a confirmation from the stack's own queues or table."""
    rounds: int = 0
    """How often this chain has gone back to the pages that it skipped."""
    applications: tuple[str, ...] = ()
    """The applications to look at, beside the owner's schedules."""
    application: str = ""
    """The only application that this feed is for. It is empty for the feed of a partition."""

    @property
    def lease_name(self) -> str:
        """The name of this feed in its lease, its line and the log."""
        return f"{self.partition}#{self.application}" if self.application else self.partition

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> FeedEvent:
        partition = event["partition"]
        if partition not in map(str, range(PARTITIONS_MAX)):
            raise ValueError(f"partition is {partition!r}; wanted: a string from '0' to '{PARTITIONS_MAX - 1}'")
        start = Position(**event.get("position", {}))
        chain = (event.get("horizon"), event.get("behind"), event.get("turns", 0), event.get("rounds", 0))
        found = cls(partition, event.get("until"), event.get("lease"), start, event.get("pace"), *chain)
        if "applications" not in event and "application" not in event:
            return found
        from scheduler.feeding import glances

        return replace(found, **glances.of_event(event))

    def event(self) -> dict[str, Any]:
        """Return the Lambda event that `read` turns back into this object."""
        facts: dict[str, Any] = {
            "partition": self.partition,
            "until": self.until_s,
            "lease": self.inherited,
            "position": asdict(self.start),
            "pace": None if self.units_per_s is None else round(self.units_per_s),
            "horizon": self.horizon,
            "behind": self.behind,
            "turns": self.turns,
            "rounds": self.rounds,
            "applications": list(self.applications) or None,
            "application": self.application or None,
        }
        return {name: value for name, value in facts.items() if value is not None}


@value_class
class FeedDependencies:
    """The table, queues and settings that a feed needs."""

    table: Table
    queues: moving.Queues
    pool: WorkerPool
    reach_ms: int
    invoke_again: Callable[[dict[str, Any], Deadline], None]
    parts_of: Callable[[str], Parts] | None = None
    """Returns the table and the queues of an application."""
    ledger: Ledger = NO_LEDGER
    metrics: Metrics = NO_METRICS

    def of(self, application: str) -> Parts:
        if self.parts_of is None:
            raise ValueError("this feed reads no applications")
        return self.parts_of(application)


def feed(event: FeedEvent, dependencies: FeedDependencies, deadline: Deadline, holder: str) -> FeedCounts:
    """Move the schedules within reach, and return how many were sent, expired, quarantined or left.

    All counts are zero if another feed of the same tick, or of a later one, holds the lease.
    """
    leases = leasing.Timed(dependencies.table, deadline.clock)
    ends_ms = int((deadline.deadline_s + moving.FEED_RESERVE_S) * 1000)
    lease = Lease(event.lease_name, int((event.until_s or 0) * 1000), holder, ends_ms)
    run, begun_ms = Run(), deadline.now_ms()
    if not leasing.take(lease, leases, deadline, event.inherited):
        log.outcome("doubled", partition=event.lease_name)
        return FeedCounts()
    try:
        _feed(event, dependencies, _earlier(deadline, leases.slowest_s), lease, run)
    except Exception as failure:
        run.failure = reason(failure)
        raise
    finally:
        dependencies.metrics.fed(run.total.sent, run.total.quarantined)
        _correct(dependencies.ledger, deadline, ends_ms)
        run_line.write(run.as_line(lease, begun_ms, deadline.now_ms()), dependencies.table, deadline.clock, ends_ms)
    return run.total


def _feed(event: FeedEvent, dependencies: FeedDependencies, deadline: Deadline, lease: Lease, run: Run) -> None:
    handed_over, is_fed = False, False
    try:
        its = dependencies.of(event.application) if event.application else dependencies
        tally = Tally.begin(its.ledger, deadline)
        bounds = deadline, dependencies.reach_ms, event.start
        reader = Reader(event.partition, its.table, *bounds, horizon=event.horizon, tally=tally)
        mover = Mover(its.table, its.queues, deadline, event.units_per_s, tally, dependencies.metrics)
        glances = _glances(event, reader, mover, dependencies, deadline) if event.applications else None
        _move(event, its.queues.url_of, reader, mover, run, pool=dependencies.pool, glances=glances)
        if tally is not None:
            tally.end()
        log.outcome("fed", partition=event.lease_name, more=reader.more, **asdict(run.counts))
        continuation = _continuation(event, run, reader)
        if continuation is not None:
            continuation = replace(continuation, applications=run.applications_left)
        if continuation is not None and event.until_s is not None and deadline.clock() < event.until_s:
            chain: dict[str, Any] = {"inherited": lease.holder, "horizon": reader.horizon}
            continuation = replace(continuation, units_per_s=mover.units_per_s, **chain)
            dependencies.invoke_again(continuation.event(), deadline)
            handed_over = True
        elif run.counts.left or run.counts.held or run.applications_left:
            raise NotConfirmed(_unfinished(event, run))
        is_finished = continuation is None and event.behind is None
        is_fed = is_finished and dependencies.metrics.on and not event.application
    finally:
        if not handed_over:
            leasing.end(lease, dependencies.table, deadline.now_ms() if is_fed else None)


def _correct(ledger: Ledger, deadline: Deadline, ends_ms: int) -> None:
    """Write what the run took back. Without the time for a call, a later run of this environment does so."""
    if deadline.clock() + run_line.CALL_S < ends_ms / 1000:
        ledger.settle(replace(deadline, tries_max=1))
    elif ledger.on:
        log.outcome("not corrected yet", error="time is over")


def _unfinished(event: FeedEvent, run: Run) -> str:
    count, left = run.counts.left + run.counts.held, len(run.applications_left)
    said = f"partition {event.lease_name}: {count} schedules were not confirmed: {run.counts.why}"
    return f"{said}; {left} applications were not looked at: {run.beside.why}" if left else said


def _earlier(deadline: Deadline, call_s: float) -> Deadline:
    """Return a deadline that is earlier if the slowest call for the lease was slow.

    The calls after the last send have to fit into the reserve. Otherwise Lambda ends the function before it has invoked
    the next feed.
    """
    over_s = CALLS_AT_END * call_s - moving.FEED_RESERVE_S
    return deadline if over_s <= 0 else replace(deadline, deadline_s=deadline.deadline_s - min(over_s, EARLIER_S_MAX))


def _glances(
    event: FeedEvent, reader: Reader, mover: Mover, dependencies: FeedDependencies, deadline: Deadline
) -> Glances:
    """Return what looks at the applications, beside the owner's schedules."""
    from scheduler.feeding.glances import Glances

    def hand_over(application: str) -> None:
        of_its_own = FeedEvent(event.partition, event.until_s, application=application)
        dependencies.invoke_again(of_its_own.event(), deadline)

    return Glances(event.partition, reader.end, mover, dependencies.of, hand_over, deadline)


def _move(
    event: FeedEvent,
    url_of: Callable[[Schedule], str],
    reader: Reader,
    mover: Mover,
    run: Run,
    *,
    pool: WorkerPool,
    glances: Glances | None,
) -> None:
    """Move all schedules that the reader finds, look at the applications, and decide where the next feed begins."""
    adding, unfinished = Lock(), list[tuple[Task, FeedCounts]]()

    def work(task: Task | PageCount | Glance) -> None:
        if isinstance(task, PageCount):
            task.write()
        elif isinstance(task, Task):
            counts = log.about(event.application, mover.work, task.job)
            with adding:  # At once, so that memory does not grow with the number of schedules.
                run.counts.add(counts)
                if counts.left or counts.held:
                    unfinished.append((task, counts))
        elif glances is not None:
            log.about(task.application, glances.work, task.application)

    if glances is not None:  # Before the work, because an error ends it.
        run.beside = glances.counts
    owners = reader.tasks(url_of)
    pool.run(work, owners if glances is None else glances.between(owners, event.applications))
    if glances is not None:
        run.applications_left = tuple(glances.left)
    _go_back(event, unfinished, reader, run)


def _go_back(event: FeedEvent, unfinished: list[tuple[Task, FeedCounts]], reader: Reader, run: Run) -> None:
    """Let the next feed begin with the schedules that this feed had no time for.

    The same holds for those that the stack's own queues or table did not confirm, for up to `TURNS_MAX` feeds in a row.
    The chain skips all other unsent schedules.
    """
    run.turns = event.turns + 1 if run.counts.stuck else 0
    for task, counts in unfinished:
        if counts.left > counts.stuck or (counts.stuck and run.turns <= TURNS_MAX):
            reader.again(task.time_range, task.page_sort)
        else:
            run.behind = _first(run.behind, task.page_sort)


def _continuation(event: FeedEvent, run: Run, reader: Reader) -> FeedEvent | None:
    """Return the event of the next feed, or None if the chain ends here.

    The chain ends if schedules are left and none got through. Lambda's retry is better then, because it waits first.
    The last feed of a chain goes back to the pages that the chain skipped. If they still fail, Lambda retries that feed
    after 60 and 120 s, without the rest of the chain.
    """
    counts = run.counts
    if not (reader.more or counts.left or counts.held) and run.applications_left and event.behind is None:
        return replace(event, start=reader.position, turns=0)
    if reader.more:
        stands_still = counts.left and not (counts.deleted or counts.lightened)
        behind = _first(event.behind, run.behind)
        return None if stands_still else replace(event, start=reader.position, behind=behind, turns=run.turns)
    if event.behind is None or event.rounds >= ROUNDS_MAX:
        return None
    behind = min(event.behind, run.behind or event.behind)
    return replace(event, start=reader.position.back_to(behind), behind=None, turns=0, rounds=event.rounds + 1)


def _first(one: str | None, other: str | None) -> str | None:
    return min((sort for sort in (one, other) if sort is not None), default=None)
