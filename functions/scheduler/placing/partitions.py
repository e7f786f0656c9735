"""How many partitions there are to feed: the most that anything was ever written with.

`PartitionCount` may be lowered while schedules lie in partitions beyond it. The table remembers the largest count, each
environment makes sure of that before its first far write, and the trigger feeds that many: nothing is orphaned. A
crash between the memory and the write leaves a memory too large, which costs an empty query per feed.
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
    """Writes the count once in the life of an environment."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._sure_of = 0

    def ensure(self, count: int, deadline: Deadline) -> BatchResult[int]:
        """`done` where the table is known to remember at least this count; else nothing far may be written."""
        if self._sure_of >= count:
            return BatchResult(confirmed=[count])
        outcome = retry_batch(self._table.remember_partitions, [count], deadline)
        if outcome.confirmed:
            self._sure_of = count
        return outcome


def partitions_to_feed(table: Table, count: int, deadline: Deadline) -> range:
    """Every partition that may hold something."""
    return range(max(count, retry_call(table.recall_partitions, deadline)))
