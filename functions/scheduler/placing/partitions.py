"""How many partitions there are to feed: the most that anything was ever written with.

`PartitionCount` may be lowered while schedules lie in partitions beyond it. The table remembers the largest count, each
environment makes sure of that before its first far write, and the trigger feeds that many: nothing is orphaned. A
crash between the memory and the write leaves a memory too large, which costs an empty query per feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scheduler.execution.batch_result import Outcome
from scheduler.execution.deadline import Patience, ask, insist


class Table(Protocol):
    def remember_partitions(self, counts: Sequence[int]) -> Outcome[int]: ...
    def recall_partitions(self) -> int: ...


class Memory:
    """Writes the count once in the life of an environment."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._sure_of = 0

    def make_sure(self, count: int, patience: Patience) -> Outcome[int]:
        """`done` where the table is known to remember at least this count; else nothing far may be written."""
        if self._sure_of >= count:
            return Outcome(done=[count])
        outcome = insist(self._table.remember_partitions, [count], patience)
        if outcome.done:
            self._sure_of = count
        return outcome


def to_feed(table: Table, count: int, patience: Patience) -> range:
    """Every partition that may hold something."""
    return range(max(count, ask(table.recall_partitions, patience)))
