"""Estimate how many schedules are due in each bucket of a time range, at a cost that does not grow with their number.

First, one query for each partition reads the beginning of the range. If these queries reach its end, they have seen
every schedule. Otherwise a partition is picked at random, and one query for each bucket reads the beginning of the
bucket there. The number of schedules that were seen is scaled to the whole bucket and to all partitions.

A few timers count only if their records still wait for them, as in a forecast. Many timers count without a look at
their records. So the estimate then also counts those whose schedules were replaced or cancelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scheduler.errors import InvalidRequest
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing.dependencies import BATCH_STUBS_MAX, ManageDependencies, NearNames, Stub
from scheduler.managing.listing import near_note
from scheduler.managing.listing.entries import near_span
from scheduler.managing.listing.forecast import Histogram, Timer, awake, empty
from scheduler.managing.request import ManageRequest
from scheduler.model.bundle import SPAN_MS_MAX, Bundle, Unpackable
from scheduler.model.schedule import sort_from
from scheduler.placing.near_names import NEAR_NAME_PARTITIONS as NEAR_PARTITIONS

SAMPLE_ITEMS_MAX = 200
"""The items of one query."""
PARTITIONS_LOOKED_AT_MAX = 16
"""With more partitions, looking at each of them costs more than it tells."""


def estimate(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return the answer of a forecast in one page. `estimate` says whether its counts are not exact."""
    if request.fields.get("next") is not None:
        raise InvalidRequest("next is given with estimate; wanted: one of them, because an estimate has one page")
    count = empty(request)
    estimation = _Estimation(count, dependencies, deadline)
    estimation.add_table()
    estimation.add_near_names()
    answer = {**count.answer(), "next": None, "estimate": not estimation.exact}
    return answer | near_note.about(count.from_ms, dependencies, deadline)


class _Estimation:
    def __init__(self, count: Histogram, dependencies: ManageDependencies, deadline: Deadline) -> None:
        self._count, self._dependencies, self._deadline = count, dependencies, deadline
        self.exact = True

    def add_table(self) -> None:
        count, partitions = self._count, self._dependencies.partitions(self._deadline)
        if len(partitions) <= PARTITIONS_LOOKED_AT_MAX:
            beyond_ms = count.to_ms + SPAN_MS_MAX  # The bundles there may have members within the range.
            looks = self._dependencies.pool.run(lambda each: self._stubs(each, count.from_ms, beyond_ms), partitions)
            if all(whole for _, whole in looks):
                self._add_whole([stub for stubs, _ in looks for stub in stubs])
                return
        self.exact = False
        sample = partitions[self._dependencies.key_generator.randomness.randrange(len(partitions))]
        found = self._dependencies.pool.run(lambda number: self._in_bucket(sample, number), range(len(count.counts)))
        for number, seen in enumerate(found):
            count.counts[number] += round(seen * len(partitions))

    def _in_bucket(self, partition: str, number: int) -> float:
        """Return about how many schedules of a bucket are in one partition."""
        count = self._count
        begin_ms = count.from_ms + number * count.bucket_ms
        end_ms = min(begin_ms + count.bucket_ms, count.to_ms)
        stubs, whole = self._stubs(partition, begin_ms, end_ms)
        seen = sum(1 if stub.bundle is None else stub.bundle.count for stub in stubs)
        if whole or not stubs:
            return seen
        read_ms = max(1, stubs[-1].key.due_ms - begin_ms)
        return seen * (end_ms - begin_ms) / read_ms

    def _stubs(self, partition: str, from_ms: int, to_ms: int) -> tuple[Sequence[Stub], bool]:
        """Return the first items from a time on, and whether these are all until the end."""
        bounds = partition, sort_from(from_ms), sort_from(to_ms)
        page = retry_call(
            lambda: self._dependencies.manage_table.due_page(*bounds, False, limit=SAMPLE_ITEMS_MAX), self._deadline
        )
        return page.stubs, page.next_sort is None

    def add_near_names(self) -> None:
        count, now_ms = self._count, self._deadline.now_ms()
        from_ms, to_ms = near_span(count.from_ms, count.to_ms, now_ms, self._dependencies.reach_ms)
        if from_ms >= to_ms:
            return
        bounds = sort_from(from_ms), sort_from(to_ms + SPAN_MS_MAX), to_ms
        manage_table, deadline = self._dependencies.manage_table, self._deadline

        def page(partition: str) -> NearNames:
            return retry_call(lambda: manage_table.near_names(partition, *bounds, SAMPLE_ITEMS_MAX), deadline)

        pages = self._dependencies.pool.run(page, NEAR_PARTITIONS)
        self.exact = self.exact and all(each.next_sort is None for each in pages)
        entries = [entry for each in pages for row in each.rows for entry in row.entries]
        self._add_timers([(entry.name, entry.id, entry.wakes_ms) for entry in entries])

    def _add_whole(self, stubs: Sequence[Stub]) -> None:
        """Add everything that the range holds."""
        for stub in stubs:
            if stub.bundle is not None:
                for due_ms in _members_dues_ms(stub.bundle):
                    self._count.add(due_ms)
            elif stub.name is None:
                self._count.add(stub.due_ms)
        self._add_timers([(stub.name, stub.key.id, stub.due_ms) for stub in stubs if stub.name is not None])

    def _add_timers(self, timers: Sequence[Timer]) -> None:
        few = len(timers) <= BATCH_STUBS_MAX
        self.exact = self.exact and few
        dues_ms = awake(timers, self._dependencies, self._deadline) if few else [due_ms for _, _, due_ms in timers]
        for due_ms in dues_ms:
            self._count.add(due_ms)


def _members_dues_ms(bundle: Bundle) -> list[int]:
    try:
        return [each.due_ms for each in bundle.members()]
    except Unpackable:  # The feed quarantines it.
        return []
