"""Read failures and quarantined items from the table.

The table stores failures by day, spread over several partition keys, and keeps them for 90 days. A reader queries the
keys of a day in parallel and merges the results by time. Quarantined items are stored by the time they were due, and
come last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import Any

from scheduler.errors import OutOfTime
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import DUE_MS_MAX
from scheduler.managing import paging
from scheduler.managing.dependencies import Failure, Failures, ManageDependencies
from scheduler.managing.paging import count_fitting
from scheduler.managing.request import FIRST_MS, ManageRequest
from scheduler.model import targets
from scheduler.model.bundle import SPAN_MS_MAX
from scheduler.model.failure_report import FAILED_KEPT_S, FAILED_PARTITION, QUARANTINE, failed_partitions
from scheduler.model.schedule import index_of, key_of, sort_from
from scheduler.timestamps import DAY_MS, day_of, epoch_s
from scheduler.value_class import value_class

LIMIT_DEFAULT, LIMIT_MAX = 100, 1_000
FAILURE_CLOCKS_MS = 60_000
"""The largest difference between our clock and the clock that wrote a failure."""
FOUND_S = 6
"""Time kept back to act on the failures that were found."""
FAILURES_AHEAD, FAILURES_AHEAD_ITEMS = 1.25, 8
"""Each key is asked for its share of a page and a little more, because the distribution is random."""


@value_class
class FailureRange:
    """A partition that holds failures, and the range of sort keys to read."""

    partition: str
    from_sort: str
    to_sort: str


@value_class
class Day:
    """The ranges of one day, or of the quarantine. Failures are read from them in order of time."""

    failure_ranges: list[FailureRange]

    def position(self, sort: str) -> tuple[str, str]:
        """Return the position of a page that starts at this sort key."""
        return self.failure_ranges[0].partition, sort


def failures(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return a page of failures, in the order in which they failed."""
    span, limit = request.span(), request.limit(LIMIT_DEFAULT, LIMIT_MAX)
    position = paging.decode_key(request.fields.get("next"), "failures")  # Older ones have one partition key for a day.
    found: list[Failure] = []
    next_position: tuple[str, str] | None = None
    for number, day in enumerate(_days(span, deadline.now_ms() + FAILURE_CLOCKS_MS, position)):
        if number and deadline.passed():
            next_position = day.position(min(failure_range.from_sort for failure_range in day.failure_ranges))
            break
        more, next_position = _merged(day, limit + 1 - len(found), dependencies, deadline)
        found += more
        if next_position is not None or len(found) > limit:
            break
    facts = [_shown(each) for each in found[:limit]]
    count = count_fitting(facts)
    if len(found) > count:
        next_position = found[count - 1].key
    return {"failures": facts[:count], "next": paging.encode("failures", *next_position) if next_position else None}


def _days(span: tuple[int, int], until_ms: int, position: tuple[str, str] | None) -> Iterator[Day]:
    """Yield the days from the position on, then the quarantine."""
    at, sort = position or ("", "")
    for _, all_ranges in groupby(
        failure_ranges(span, until_ms), key=lambda failure_range: _day_part(failure_range.partition)
    ):
        each = list(all_ranges)
        if _day_part(each[0].partition) < _day_part(at):
            continue
        if _day_part(each[0].partition) == _day_part(at):
            # Start after the last failure shown. Failures of the same millisecond are in the order of partitions.
            behind = [(failure_range, sort if failure_range.partition > at else sort + " ") for failure_range in each]
            each = [
                replace(failure_range, from_sort=max(failure_range.from_sort, least)) for failure_range, least in behind
            ]
            each = [failure_range for failure_range in each if failure_range.from_sort < failure_range.to_sort]
        if each:
            yield Day(each)


def _merged(
    day: Day, count: int, dependencies: ManageDependencies, deadline: Deadline
) -> tuple[list[Failure], tuple[str, str] | None]:
    """Return the first failures of a day in order of time. If time runs out, also return where the next page starts."""
    day_ranges, known = day.failure_ranges, list[Failure]()
    items_max = min(count, round(count / len(day_ranges) * FAILURES_AHEAD) + FAILURES_AHEAD_ITEMS)
    rounds = 0
    while day_ranges := [each for each in day_ranges if _may_precede(each, known, count)]:
        if rounds and deadline.passed():
            safe_sort = min(each.from_sort for each in day_ranges)
            return [each for each in known if each.key.sort < safe_sort], day.position(safe_sort)
        rounds += 1
        read = dependencies.pool.run(
            lambda failure_range: _page(failure_range, items_max, None, dependencies, deadline), day_ranges
        )
        known += [failure for page in read for failure in page.failures]
        known = sorted(known, key=lambda each: (each.key.sort, each.key.partition))[:count]
        day_ranges = [
            replace(failure_range, from_sort=page.next_sort or failure_range.to_sort)
            for failure_range, page in zip(day_ranges, read, strict=True)
        ]
    return known, None


def _may_precede(failure_range: FailureRange, known: list[Failure], count: int) -> bool:
    """Return whether an unread failure may come before the last one to show."""
    if failure_range.from_sort >= failure_range.to_sort:
        return False
    return len(known) < count or failure_range.from_sort <= known[-1].key.sort


def pages(
    all_ranges: Iterable[FailureRange],
    items_max: int | None,
    dependencies: ManageDependencies,
    deadline: Deadline,
    schedule_id: str | None = None,
) -> Iterator[tuple[FailureRange, Failures]]:
    """Yield each page with the range that it started from. Read only one schedule's failures if its id is given."""
    for failure_range in all_ranges:
        rest: FailureRange | None = failure_range
        while rest is not None:
            page = _page(rest, items_max, schedule_id, dependencies, deadline)
            yield rest, page
            rest = replace(rest, from_sort=page.next_sort) if page.next_sort is not None else None


def failure_ranges(
    span: tuple[int, int], until_ms: int, position: tuple[str, str] | None = None, schedule_id: str | None = None
) -> Iterator[FailureRange]:
    """Yield the ranges from the position on, key by key.

    Read only days that are still kept, and no failure later than `until_ms`. If a schedule id is given, read only the
    keys that may hold its failures.
    """
    from_ms, to_ms = span
    first_ms = max(from_ms, until_ms - FAILED_KEPT_S * 1000 - DAY_MS)
    last_ms = min(to_ms, until_ms)
    first, last = day_of(first_ms), day_of(last_ms)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    keys = [key for day in days for key in failed_partitions(day, schedule_id)]
    bounds = [*((key, first_ms, last_ms) for key in keys), (QUARANTINE, from_ms, to_ms)]
    at, sort = position or ("", "")
    for partition, begin_ms, end_ms in bounds:
        if partition < at:  # The keys of a day sort in order, before those of a later day and before the quarantine.
            continue
        from_sort, to_sort = sort_from(begin_ms), sort_from(end_ms)
        if partition == at:
            from_sort = max(from_sort, sort)
        if from_sort < to_sort:
            yield FailureRange(partition, from_sort, to_sort)


def filled(
    all_ranges: Iterable[FailureRange], dependencies: ManageDependencies, deadline: Deadline
) -> Iterator[FailureRange]:
    """Yield only the ranges that hold something. Look at the ranges of each day in parallel to find them.

    Always yield the first range of each day, so that a caller that runs out of time still makes progress.
    """
    for _, of_day in groupby(all_ranges, key=lambda failure_range: _day_part(failure_range.partition)):
        day = list(of_day)
        looks = dependencies.pool.run(lambda failure_range: _page(failure_range, 1, None, dependencies, deadline), day)
        for number, (failure_range, look) in enumerate(zip(day, looks, strict=True)):
            if number == 0 or look.failures:
                yield failure_range


def quarantined_item(schedule_id: str, dependencies: ManageDependencies, deadline: Deadline) -> Failure | None:
    """Return the quarantined item with this id, if any. Raise OutOfTime if time runs out before all of it is read.

    A quarantined member of a bundle is stored by its own due time. The member's id has the time of the bundle instead,
    which is later by at most the span of a bundle.
    """
    found = retry_call(lambda: dependencies.manage_table.quarantined(schedule_id), deadline)
    if found is not None or index_of(schedule_id) is None:
        return found
    due_ms = key_of(schedule_id).due_ms
    failure_range = FailureRange(QUARANTINE, sort_from(max(FIRST_MS, due_ms - SPAN_MS_MAX)), sort_from(due_ms + 1))
    for _, page in pages([failure_range], None, dependencies, deadline, schedule_id):
        if page.failures:
            return page.failures[0]
        if page.next_sort is not None and deadline.passed():
            raise OutOfTime
    return None


def of_id(
    schedule_id: str, begun_ms: int, position: tuple[str, str], dependencies: ManageDependencies, deadline: Deadline
) -> tuple[list[Failure], FailureRange | None]:
    """Return the failures of this id since it was due, and the unread range if time runs out.

    A day may hold millions of failures. Each call reads at least one page, so a caller that continues gets to the end.
    """
    found: list[Failure] = []
    for failure_range, page in pages(
        _ranges_of(schedule_id, begun_ms, position), None, dependencies, deadline, schedule_id
    ):
        found += page.failures
        if deadline.passed(FOUND_S):
            return found, replace(failure_range, from_sort=page.next_sort or failure_range.to_sort)
    return found, None


def _ranges_of(schedule_id: str, begun_ms: int, position: tuple[str, str]) -> Iterator[FailureRange]:
    """Yield the ranges that may hold failures of this id.

    Nothing fails before it is due, apart from the difference between two clocks. The id of a bundle's member has the
    time of the latest member, but the quarantine stores each member by its own due time.
    """
    due_ms, until_ms = min(key_of(schedule_id).due_ms, DUE_MS_MAX), begun_ms + FAILURE_CLOCKS_MS
    since_ms = max(FIRST_MS, due_ms - SPAN_MS_MAX - FAILURE_CLOCKS_MS)
    for failure_range in failure_ranges((since_ms, max(due_ms + 1, until_ms)), until_ms, position, schedule_id):
        if failure_range.partition != QUARANTINE:
            yield failure_range
        elif index_of(schedule_id) is not None and failure_range.from_sort <= sort_from(due_ms):
            yield replace(failure_range, to_sort=sort_from(due_ms + 1))


def _page(
    failure_range: FailureRange,
    items_max: int | None,
    schedule_id: str | None,
    dependencies: ManageDependencies,
    deadline: Deadline,
) -> Failures:
    bounds = failure_range.partition, failure_range.from_sort, failure_range.to_sort
    return retry_call(lambda: dependencies.manage_table.failures(*bounds, items_max, schedule_id), deadline)


def _day_part(partition: str) -> str:
    """Return the day of a partition key in a form that sorts by date. The quarantine's key is returned as it is."""
    return partition[: len(FAILED_PARTITION) + len("2030-01-01")]


def _shown(failure: Failure) -> dict[str, Any]:
    """Return the facts that callers see. A quarantined item has no time of failure, and its reason is the error."""
    schedule, is_quarantined = failure.schedule, failure.failed_ms is None
    return {
        "id": None if schedule is None else schedule.id,
        "name": None if schedule is None else schedule.name,
        "timestamp": None if schedule is None else epoch_s(schedule.due_ms),
        "failed": None if failure.failed_ms is None else epoch_s(failure.failed_ms),
        "reason": "quarantined" if is_quarantined else failure.reason,
        "error": failure.reason if is_quarantined else failure.error,
        "attempts": failure.attempts,
        "target": None if schedule is None else targets.as_sent(schedule.target),
    }
