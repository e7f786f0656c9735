"""What has come within reach in a partition, cut into jobs: what is still in time and what is overdue, in turns.

Both come page by page, so that a backlog does not make everything late, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from scheduler.execution.deadline import Deadline, retry_call
from scheduler.feeding.mover import BundleGroup, Job, QuarantinedItem, UnreadableItems
from scheduler.model.bundle import MEMBERS_MAX, Bundle
from scheduler.model.schedule import Schedule, sort_from
from scheduler.placing.sending import CHUNK_SCHEDULES_MAX, send_chunks

JOB_S = 1
"""More than a job takes while AWS is well: what is begun is then ended, and half done only where calls are slow."""
BUNDLES_MAX = 8
"""One delete for so many: what it costs hardly shows beside the sends."""
PAGE_PARCELS_MAX = 20
"""Of small schedules so many share the work with the other strand."""
PAGE_BYTES_AIM = 262_144
"""Bytes cannot be asked for, so it is the size of the items before that says how many these are. A page is in memory
four times over while it is read: its JSON as bytes and as text, the items, and what becomes of them."""


@dataclass(frozen=True, slots=True)
class Page:
    """Schedules and bundles in the order of their keys, what else lay between them, and where the next page begins."""

    schedules: list[Schedule]
    bundles: list[Bundle]
    unreadable: list[QuarantinedItem]
    next_sort: str | None

    @property
    def size_bytes(self) -> int:
        """About what it took in the table: keys and small fields do not count."""
        schedules_bytes = sum(len(each.data) + len(each.target or "") for each in self.schedules)
        return schedules_bytes + sum(len(bundle.packed) for bundle in self.bundles)


class Table(Protocol):
    def page(self, partition: str, from_sort: str, to_sort: str, items_max: int) -> Page: ...


@dataclass(frozen=True, slots=True)
class Position:
    """How far a feed has come: the sort keys where its two strands go on, and where one strand became the other."""

    overdue: str = sort_from(0)
    upcoming: str = sort_from(0)
    between: str = sort_from(0)

    def back_to(self, sort: str) -> Position:
        """Where a feed begins that has to read again what lies from this sort key on."""
        return Position(sort, sort, self.between)


@dataclass(slots=True)
class TimeRange:
    """A stretch of time, read page by page from its beginning."""

    from_sort: str
    to_sort: str
    items_max: int = CHUNK_SCHEDULES_MAX
    """On the next page. The first one only shows how large they are."""

    @property
    def ended(self) -> bool:
        return self.from_sort >= self.to_sort

    def go_on_behind(self, page: Page) -> None:
        """The next page has as many as should fit if they are like these: whole parcels, and one at least."""
        self.from_sort = self.to_sort if page.next_sort is None else page.next_sort
        fitting = (len(page.schedules) + len(page.bundles)) * PAGE_BYTES_AIM // max(1, page.size_bytes)
        self.items_max = min(PAGE_PARCELS_MAX, max(1, fitting // CHUNK_SCHEDULES_MAX)) * CHUNK_SCHEDULES_MAX


@dataclass(frozen=True, slots=True)
class Task:
    """A job, and the page that it is from."""

    job: Job
    strand: TimeRange
    page_sort: str


class Reader:
    """Reads one partition from a position on, until it ends or patience does.

    `horizon` is where the first feed of a chain found the end of what is within reach. It stays for the whole chain:
    what comes within reach meanwhile is for the next tick, or a steady inflow would keep a chain going for ever.
    """

    def __init__(
        self,
        partition: str,
        table: Table,
        deadline: Deadline,
        reach_ms: int,
        start: Position,
        horizon: str | None = None,
    ) -> None:
        now_ms = deadline.now_ms()
        # This clock may be behind that of the feed before: what was upcoming there is not to fall between the strands.
        now, reach = max(sort_from(now_ms), start.between), sort_from(now_ms + reach_ms)
        self.horizon = reach if horizon is None else horizon
        self._partition, self._table, self._patience = partition, table, deadline
        self._upcoming = TimeRange(max(now, start.upcoming), min(reach, self.horizon))
        self._overdue = TimeRange(start.overdue, now)

    @property
    def more(self) -> bool:
        return not (self._upcoming.ended and self._overdue.ended)

    @property
    def position(self) -> Position:
        return Position(self._overdue.from_sort, self._upcoming.from_sort, self._overdue.to_sort)

    def again(self, strand: TimeRange, page_sort: str) -> None:
        """Something of this page is left: whoever goes on begins there, at the latest."""
        strand.from_sort = min(strand.from_sort, page_sort)

    def tasks(self, url_of: Callable[[Schedule], str]) -> Iterator[Task]:
        """At least one where there is any, so that a chain of feeds comes forward however little time each has.

        A strand moves on only when all of a page is in hand: where patience ends within a page, it is read again.
        """
        begun = False
        while self.more:
            for strand in (self._upcoming, self._overdue):
                if strand.ended:
                    continue
                if begun and self._patience.passed(JOB_S):
                    return
                page_sort = strand.from_sort
                page = self._read(strand)
                for job in _cut(page, url_of):
                    if begun and self._patience.passed(JOB_S):
                        return
                    begun = True
                    yield Task(job, strand, page_sort)
                strand.go_on_behind(page)

    def _read(self, strand: TimeRange) -> Page:
        place = self._partition, strand.from_sort, strand.to_sort
        return retry_call(lambda: self._table.page(*place, strand.items_max), self._patience)


def _cut(page: Page, url_of: Callable[[Schedule], str]) -> Iterator[Job]:
    if page.unreadable:
        yield UnreadableItems(page.unreadable)
    yield from send_chunks(page.schedules, url_of)
    yield from _bales(page.bundles)


def _bales(bundles: list[Bundle]) -> Iterator[BundleGroup]:
    """Of nearly one size. Where the table throttles, what it takes is learned in the half second after the first delete
    that bounces, and an odd bundle would come to its own long before the others."""
    bales = -(-len(bundles) // BUNDLES_MAX)
    for number in range(bales):
        held: list[Bundle] = []
        for bundle in bundles[len(bundles) * number // bales : len(bundles) * (number + 1) // bales]:
            if held and sum(each.count for each in held) + bundle.count > MEMBERS_MAX:
                yield BundleGroup(held)
                held = []
            held.append(bundle)
        yield BundleGroup(held)
