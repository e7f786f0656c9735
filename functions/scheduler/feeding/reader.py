"""Read the schedules within reach of one partition, and cut them into jobs.

The reader alternates between pages of upcoming and pages of overdue schedules, so that neither delays the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from scheduler.execution.deadline import Deadline, retry_call
from scheduler.feeding.jobs import BundleGroup, Job, Page, UnreadableItems
from scheduler.model.bundle import MEMBERS_MAX, Bundle
from scheduler.model.schedule import Schedule, sort_from
from scheduler.placing.sending import CHUNK_SCHEDULES_MAX, send_chunks
from scheduler.value_class import value_class

if TYPE_CHECKING:
    from scheduler.feeding.tally import PageCount, Tally

JOB_S = 1
"""Longer than a job takes while AWS is healthy, so that only slow calls leave a job half done."""
BUNDLES_MAX = 8
"""Bundles per group. A group is deleted in one call, which costs little compared with the sends."""
PAGE_CHUNKS_MAX = 20
"""The largest page, in chunks, before the reader turns to the other time range. Only small schedules reach it."""
PAGE_BYTES_AIM = 262_144
"""The size that a page should have. A query limits items but not bytes, so the page before gives the estimate. A page
is in memory four times while it is read: as JSON bytes, as text, as items, and as parsed schedules."""


class Table(Protocol):
    def page(self, partition: str, from_sort: str, to_sort: str, items_max: int) -> Page: ...


@value_class
class Position:
    """How far a feed has come: the sort keys where both time ranges continue, and the border between them.

    The event of the next feed has these names.
    """

    overdue: str = sort_from(0)
    upcoming: str = sort_from(0)
    between: str = sort_from(0)

    def back_to(self, sort: str) -> Position:
        """Return the position of a feed that reads again from this sort key on."""
        return Position(sort, sort, self.between)


@dataclass(slots=True)
class TimeRange:
    """A range of sort keys that the reader reads page by page."""

    from_sort: str
    to_sort: str
    items_max: int = CHUNK_SCHEDULES_MAX
    """How many items the next page may have. The first page is small, and shows how large the items are."""

    @property
    def ended(self) -> bool:
        return self.from_sort >= self.to_sort

    def go_on_behind(self, page: Page) -> None:
        """Move behind this page, and estimate the item count of the next page from the size of these items.

        The next page holds whole chunks, and at least one.
        """
        self.from_sort = self.to_sort if page.next_sort is None else page.next_sort
        fitting = (len(page.schedules) + len(page.bundles)) * PAGE_BYTES_AIM // max(1, page.size_bytes)
        self.items_max = min(PAGE_CHUNKS_MAX, max(1, fitting // CHUNK_SCHEDULES_MAX)) * CHUNK_SCHEDULES_MAX


@value_class
class Task:
    """A job, with the time range and the page that it comes from."""

    job: Job
    time_range: TimeRange
    page_sort: str


class Reader:
    """Reads one partition from a position on, until the horizon or the deadline.

    `horizon` is the end of the reach when the chain began. The whole chain keeps it. Schedules that come within reach
    later belong to the next tick. Otherwise a steady inflow would keep a chain going for ever.
    """

    def __init__(
        self,
        partition: str,
        table: Table,
        deadline: Deadline,
        reach_ms: int,
        start: Position,
        *,
        horizon: str | None = None,
        tally: Tally | None = None,
    ) -> None:
        now_ms = deadline.now_ms()
        # This clock may be behind the clock of the feed before. The border must not move back, or schedules between
        # the two time ranges would be skipped.
        now, reach = max(sort_from(now_ms), start.between), sort_from(now_ms + reach_ms)
        self.horizon = reach if horizon is None else horizon
        self._partition, self._table, self._deadline, self._tally = partition, table, deadline, tally
        self._upcoming = TimeRange(max(now, start.upcoming), min(reach, self.horizon))
        self._overdue = TimeRange(start.overdue, now)
        self.end = self._upcoming.to_sort
        """The sort key before which this feed reads."""

    @property
    def more(self) -> bool:
        return not (self._upcoming.ended and self._overdue.ended)

    @property
    def position(self) -> Position:
        return Position(self._overdue.from_sort, self._upcoming.from_sort, self._overdue.to_sort)

    def again(self, time_range: TimeRange, page_sort: str) -> None:
        """Make the next feed begin at this page or earlier, because the page has unfinished schedules."""
        time_range.from_sort = min(time_range.from_sort, page_sort)

    def tasks(self, url_of: Callable[[Schedule], str]) -> Iterator[Task | PageCount]:
        """Yield the tasks of both time ranges in turn, until the deadline. With a ledger, each page is counted.

        At least one task is yielded if there is any, so that a chain of feeds makes progress with little time. A time
        range moves on only after all tasks of a page were yielded. The next feed reads an unfinished page again.
        """
        begun = False
        while self.more:
            for time_range in (self._upcoming, self._overdue):
                if time_range.ended:
                    continue
                if begun and self._deadline.passed(JOB_S):
                    return
                page_sort = time_range.from_sort
                page = self._read(time_range)
                if self._tally is not None:
                    yield self._tally.begin_page(page)
                for job in cut(page, url_of):
                    if begun and self._deadline.passed(JOB_S):
                        return
                    begun = True
                    yield Task(job, time_range, page_sort)
                time_range.go_on_behind(page)

    def _read(self, time_range: TimeRange) -> Page:
        bounds = self._partition, time_range.from_sort, time_range.to_sort
        return retry_call(lambda: self._table.page(*bounds, time_range.items_max), self._deadline)


def cut(page: Page, url_of: Callable[[Schedule], str]) -> Iterator[Job]:
    """Yield the jobs of a page."""
    if page.unreadable:
        yield UnreadableItems(page.unreadable)
    yield from send_chunks(page.schedules, url_of)
    yield from _bundle_groups(page.bundles)


def _bundle_groups(bundles: list[Bundle]) -> Iterator[BundleGroup]:
    """Yield groups of nearly equal size.

    A table that throttles is measured for half a second after the first throttled delete. A much smaller group would
    get its turn long before the others, and distort the measurement.
    """
    groups = -(-len(bundles) // BUNDLES_MAX)
    for number in range(groups):
        held: list[Bundle] = []
        for bundle in bundles[len(bundles) * number // groups : len(bundles) * (number + 1) // groups]:
            if held and sum(each.count for each in held) + bundle.count > MEMBERS_MAX:
                yield BundleGroup(held)
                held = []
            held.append(bundle)
        yield BundleGroup(held)
