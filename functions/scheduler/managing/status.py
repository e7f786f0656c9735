"""Tell how the stack is: what should have left the table, what waits in the queues, and when the feed last ran."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing.dependencies import ManageDependencies, Stub
from scheduler.managing.runs import CLOCKS_MS
from scheduler.model.feed_run import FeedRun, partition_of
from scheduler.model.schedule import sort_from
from scheduler.timestamps import day_of, epoch_s

ITEMS_MAX = 10
"""Items of a partition that are read to find its oldest schedule. Other programs may have left some that are none."""
DAYS_MAX = 3
"""How far back the last run of a feed is searched."""

Counts = Mapping[str, Mapping[str, int] | None]


def of_stack(
    dependencies: ManageDependencies, queue_counts: Callable[[], Counts], deadline: Deadline
) -> dict[str, Any]:
    now_ms, partitions = deadline.now_ms(), dependencies.partitions(deadline)
    oldest = dependencies.pool.run(lambda each: _oldest(each, now_ms, dependencies, deadline), partitions)
    overdue = min((each for each in oldest if each is not None), key=_first_ms, default=None)
    last_run = _last_run(now_ms, dependencies, deadline)
    return {
        "now": epoch_s(now_ms),
        "partitions": len(partitions),
        "oldest_overdue": None
        if overdue is None
        else {"timestamp": epoch_s(_first_ms(overdue)), "partition": overdue.key.partition},
        "queues": dict(retry_call(queue_counts, deadline)),
        "last_feed": None if last_run is None else last_run.facts(),
    }


def _oldest(partition: str, now_ms: int, dependencies: ManageDependencies, deadline: Deadline) -> Stub | None:
    """Return the schedule or bundle of a partition that was due first and is still there."""
    bounds = partition, sort_from(0), sort_from(now_ms)
    page = retry_call(lambda: dependencies.manage_table.due_page(*bounds, False, limit=ITEMS_MAX), deadline)
    return page.stubs[0] if page.stubs else None


def _first_ms(stub: Stub) -> int:
    first_ms = None if stub.bundle is None else stub.bundle.first_ms
    return stub.due_ms if first_ms is None else first_ms


def _last_run(now_ms: int, dependencies: ManageDependencies, deadline: Deadline) -> FeedRun | None:
    manage_table, to_sort = dependencies.manage_table, sort_from(now_ms + CLOCKS_MS)
    for days in range(DAYS_MAX):
        key = partition_of(day_of(now_ms) - timedelta(days=days))
        page = retry_call(
            lambda: manage_table.runs(key, sort_from(0), to_sort, 1, None, newest_first=True),  # noqa: B023 - At once.
            deadline,
        )
        if page.runs:
            return page.runs[0]
    return None
