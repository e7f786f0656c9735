"""Forecast how many schedules are due in each bucket of a time range. The answer contains no data.

The forecast counts all partitions in parallel, one page of each per round. If time runs out, the answer holds the
counts so far for every bucket, and `next`. The caller continues with `next` and adds the pages up. The clock is checked
before every page and within it, so a position may be in the middle of a page. A timer counts only if its record still
waits for it, so the counts match what will be released. That needs one read per timer, as large as its record.

Near names are counted from their index, after the table: a feed that moves a timer writes it to the index before it
deletes it from the table. A timer that moves between two calls may be counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.errors import InvalidRequest
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import DUE_MS_MAX
from scheduler.managing import paging
from scheduler.managing.dependencies import BATCH_STUBS_MAX, ManageDependencies, Stub
from scheduler.managing.listing import near_note
from scheduler.managing.listing.entries import TIMER_CLOCKS_MS, near_span, waits_for
from scheduler.managing.request import ManageRequest
from scheduler.model.bundle import SPAN_MS_MAX, Bundle, Unpackable
from scheduler.model.schedule import sort_from
from scheduler.placing.near_names import NEAR_NAME_PARTITIONS, NEAR_NAMES
from scheduler.timestamps import epoch_s

Timer = tuple[str, str, int]
"""A name, the id of the schedule that its timer was set for, and when that timer wakes."""

BUCKETS_MAX = 1_000
KIND, OLDER_KIND = "forecast of", "forecast"
"""The kinds of positions. An earlier version wrote the second, which has a place for each partition."""


@dataclass(slots=True)
class Histogram:
    """The number of schedules in each bucket, from a start (included) to an end (excluded)."""

    from_ms: int
    to_ms: int
    bucket_ms: int
    counts: list[int]

    def add(self, due_ms: int) -> None:
        bucket = self.bucket(due_ms)
        if bucket is not None:
            self.counts[bucket] += 1

    def bucket(self, due_ms: int) -> int | None:
        """Return the bucket of this time, or None if the time is outside the range."""
        return (due_ms - self.from_ms) // self.bucket_ms if self.from_ms <= due_ms < self.to_ms else None

    def answer(self) -> dict[str, Any]:
        buckets = [
            {"timestamp": epoch_s(self.from_ms + number * self.bucket_ms), "count": count}
            for number, count in enumerate(self.counts)
        ]
        return {"buckets": buckets, "total": sum(self.counts)}


def forecast(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    count = empty(request)
    positions = _positions(request.fields.get("next"))
    if positions is None:
        positions = _beginning(count, dependencies, deadline)
    counter = Counter(count, dependencies, deadline)
    while positions and not counter.passed:
        # A feed that moves a timer writes it to the index before it deletes it from the table: read the table first.
        first = sorted(positions, key=paging.order_of)[: paging.ACTIVE_MAX]
        these = [each for each in first if each.startswith(NEAR_NAMES) == first[0].startswith(NEAR_NAMES)]
        positions |= counter.round({each: positions[each] for each in these})
        positions = {each: sort for each, sort in positions.items() if sort is not None}
    answer = {**count.answer(), "next": paging.encode(KIND, paging.grouped(positions)) if positions else None}
    return answer | near_note.about(count.from_ms, dependencies, deadline)


def _beginning(count: Histogram, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, str | None]:
    positions: dict[str, str | None] = dict.fromkeys(dependencies.partitions(deadline), sort_from(count.from_ms))
    from_ms, to_ms = near_span(count.from_ms, count.to_ms, deadline.now_ms(), dependencies.reach_ms)
    return positions | dict.fromkeys(NEAR_NAME_PARTITIONS, sort_from(from_ms)) if from_ms < to_ms else positions


def empty(request: ManageRequest) -> Histogram:
    """Return a count of nothing for the range and the buckets of the request."""
    request.required("from", "to", "bucket")
    from_ms, to_ms = request.span()
    bucket_ms = request.duration_ms("bucket", 1, DUE_MS_MAX)
    buckets = -(-(to_ms - from_ms) // bucket_ms)
    if buckets > BUCKETS_MAX:
        least_s = -(-(to_ms - from_ms) // BUCKETS_MAX) / 1000
        raise InvalidRequest(
            f"bucket is {epoch_s(bucket_ms)}, which makes {buckets} of them; wanted: at most {BUCKETS_MAX}, "
            f"so at least {least_s} seconds for this time"
        )
    return Histogram(from_ms, to_ms, bucket_ms, [0] * buckets)


def _positions(value: object) -> dict[str, str | None] | None:
    if paging.is_of(KIND, value):
        (groups,) = paging.decode(value, KIND, list) or [None]
        try:
            positions = paging.ungrouped(groups)
        except ValueError:
            raise paging.refused(value) from None
    else:
        decoded = paging.decode(value, OLDER_KIND, dict)
        if decoded is None:
            return None
        (positions,) = decoded
    if not positions or not all(paging.is_position(*each) for each in positions.items()):
        raise paging.refused(value)
    return dict(positions)


class Counter:
    """Counts pages in parallel, into one histogram. It checks the clock before each page and within it."""

    def __init__(self, count: Histogram, dependencies: ManageDependencies, deadline: Deadline) -> None:
        self._count, self._dependencies, self._deadline = count, dependencies, deadline
        self._begun = False
        self._moved: set[str] = set()
        """Near timers counted in the table. A feed may move one to the index before the index is read."""

    @property
    def passed(self) -> bool:
        """Whether time is over. At least one page is counted, so that a caller that continues gets to the end."""
        return self._begun and self._deadline.passed()

    def round(self, positions: Mapping[str, str | None]) -> dict[str, str | None]:
        """Count a page of each partition. Return where each continues, or None if it is done."""

        def page(partition: str) -> tuple[list[int], str | None]:
            from_sort = positions[partition] or ""
            if self.passed:
                return [], from_sort
            near = partition.startswith(NEAR_NAMES)
            return self._near_page(partition, from_sort) if near else self._page(partition, from_sort)

        counted = self._dependencies.pool.run(page, positions)
        for dues_ms, _ in counted:
            for due_ms in dues_ms:
                self._count.add(due_ms)
        return {partition: sort for partition, (_, sort) in zip(positions, counted, strict=True)}

    def _page(self, partition: str, from_sort: str) -> tuple[list[int], str | None]:
        """Count a page. After the end of the range, count only bundles: their first members may be due before it."""
        end, beyond = sort_from(self._count.to_ms), sort_from(self._count.to_ms + SPAN_MS_MAX)
        if from_sort >= beyond:
            return [], None
        to_sort = beyond if from_sort >= end else end
        manage_table = self._dependencies.manage_table
        due_page = retry_call(
            lambda: manage_table.due_page(partition, from_sort, to_sort, to_sort == beyond), self._deadline
        )
        if self.passed:
            return [], from_sort
        self._begun = True
        dues_ms, rest = self._dues_ms(due_page.stubs)
        return dues_ms, rest or due_page.next_sort or (None if to_sort == beyond else end)

    def _dues_ms(self, stubs: Sequence[Stub]) -> tuple[list[int], str | None]:
        """Return the due times of the stubs, and where to continue if time runs out within the page."""
        dues_ms: list[int] = []
        timers: list[Timer] = []
        begun = False
        for stub in stubs:
            if begun and self._deadline.passed():
                return dues_ms + self._in_table(timers), stub.key.sort
            if stub.bundle is not None:
                dues_ms += self._members_dues_ms(stub.bundle)
                begun = True
            elif stub.name is None:
                dues_ms.append(stub.due_ms)
            else:
                timers.append((stub.name, stub.key.id, stub.due_ms))
            if len(timers) == BATCH_STUBS_MAX:
                dues_ms, timers, begun = dues_ms + self._in_table(timers), [], True
        return dues_ms + self._in_table(timers), None

    def _in_table(self, timers: Sequence[Timer]) -> list[int]:
        soon_ms = self._deadline.now_ms() + self._dependencies.reach_ms + TIMER_CLOCKS_MS
        self._moved.update(schedule_id for _, schedule_id, due_ms in timers if due_ms <= soon_ms)
        return awake(timers, self._dependencies, self._deadline)

    def _members_dues_ms(self, bundle: Bundle) -> list[int]:
        """Return the members' due times in the range.

        A bundle stays unopened if its first member is too late, or is in the same bucket as the latest member.
        """
        first_ms, latest_ms, count = bundle.first_ms, bundle.key.due_ms, self._count
        if first_ms is not None and first_ms >= count.to_ms:
            return []
        bucket = None if first_ms is None else count.bucket(first_ms)
        if first_ms is not None and bucket is not None and bucket == count.bucket(latest_ms):
            return [first_ms] * bundle.count
        try:
            return [each.due_ms for each in bundle.members()]
        except Unpackable:  # The feed quarantines it.
            return []

    def _near_page(self, partition: str, from_sort: str) -> tuple[list[int], str | None]:
        now_ms, count = self._deadline.now_ms(), self._count
        _, to_ms = near_span(count.from_ms, count.to_ms, now_ms, self._dependencies.reach_ms)
        to_sort = sort_from(to_ms + SPAN_MS_MAX)
        if from_sort >= to_sort:
            return [], None
        bounds = partition, from_sort, to_sort, to_ms
        page = retry_call(lambda: self._dependencies.manage_table.near_names(*bounds, None), self._deadline)
        if self.passed:
            return [], from_sort
        self._begun = True
        dues_ms: list[int] = []
        for number, row in enumerate(page.rows):
            if number and self._deadline.passed():
                return dues_ms, row.key.sort
            timers = [(each.name, each.id, each.wakes_ms) for each in row.entries if each.id not in self._moved]
            dues_ms += awake(timers, self._dependencies, self._deadline)
        return dues_ms, page.next_sort


def awake(timers: Sequence[Timer], dependencies: ManageDependencies, deadline: Deadline) -> list[int]:
    """Return the due times of the timers that a record still waits for."""
    names = [name for name, _, _ in timers]
    records = dependencies.current_records(names, False, deadline) if timers else {}
    found: list[int] = []
    for name, schedule_id, due_ms in timers:
        record = records.get(name)
        if record is not None and waits_for(record, schedule_id, due_ms):
            found.append(due_ms)
    return found
