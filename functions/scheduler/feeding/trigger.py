"""Begin a tick: one feed for each partition that may hold something, all at once.

A missed trigger is made up by the next one, for a feed takes whatever is due; a doubled one is ended by the lease.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler import log
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Patience
from scheduler.execution.worker_pool import Crew
from scheduler.placing import partitions

BY_HAND_S = 60
"""How long the feeds go on that no tick has begun: short, so that the next tick finds them ended at its second try."""

Invoke = Callable[[dict[str, Any], Patience], None]


def trigger(until_s: float, count: int, table: partitions.Table, crew: Crew, invoke: Invoke, patience: Patience) -> int:
    """How many feeds were invoked. NotConfirmed where one was not, after all others were; Lambda tries again then."""

    def begin(partition: int) -> str:
        if patience.over():
            return "time is over"
        try:
            invoke({"partition": str(partition), "until": until_s}, patience)
        except NotConfirmed as failure:
            return str(failure)
        return ""

    to_feed = partitions.to_feed(table, count, patience)
    failures = [failure for failure in crew.run(begin, to_feed) if failure]
    log.outcome("triggered", partitions=len(to_feed), failed=len(failures))
    if failures:
        raise NotConfirmed(f"{len(failures)} of {len(to_feed)} feeds were not invoked: {failures[0]}")
    return len(to_feed)
