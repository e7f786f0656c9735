"""Tell how the stack is: what should have left the table, and when the feed last ran.

A feed moves a schedule before it is due, so a schedule that is past its time and still in the table is overdue. The
owner learns of all overdue schedules, and an application of its own. One query looks at each partition of each
application, and the number of queries is bounded. With more applications than that, each call looks at some of them,
picked at random, and says that the count is not complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing.dependencies import ManageDependencies, ManageTable, Stub
from scheduler.managing.request import ManageRequest
from scheduler.managing.runs import RUN_CLOCKS_MS
from scheduler.model.application import OWNER_NAME
from scheduler.model.feed_run import FeedRun, partition_of
from scheduler.model.schedule import sort_from
from scheduler.timestamps import day_of, epoch_s
from scheduler.value_class import value_class

STATUS_ITEMS_MAX = 100
"""The items that one query counts. Other programs may have left some that are no schedules."""
LOOKS_MAX = 1_024
"""Queries of one call: the owner's 256 partitions and those of 3 applications, or 4 partitions of 255 applications."""
DAYS_MAX = 3
"""How far back the last run of a feed is searched."""

Counts = Mapping[str, Mapping[str, int] | None]
"""About how many messages each queue holds, or None where SQS did not answer."""


@value_class
class Look:
    """A query for what is overdue in one partition of one application."""

    application: str
    table: ManageTable
    partition: str


@value_class
class Seen:
    count: int
    oldest: Stub | None
    is_whole: bool
    """Whether nothing else is overdue there."""


UNSEEN = Seen(0, None, False)


def status(_: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    return of_stack(dependencies, deadline)


def of_stack(dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return what the owner may know: the schedules of everybody, and the feeds."""
    now_ms, partitions = deadline.now_ms(), dependencies.partitions(deadline)
    tables, is_complete = _tables(dependencies, len(partitions), deadline)
    last_run = _last_run(now_ms, dependencies, deadline)
    return {
        "now": epoch_s(now_ms),
        "partitions": len(partitions),
        **_overdue(tables, partitions, is_complete, dependencies, deadline),
        "last_feed": None if last_run is None else last_run.facts(),
    }


def of_application(dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return what an application may know: its own overdue schedules."""
    tables, partitions = {dependencies.application: dependencies.manage_table}, dependencies.partitions(deadline)
    answer = {"now": epoch_s(deadline.now_ms()), **_overdue(tables, partitions, True, dependencies, deadline)}
    if answer["oldest_overdue"] is not None:
        del answer["oldest_overdue"]["partition"]
    return answer


def _tables(
    dependencies: ManageDependencies, partitions: int, deadline: Deadline
) -> tuple[dict[str, ManageTable], bool]:
    """Return the tables to look at by application, the owner's first, and whether these are all."""
    others = retry_call(dependencies.applications, deadline)
    room = max(0, LOOKS_MAX - partitions) // partitions
    is_complete = len(others) <= room
    if not is_complete:
        others = dependencies.key_generator.randomness.sample(others, room)
    tables = {each: dependencies.table_of(each) for each in others}
    return {dependencies.application: dependencies.manage_table, **tables}, is_complete


def _overdue(
    tables: dict[str, ManageTable],
    partitions: Sequence[str],
    is_complete: bool,
    dependencies: ManageDependencies,
    deadline: Deadline,
) -> dict[str, Any]:
    now_ms = deadline.now_ms()
    looks = [Look(each, table, partition) for each, table in tables.items() for partition in partitions]
    seen = dependencies.pool.run(lambda look: _seen(look, now_ms, deadline), looks)
    found = [(stub, look) for each, look in zip(seen, looks, strict=True) if (stub := each.oldest) is not None]
    oldest = min(found, key=lambda each: _first_ms(each[0]), default=None)
    return {
        "overdue": {
            "count": sum(each.count for each in seen),
            "complete": is_complete and all(each.is_whole for each in seen),
        },
        "oldest_overdue": None if oldest is None else _named(*oldest),
    }


def _seen(look: Look, now_ms: int, deadline: Deadline) -> Seen:
    """Count the schedules and members of bundles that were due before now and are still there."""
    if deadline.passed():
        return UNSEEN
    bounds = look.partition, sort_from(0), sort_from(now_ms)
    page = retry_call(lambda: look.table.due_page(*bounds, False, limit=STATUS_ITEMS_MAX), deadline)
    count = sum(1 if stub.bundle is None else stub.bundle.count for stub in page.stubs)
    return Seen(count, page.stubs[0] if page.stubs else None, page.next_sort is None)


def _first_ms(stub: Stub) -> int:
    first_ms = None if stub.bundle is None else stub.bundle.first_ms
    return stub.due_ms if first_ms is None else first_ms


def _named(stub: Stub, look: Look) -> dict[str, Any]:
    return {
        "timestamp": epoch_s(_first_ms(stub)),
        "partition": look.partition,
        "application": look.application or OWNER_NAME,
    }


def _last_run(now_ms: int, dependencies: ManageDependencies, deadline: Deadline) -> FeedRun | None:
    manage_table, to_sort = dependencies.manage_table, sort_from(now_ms + RUN_CLOCKS_MS)
    for days in range(DAYS_MAX):
        key = partition_of(day_of(now_ms) - timedelta(days=days))
        page = retry_call(
            lambda: manage_table.runs(key, sort_from(0), to_sort, 1, None, newest_first=True),  # noqa: B023 - At once.
            deadline,
        )
        if page.runs:
            return page.runs[0]
    return None
