"""Begin a tick: one feed for each partition that may hold something, all at once.

A missed trigger is made up by the next one, for a feed takes whatever is due; a doubled one is ended by the lease.
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
"""How long the feeds go on that no tick has begun: short, so that the next tick finds them ended at its second try."""

Invoke = Callable[[dict[str, Any], Deadline], None]


def trigger(
    until_s: float, count: int, table: partitions.Table, pool: WorkerPool, invoke: Invoke, deadline: Deadline
) -> int:
    """How many feeds were invoked. NotConfirmed where one was not, after all others were; Lambda tries again then."""

    def begin(partition: int) -> str:
        if deadline.passed():
            return "time is over"
        try:
            invoke({"partition": str(partition), "until": until_s}, deadline)
        except NotConfirmed as failure:
            return str(failure)
        return ""

    partitions_to_feed = partitions.partitions_to_feed(table, count, deadline)
    failures = [failure for failure in pool.run(begin, partitions_to_feed) if failure]
    log.outcome("triggered", partitions=len(partitions_to_feed), failed=len(failures))
    if failures:
        raise NotConfirmed(f"{len(failures)} of {len(partitions_to_feed)} feeds were not invoked: {failures[0]}")
    return len(partitions_to_feed)
