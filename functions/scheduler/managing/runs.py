"""List the runs of the feed, in the order in which they began. The table keeps a line of each run, day by day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from scheduler.errors import InvalidRequest
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import PARTITIONS_MAX
from scheduler.managing import paging
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.request import ManageRequest
from scheduler.model.feed_run import RUN_KEPT_S, FeedRun, partition_of
from scheduler.model.schedule import sort_from
from scheduler.text import shown
from scheduler.timestamps import DAY_MS, day_of

PAGE_RUNS_MAX = 1_000
RUN_CLOCKS_MS = 60_000
"""The largest difference between our clock and the clock of a feed."""
PARTITION_WANTED = f'the number of a partition as text, "0" to "{PARTITIONS_MAX - 1}"'


def runs(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return a page of runs. `next` says where the following page begins, also if the time runs out."""
    (from_ms, to_ms), partition = request.span(), _partition(request)
    first_ms = max(from_ms, deadline.now_ms() - RUN_KEPT_S * 1000 - DAY_MS)
    last_ms = min(to_ms, deadline.now_ms() + RUN_CLOCKS_MS)
    found: list[FeedRun] = []
    begun = False
    for key, from_sort in _days(first_ms, last_ms, paging.decode_key(request.fields.get("next"), "runs")):
        sort: str | None = from_sort
        while sort is not None and sort < sort_from(last_ms):
            if begun and (len(found) >= PAGE_RUNS_MAX or deadline.passed()):
                return _answer(found, paging.encode("runs", key, sort))
            bounds = key, sort, sort_from(last_ms), PAGE_RUNS_MAX - len(found), partition
            page = retry_call(lambda: dependencies.manage_table.runs(*bounds), deadline)  # noqa: B023 - Called at once.
            found, sort, begun = [*found, *page.runs], page.next_sort, True
    return _answer(found, None)


def _days(first_ms: int, last_ms: int, position: tuple[str, str] | None) -> Iterator[tuple[str, str]]:
    """Yield the key of each day from the position on, and the sort key to begin with."""
    at, sort = position or ("", "")
    first, last = day_of(first_ms), day_of(last_ms)
    for number in range((last - first).days + 1):
        key = partition_of(first + timedelta(days=number))
        if key >= at:
            yield key, max(sort_from(first_ms), sort if key == at else "")


def _answer(found: list[FeedRun], next_position: str | None) -> dict[str, Any]:
    return {"runs": [run.facts() for run in found], "next": next_position}


def _partition(request: ManageRequest) -> str | None:
    if "partition" not in request.fields:
        return None
    value = request.fields["partition"]
    if not isinstance(value, str) or value not in map(str, range(PARTITIONS_MAX)):
        raise InvalidRequest(f"partition is {shown(value)}; wanted: {PARTITION_WANTED}")
    return value
