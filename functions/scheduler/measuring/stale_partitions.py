"""Count the partitions that no feed has finished lately.

The heartbeat alarm sees whether any feed begins. It does not see a single partition whose feeds never begin or always
fail. So the lease of each partition keeps the time of its last finished feed (`feeding.lease`). The trigger compares
these times once in a tick, after it has invoked the feeds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from scheduler import log
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call

INTERVALS_MAX = 2.5
"""How old the last finished feed of a partition may be. After two missed ticks in a row it is nearly three intervals
old, and after one nearly two. So seconds do not matter."""


class Table(Protocol):
    def fed_times(self) -> dict[str, int]: ...


def count(partitions: Iterable[int], table: Table, interval_s: float, deadline: Deadline) -> int:
    """Return how many of the partitions are stale. Return 0 if the table does not answer: the feeds matter more.

    A partition without a time is stale if others have one. Nothing is known until the first feeds have finished.
    """
    try:
        fed_ms = retry_call(table.fed_times, deadline)
    except NotConfirmed as failure:
        log.outcome("not measured", error=str(failure))
        return 0
    if not fed_ms:
        return 0
    oldest_ms = deadline.now_ms() - INTERVALS_MAX * interval_s * 1000
    return sum(fed_ms.get(str(partition), 0) < oldest_ms for partition in partitions)
