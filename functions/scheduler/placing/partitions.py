"""The number of partitions to feed: the largest `PartitionCount` with which schedules were ever written.

The owner can lower `PartitionCount` while higher partitions still hold schedules. So the table remembers the largest
count. Each execution environment makes sure of that before its first write of a far schedule, and the trigger feeds
that many partitions. No schedule is orphaned. A crash after the count is stored and before the schedule is written
leaves a count that is too large. That costs an empty query per feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch, retry_call


class Table(Protocol):
    def remember_partitions(self, counts: Sequence[int]) -> BatchResult[int]: ...
    def recall_partitions(self) -> int: ...


class PartitionCount:
    """Stores the count once per execution environment."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._sure_of = 0

    def ensure(self, count: int, deadline: Deadline) -> BatchResult[int]:
        """Make the table remember at least this count. No far schedule may be written unless it is `confirmed`."""
        if self._sure_of >= count:
            return BatchResult(confirmed=[count])
        outcome = retry_batch(self._table.remember_partitions, [count], deadline)
        if outcome.confirmed:
            self._sure_of = count
        return outcome


def partitions_to_feed(table: Table, count: int, deadline: Deadline) -> range:
    """Return every partition that may hold schedules."""
    return range(max(count, retry_call(table.recall_partitions, deadline)))
