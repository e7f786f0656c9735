"""The number of partitions to feed: the largest `PartitionCount` with which schedules were ever written.

The owner can lower `PartitionCount` while higher partitions still hold schedules. So the table remembers the largest
count. Each execution environment makes sure of that before its first write of a far schedule, and the trigger feeds
that many partitions. No schedule is orphaned. A crash after the count is stored and before the schedule is written
leaves a count that is too large. That costs an empty query per feed.

The items of an application lie under hash keys of their own. So the table also remembers the applications, in the same
item and in the same way: before the first write of a far schedule of an application.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch, retry_call


class Table(Protocol):
    def remember_partitions(self, counts: Sequence[int]) -> BatchResult[int]: ...
    def remember_applications(self, applications: Sequence[str]) -> BatchResult[str]: ...
    def recall_partitions(self) -> int: ...


class FedTable(Protocol):
    def recall_fed(self) -> tuple[int, list[str]]: ...


class PartitionCount:
    """Stores the count once per execution environment, and each application."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._sure_of = 0
        self._applications: frozenset[str] = frozenset()

    def of(self, application: str) -> PartitionCount:
        """Return the count for the writers of an application."""
        return _ApplicationCount(self, application)

    def ensure(self, count: int, deadline: Deadline) -> BatchResult[int]:
        """Make the table remember at least this count. No far schedule may be written unless it is `confirmed`."""
        if self._sure_of >= count:
            return BatchResult(confirmed=[count])
        outcome = retry_batch(self._table.remember_partitions, [count], deadline)
        if outcome.confirmed:
            self._sure_of = count
        return outcome

    def ensure_application(self, application: str, deadline: Deadline) -> BatchResult[str]:
        """Make the table remember the application. One call tells of all that it remembers."""
        if application in self._applications:
            return BatchResult(confirmed=[application])
        outcome = retry_batch(self._table.remember_applications, [application], deadline)
        self._applications |= frozenset(outcome.confirmed)
        return outcome


class _ApplicationCount(PartitionCount):
    def __init__(self, of_stack: PartitionCount, application: str) -> None:
        super().__init__(of_stack._table)
        self._of_stack, self._application = of_stack, application

    def ensure(self, count: int, deadline: Deadline) -> BatchResult[int]:
        """Make the table remember the count first: an earlier version cannot read the item without it."""
        outcome = self._of_stack.ensure(count, deadline)
        if not outcome.confirmed:
            return outcome
        remembered = self._of_stack.ensure_application(self._application, deadline)
        if not remembered.confirmed:
            return BatchResult(unconfirmed=[count], last_error=remembered.last_error)
        return outcome


def partitions_to_feed(table: Table, count: int, deadline: Deadline) -> range:
    """Return every partition that may hold schedules."""
    return range(max(count, retry_call(table.recall_partitions, deadline)))


def to_feed(table: FedTable, count: int, deadline: Deadline) -> tuple[range, list[str]]:
    """Return every partition that may hold schedules, and every application that may have some in them."""
    remembered, applications = retry_call(table.recall_fed, deadline)
    return range(max(count, remembered)), applications
