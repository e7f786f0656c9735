"""The feed of one partition: take its lease, move what is within reach, and where more is waiting, begin again.

A feed that runs out of time hands its lease and its position to a feed that it invokes itself, until the next trigger
takes over. What AWS did not confirm in this run is left to Lambda's retry: the feed ends with an error, so that it
comes back 60 and 120 s later, early enough for everything that was in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any, Protocol

from scheduler import leasing, log, moving, reading
from scheduler.crew import Crew
from scheduler.errors import NotConfirmed
from scheduler.leasing import Lease
from scheduler.limits import PARTITIONS_MAX
from scheduler.moving import Mover, Tally
from scheduler.patience import Patience
from scheduler.reading import Position, Reader, Strand, Task


class Table(leasing.Table, moving.Table, reading.Table, Protocol):
    pass


@dataclass(frozen=True, slots=True)
class Order:
    """What the trigger, or a feed before this one, asks for."""

    partition: str
    until_s: float | None = None
    inherited: str | None = None
    start: Position = Position()
    pace: float | None = None
    """Write units a second that the feed before found the table to take."""

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Order:
        partition = event["partition"]
        if partition not in map(str, range(PARTITIONS_MAX)):
            raise ValueError(f"partition is {partition!r}; wanted: a string from '0' to '{PARTITIONS_MAX - 1}'")
        start = Position(**event.get("position", {}))
        return cls(partition, event.get("until"), event.get("lease"), start, event.get("pace"))

    def followed_by(self, holder: str, position: Position, pace: float | None) -> dict[str, Any]:
        order = {"partition": self.partition, "until": self.until_s, "lease": holder, "position": asdict(position)}
        return order if pace is None else {**order, "pace": round(pace)}


@dataclass(frozen=True)
class Line:
    """What a feed works with."""

    table: Table
    queues: moving.Queues
    crew: Crew
    reach_ms: int
    invoke_again: Callable[[dict[str, Any], Patience], None]
    tell: moving.Tell


def feed(order: Order, line: Line, patience: Patience, holder: str) -> Tally:
    """Move what is within reach; the tally says what became of it. Zero of everything where another feed is at it."""
    ends_ms = int((patience.deadline_s + moving.RESERVE_S) * 1000)
    lease = Lease(order.partition, int((order.until_s or 0) * 1000), holder, ends_ms)
    if not leasing.take(lease, line.table, patience, order.inherited):
        log.outcome("doubled", partition=order.partition)
        return Tally()
    handed_over = False
    try:
        reader = Reader(order.partition, line.table, patience, line.reach_ms, order.start)
        mover = Mover(line.table, line.queues, patience, line.tell, order.pace)
        tally = _move(reader, line, mover)
        log.outcome("fed", partition=order.partition, more=reader.more, **asdict(tally))
        following = order.followed_by(holder, reader.position, mover.units_per_s)
        handed_over = _go_on(order, following, reader, tally, line, patience)
    finally:
        if not handed_over:
            leasing.end(lease, line.table)
    return tally


def _move(reader: Reader, line: Line, mover: Mover) -> Tally:
    """All are added up as they come: what is kept does not grow with what is fed."""
    total, adding = Tally(), Lock()
    unfinished: list[tuple[Strand, str]] = []

    def work(task: Task) -> None:
        tally = mover.work(task.job)
        with adding:
            total.add(tally)
            if tally.left:
                unfinished.append((task.strand, task.page_sort))

    line.crew.run(work, reader.tasks(line.queues.url_of))
    for strand, page_sort in unfinished:
        reader.again(strand, page_sort)
    return total


def _go_on(
    order: Order, following: dict[str, Any], reader: Reader, tally: Tally, line: Line, patience: Patience
) -> bool:
    """Whether a continuation has the lease now. It takes up what this run left, but only where this run got through
    with something: against a wall, Lambda's retry with its waits is the better one to come back."""
    in_time = order.until_s is not None and patience.clock() < order.until_s
    if reader.more and in_time and (tally.deleted or tally.lightened or not tally.left):
        line.invoke_again(following, patience)
        return True
    if tally.left or tally.held:
        count = tally.left + tally.held
        raise NotConfirmed(f"partition {order.partition}: {count} schedules were not confirmed: {tally.why}")
    return False
