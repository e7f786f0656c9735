"""The feed of one partition: take its lease, move what is within reach, and where more is waiting, begin again.

A feed that runs out of time hands its lease and its position to a feed that it invokes itself, until the next trigger
takes over. Such a chain ends: its horizon is fixed by its first feed, and it goes back a bounded number of times to
what was not sent. What AWS did not confirm by its end is left to Lambda's retry: the last feed ends with an error, so
that it comes back 60 and 120 s later, early enough for everything that was in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from threading import Lock
from typing import Any, Protocol

from scheduler import leasing, log, moving, reading
from scheduler.crew import Crew
from scheduler.errors import NotConfirmed
from scheduler.leasing import Lease
from scheduler.limits import PARTITIONS_MAX
from scheduler.moving import Mover, Tally
from scheduler.patience import Patience
from scheduler.reading import Position, Reader, Task


class Table(leasing.Table, moving.Table, reading.Table, Protocol):
    pass


CALLS_AT_END = 5
"""A send that begins at the last moment, two deletes of what it sent, the invocation of the next feed, and one more,
since no two calls take the same time."""
EARLIER_S_MAX = 8
"""So that a feed has some time in any case."""
TURNS_MAX = 3
"""Feeds in a row that go back at once to what the stack's own queues or table did not confirm."""
ROUNDS_MAX = 3
"""How often a chain of feeds goes back, at its end, to what it has passed over."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the trigger, or a feed before this one, asks for."""

    partition: str
    until_s: float | None = None
    inherited: str | None = None
    start: Position = Position()
    pace: float | None = None
    """Write units a second that the feed before found the table to take."""
    horizon: str | None = None
    """The sort key at which the whole chain ends, as its first feed found it."""
    behind: str | None = None
    """The first sort key of a page that the feeds before have passed over, though something of it is not sent."""
    turns: int = 0
    """How many feeds in a row before this one had something of ours not confirmed."""
    rounds: int = 0
    """How often this chain has gone back to what it had passed over."""

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Order:
        partition = event["partition"]
        if partition not in map(str, range(PARTITIONS_MAX)):
            raise ValueError(f"partition is {partition!r}; wanted: a string from '0' to '{PARTITIONS_MAX - 1}'")
        start = Position(**event.get("position", {}))
        chain = (event.get("horizon"), event.get("behind"), event.get("turns", 0), event.get("rounds", 0))
        return cls(partition, event.get("until"), event.get("lease"), start, event.get("pace"), *chain)

    def event(self) -> dict[str, Any]:
        """The event of Lambda's that `read` makes this of."""
        facts: dict[str, Any] = {
            "partition": self.partition,
            "until": self.until_s,
            "lease": self.inherited,
            "position": asdict(self.start),
            "pace": None if self.pace is None else round(self.pace),
            "horizon": self.horizon,
            "behind": self.behind,
            "turns": self.turns,
            "rounds": self.rounds,
        }
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True)
class Line:
    """What a feed works with."""

    table: Table
    queues: moving.Queues
    crew: Crew
    reach_ms: int
    invoke_again: Callable[[dict[str, Any], Patience], None]


@dataclass(slots=True)
class Run:
    """What one feed has come to."""

    tally: Tally = field(default_factory=Tally)
    behind: str | None = None
    """The first page of which something is passed over."""
    turns: int = 0


def feed(order: Order, line: Line, patience: Patience, holder: str) -> Tally:
    """Move what is within reach; the tally says what became of it. Zero of everything where another feed is at it."""
    leases, ends_ms = leasing.Timed(line.table, patience.clock), int((patience.deadline_s + moving.RESERVE_S) * 1000)
    lease = Lease(order.partition, int((order.until_s or 0) * 1000), holder, ends_ms)
    if not leasing.take(lease, leases, patience, order.inherited):
        log.outcome("doubled", partition=order.partition)
        return Tally()
    handed_over = False
    patience = _earlier(patience, leases.slowest_s)
    try:
        reader = Reader(order.partition, line.table, patience, line.reach_ms, order.start, order.horizon)
        mover = Mover(line.table, line.queues, patience, order.pace)
        run = _move(reader, line, mover, order.turns)
        log.outcome("fed", partition=order.partition, more=reader.more, **asdict(run.tally))
        following = _following(order, run, reader)
        if following is not None and order.until_s is not None and patience.clock() < order.until_s:
            following = replace(following, inherited=holder, pace=mover.units_per_s, horizon=reader.horizon)
            line.invoke_again(following.event(), patience)
            handed_over = True
        elif run.tally.left or run.tally.held:
            count = run.tally.left + run.tally.held
            raise NotConfirmed(f"partition {order.partition}: {count} schedules were not confirmed: {run.tally.why}")
    finally:
        if not handed_over:
            leasing.end(lease, line.table)
    return run.tally


def _earlier(patience: Patience, call_s: float) -> Patience:
    """Stop earlier on a slow day, of which the slowest call for the lease tells: what comes after the last begun one
    has to fit into the reserve, or the function is ended before it has handed over."""
    over_s = CALLS_AT_END * call_s - moving.RESERVE_S
    return patience if over_s <= 0 else replace(patience, deadline_s=patience.deadline_s - min(over_s, EARLIER_S_MAX))


def _move(reader: Reader, line: Line, mover: Mover, turns: int) -> Run:
    """Move all that the reader finds, and decide what the next feed is to begin with.

    What time did not suffice for, and what our own queues or table did not confirm, comes first again; the latter in
    `TURNS_MAX` feeds in a row. Whatever else is not sent is passed over. All are added up as they come: what is kept
    does not grow with what is fed.
    """
    run, adding = Run(), Lock()
    unfinished: list[tuple[Task, Tally]] = []

    def work(task: Task) -> None:
        tally = mover.work(task.job)
        with adding:
            run.tally.add(tally)
            if tally.left or tally.held:
                unfinished.append((task, tally))

    line.crew.run(work, reader.tasks(line.queues.url_of))
    run.turns = turns + 1 if run.tally.stuck else 0
    for task, tally in unfinished:
        if tally.left > tally.stuck or (tally.stuck and run.turns <= TURNS_MAX):
            reader.again(task.strand, task.page_sort)
        else:
            run.behind = _first(run.behind, task.page_sort)
    return run


def _following(order: Order, run: Run, reader: Reader) -> Order | None:
    """Return what a continuation is to do, or None.

    None while something is left and nothing got through: against a wall, Lambda's retry with its waits is the better
    one to come back. The last feed of a chain goes back to what the feeds before it have passed over. If that is still
    not sent, it is Lambda's retry that comes back to it, 60 and 120 s later, without the rest of the chain.
    """
    tally = run.tally
    if reader.more:
        stands_still = tally.left and not (tally.deleted or tally.lightened)
        behind = _first(order.behind, run.behind)
        return None if stands_still else replace(order, start=reader.position, behind=behind, turns=run.turns)
    if order.behind is None or order.rounds >= ROUNDS_MAX:
        return None
    behind = min(order.behind, run.behind or order.behind)
    return replace(order, start=reader.position.back_to(behind), behind=None, turns=0, rounds=order.rounds + 1)


def _first(one: str | None, other: str | None) -> str | None:
    return min((sort for sort in (one, other) if sort is not None), default=None)
