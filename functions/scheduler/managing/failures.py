"""What could not be released, as it lies in the table.

Failures lie by the day, spread over hash keys, and are kept for 90 days. A reader reads the keys of a day side by side
and merges them by time. What a feed put aside lies under the moment that it was due, and comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from scheduler.errors import OutOfTime
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing import paging
from scheduler.managing.dependencies import Failure, Failures, ManageDependencies
from scheduler.managing.paging import fitting
from scheduler.managing.request import FIRST_MS, ManageRequest
from scheduler.model import targets
from scheduler.model.bundle import SPAN_MS_MAX
from scheduler.model.failure_report import FAILED, FAILED_KEPT_S, QUARANTINE, failed_partitions
from scheduler.model.schedule import index_of, key_of, sort_from
from scheduler.timestamps import epoch_s

LIMIT_DEFAULT, LIMIT_MAX = 100, 1_000
DAY_MS = 86_400_000
CLOCKS_MS = 60_000
"""How far the clock that wrote a failure may be ahead of ours, or behind."""
FOUND_S = 6
"""Time kept back to do something with what was found."""
AHEAD, AHEAD_ITEMS = 1.25, 8
"""A key is asked for its share of a page and a little more, for chance does not share evenly."""


@dataclass(frozen=True, slots=True)
class FailureRange:
    """A part of the table where failures lie, and from where to where it is to be read."""

    partition: str
    from_sort: str
    to_sort: str


@dataclass(frozen=True, slots=True)
class Day:
    """The drawers of one day, or of what was put aside, in which failures are read in order of time."""

    drawers: list[FailureRange]

    def place(self, sort: str) -> tuple[str, str]:
        """Where the next page begins: before everything that sorts from here on."""
        return self.drawers[0].partition, sort


def failures(request: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """In the order in which they failed."""
    span, limit = request.span(), request.limit(LIMIT_DEFAULT, LIMIT_MAX)
    place = _place(request.fields.get("next"))
    found: list[Failure] = []
    next_place: tuple[str, str] | None = None
    for number, day in enumerate(_days(span, deadline.now_ms() + CLOCKS_MS, place)):
        if number and deadline.passed():
            next_place = day.place(min(failure_range.from_sort for failure_range in day.drawers))
            break
        more, next_place = _merged(day, limit + 1 - len(found), office, deadline)
        found += more
        if next_place is not None or len(found) > limit:
            break
    facts = [_shown(each) for each in found[:limit]]
    count = fitting(facts)
    if len(found) > count:
        next_place = found[count - 1].key
    return {"failures": facts[:count], "next": paging.written("failures", *next_place) if next_place else None}


def _days(span: tuple[int, int], until_ms: int, place: tuple[str, str] | None) -> Iterator[Day]:
    """Day by day from the place on, and then what was put aside."""
    at, sort = place or ("", "")
    for _, each_drawer in groupby(
        drawers(span, until_ms), key=lambda failure_range: _day_part(failure_range.partition)
    ):
        each = list(each_drawer)
        if _day_part(each[0].partition) < _day_part(at):
            continue
        if _day_part(each[0].partition) == _day_part(at):
            # Right behind the last one that was shown: of those of the same moment, the keys come in their order.
            behind = [(failure_range, sort if failure_range.partition > at else sort + " ") for failure_range in each]
            each = [
                replace(failure_range, from_sort=max(failure_range.from_sort, least)) for failure_range, least in behind
            ]
            each = [failure_range for failure_range in each if failure_range.from_sort < failure_range.to_sort]
        if each:
            yield Day(each)


def _merged(
    day: Day, count: int, office: ManageDependencies, deadline: Deadline
) -> tuple[list[Failure], tuple[str, str] | None]:
    """The first of a day in order of time, and where to go on if time is over before there are so many."""
    strands, known = day.drawers, list[Failure]()
    items_max = min(count, round(count / len(strands) * AHEAD) + AHEAD_ITEMS)
    rounds = 0
    while strands := [each for each in strands if _may_precede(each, known, count)]:
        if rounds and deadline.passed():
            safe_sort = min(each.from_sort for each in strands)
            return [each for each in known if each.key.sort < safe_sort], day.place(safe_sort)
        rounds += 1
        read = office.pool.run(lambda strand: _page(strand, items_max, None, office, deadline), strands)
        known += [failure for page in read for failure in page.failures]
        known = sorted(known, key=lambda each: (each.key.sort, each.key.partition))[:count]
        strands = [
            replace(strand, from_sort=page.next_sort or strand.to_sort)
            for strand, page in zip(strands, read, strict=True)
        ]
    return known, None


def _may_precede(strand: FailureRange, known: list[Failure], count: int) -> bool:
    """Whether something that is yet to be read may come before the last one to show."""
    if strand.from_sort >= strand.to_sort:
        return False
    return len(known) < count or strand.from_sort <= known[-1].key.sort


def pages(
    each_drawer: Iterable[FailureRange],
    items_max: int | None,
    office: ManageDependencies,
    deadline: Deadline,
    schedule_id: str | None = None,
) -> Iterator[tuple[FailureRange, Failures]]:
    """Page by page, each with the drawer from where that began; of one schedule alone where its id is given."""
    for failure_range in each_drawer:
        rest: FailureRange | None = failure_range
        while rest is not None:
            page = _page(rest, items_max, schedule_id, office, deadline)
            yield rest, page
            rest = replace(rest, from_sort=page.next_sort) if page.next_sort is not None else None


def drawers(
    span: tuple[int, int], until_ms: int, place: tuple[str, str] | None = None, schedule_id: str | None = None
) -> Iterator[FailureRange]:
    """From the place on, key by key. Of the days those that are kept, and nothing that failed later than `until_ms`;
    only keys that may hold failures of one schedule if its id is given."""
    from_ms, to_ms = span
    first_ms = max(from_ms, until_ms - FAILED_KEPT_S * 1000 - DAY_MS)
    last_ms = min(to_ms, until_ms)
    first, last = _day_of(first_ms), _day_of(last_ms)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    keys = [key for day in days for key in failed_partitions(day, schedule_id)]
    bounds = [*((key, first_ms, last_ms) for key in keys), (QUARANTINE, from_ms, to_ms)]
    at, sort = place or ("", "")
    for partition, begin_ms, end_ms in bounds:
        if partition < at:  # The keys of a day sort in order, before those of a later day and before the quarantine.
            continue
        from_sort, to_sort = sort_from(begin_ms), sort_from(end_ms)
        if partition == at:
            from_sort = max(from_sort, sort)
        if from_sort < to_sort:
            yield FailureRange(partition, from_sort, to_sort)


def filled(
    each_drawer: Iterable[FailureRange], office: ManageDependencies, deadline: Deadline
) -> Iterator[FailureRange]:
    """Only those in which something lies, found by looking at a day side by side; and the first of each day, so that
    whoever runs out of time gets on."""
    for _, of_day in groupby(each_drawer, key=lambda failure_range: _day_part(failure_range.partition)):
        day = list(of_day)
        looks = office.pool.run(lambda failure_range: _page(failure_range, 1, None, office, deadline), day)
        for number, (failure_range, look) in enumerate(zip(day, looks, strict=True)):
            if number == 0 or look.failures:
                yield failure_range


def put_aside(schedule_id: str, office: ManageDependencies, deadline: Deadline) -> Failure | None:
    """What a feed put aside under this id, if anything. OutOfTime if time is over before all of it is read.

    A member lies under its own moment, which is at most a span before that of its bundle and is not in its id.
    """
    found = retry_call(lambda: office.catalogue.quarantined(schedule_id), deadline)
    if found is not None or index_of(schedule_id) is None:
        return found
    due_ms = key_of(schedule_id).due_ms
    failure_range = FailureRange(QUARANTINE, sort_from(max(FIRST_MS, due_ms - SPAN_MS_MAX)), sort_from(due_ms + 1))
    for _, page in pages([failure_range], None, office, deadline, schedule_id):
        if page.failures:
            return page.failures[0]
        if page.next_sort is not None and deadline.passed():
            raise OutOfTime
    return None


def of_id(
    schedule_id: str, begun_ms: int, place: tuple[str, str], office: ManageDependencies, deadline: Deadline
) -> tuple[list[Failure], FailureRange | None]:
    """Page by page since it was due, and what is left to read when time is over: a day may hold millions. Something is
    read in any case, so whoever goes on there comes to the end."""
    found: list[Failure] = []
    for failure_range, page in pages(_drawers_of(schedule_id, begun_ms, place), None, office, deadline, schedule_id):
        found += page.failures
        if deadline.passed(FOUND_S):
            return found, replace(failure_range, from_sort=page.next_sort or failure_range.to_sort)
    return found, None


def _drawers_of(schedule_id: str, begun_ms: int, place: tuple[str, str]) -> Iterator[FailureRange]:
    """Nothing fails before it is due, by more than two clocks differ. Of a bundle the latest member gives the id, and
    its members lie in the quarantine each under a moment of its own."""
    due_ms, until_ms = key_of(schedule_id).due_ms, begun_ms + CLOCKS_MS
    since_ms = max(FIRST_MS, due_ms - SPAN_MS_MAX - CLOCKS_MS)
    for failure_range in drawers((since_ms, max(due_ms + 1, until_ms)), until_ms, place, schedule_id):
        if failure_range.partition != QUARANTINE:
            yield failure_range
        elif index_of(schedule_id) is not None and failure_range.from_sort <= sort_from(due_ms):
            yield replace(failure_range, to_sort=sort_from(due_ms + 1))


def _page(
    failure_range: FailureRange,
    items_max: int | None,
    schedule_id: str | None,
    office: ManageDependencies,
    deadline: Deadline,
) -> Failures:
    bounds = failure_range.partition, failure_range.from_sort, failure_range.to_sort
    return retry_call(lambda: office.catalogue.failures(*bounds, items_max, schedule_id), deadline)


def _day_of(moment_ms: int) -> date:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).date()


def _day_part(partition: str) -> str:
    """Of a key the day, in the form in which days sort; of the quarantine itself."""
    return partition[: len(FAILED) + len("2030-01-01")]


def _place(value: object) -> tuple[str, str] | None:
    """The last one that was shown. Under an older version its key was that of the whole day."""
    place = paging.read(value, "failures", str, str)
    if place is None:
        return None
    partition, sort = place
    if not paging.is_sort(sort):
        raise paging.refused(value)
    return partition, sort


def _shown(failure: Failure) -> dict[str, Any]:
    """When something was put aside is not known, and its reason is all that there is to say."""
    schedule, aside = failure.schedule, failure.failed_ms is None
    return {
        "id": None if schedule is None else schedule.id,
        "name": None if schedule is None else schedule.name,
        "timestamp": None if schedule is None else epoch_s(schedule.due_ms),
        "failed": None if failure.failed_ms is None else epoch_s(failure.failed_ms),
        "reason": "quarantined" if aside else failure.reason,
        "error": failure.reason if aside else failure.error,
        "attempts": failure.attempts,
        "target": None if schedule is None else targets.as_sent(schedule.target),
    }
