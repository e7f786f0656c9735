"""Begin a tick: invoke one feed for each partition that may hold schedules, all at once.

The next trigger makes up for a missed one, because a feed takes all schedules that are due. The lease ends the feeds of
a duplicate trigger.

Each feed is told the applications whose items lie beside those of its partition. An application that the table
remembers later has only schedules beyond the reach, which is longer than the time to the next tick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler import log
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline
from scheduler.execution.worker_pool import WorkerPool
from scheduler.placing import partitions

BY_HAND_S = 60
"""How long feeds continue after a manual trigger. They end before the next tick makes its second attempt."""

Invoke = Callable[[dict[str, Any], Deadline], None]


def trigger(
    until_s: float, count: int, table: partitions.FedTable, pool: WorkerPool, invoke: Invoke, deadline: Deadline
) -> int:
    """Invoke the feeds, and return how many were invoked.

    Raise NotConfirmed after all invocations if one of them failed. Lambda then retries the trigger.
    """

    partitions_to_feed, applications = partitions.to_feed(table, count, deadline)
    more = {"applications": applications} if applications else {}

    def begin(partition: int) -> str:
        if deadline.passed():
            return "time is over"
        try:
            invoke({"partition": str(partition), "until": until_s, **more}, deadline)
        except NotConfirmed as failure:
            return str(failure)
        return ""

    failures = [failure for failure in pool.run(begin, partitions_to_feed) if failure]
    log.outcome("triggered", partitions=len(partitions_to_feed), failed=len(failures))
    if failures:
        raise NotConfirmed(f"{len(failures)} of {len(partitions_to_feed)} feeds were not invoked: {failures[0]}")
    return len(partitions_to_feed)
