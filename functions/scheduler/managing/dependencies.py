"""The dependencies of the manage function's operations, and the value types that the adapters return to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from scheduler.counting.ledger import NO_LEDGER, Ledger
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline
from scheduler.execution.worker_pool import WorkerPool
from scheduler.model.bundle import Bundle
from scheduler.model.feed_run import FeedRun
from scheduler.model.name_record import Record, RecordPage
from scheduler.model.schedule import Key, Request, Schedule
from scheduler.placing import naming, partitions, sending
from scheduler.placing.keys import KeyGenerator
from scheduler.value_class import value_class

if TYPE_CHECKING:
    from scheduler.counting.reading import Counts
    from scheduler.placing.near_names import Row

BATCH_WHOLE_MAX = 25
"""A record with its data is up to 400 KB. This many stay below the 16 MB that one answer may hold."""
BATCH_STUBS_MAX = 100
"""Amazon DynamoDB, "quotas": keys in one BatchGetItem."""

DONE, BUSY, GONE = "done", "busy", "gone"
"""The result of a conditional write: done, another call holds the item, or the item has changed since it was read."""


@value_class
class SchedulePage:
    """The items in a range of a partition, in key order, and the sort key where the next page starts."""

    things: list[Schedule | Bundle]
    next_sort: str | None


@value_class
class Stub:
    """An item without its data: a schedule, the timer of a name, or a bundle that still has to be unpacked."""

    key: Key
    due_ms: int
    name: str | None = None
    bundle: Bundle | None = None


@value_class
class DuePage:
    """The stubs in a range of a partition, in key order, and the sort key where the next page starts."""

    stubs: list[Stub]
    next_sort: str | None


@value_class
class NearNames:
    """Rows of the index of near names, in key order, and the sort key where the next page starts."""

    rows: list[Row]
    next_sort: str | None


@value_class
class Failure:
    """A failed delivery or a quarantined item."""

    key: Key
    schedule: Schedule | None
    """None if no schedule could be read from the item."""
    reason: str
    error: str = ""
    attempts: int | None = None
    failed_ms: int | None = None
    again: str | None = None
    """The id under which a redrive has started to schedule it again."""


@value_class
class Failures:
    failures: list[Failure]
    next_sort: str | None


@value_class
class RunPage:
    """Runs of the feed, in the order in which they began, and the sort key where the next page starts."""

    runs: list[FeedRun]
    next_sort: str | None


class Records(naming.Records, Protocol):
    def get(self, name: str) -> Record | None: ...
    def put_over(self, read: Record, new: Record) -> bool: ...
    def cancel(self, read: Record, request_number: int, now_ms: int) -> bool: ...
    def batch(self, names: Sequence[str], whole: bool) -> tuple[dict[str, Record], list[str]]: ...
    def page(self, partition: str, from_sort: str, prefix: str, from_ms: int, to_ms: int) -> RecordPage: ...


class Table(naming.Table, partitions.Table, Protocol):
    def put(self, things: Sequence[Any]) -> BatchResult[Any]: ...
    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]: ...
    def delete(self, keys: Sequence[Key]) -> BatchResult[Key]: ...


class Queues(sending.Queues, Protocol):
    def approximate_counts(self) -> dict[str, int | None]: ...


class ManageTable(Protocol):
    def get(self, key: Key) -> Schedule | Bundle | None: ...
    def schedule_page(self, partition: str, from_sort: str, to_sort: str, limit: int | None) -> SchedulePage: ...
    def bundles(self, partition: str, from_sort: str, to_sort: str, first_before_ms: int) -> SchedulePage: ...
    def near_names(
        self, partition: str, from_sort: str, to_sort: str, first_before_ms: int, limit: int | None
    ) -> NearNames: ...
    def due_page(
        self, partition: str, from_sort: str, to_sort: str, bundles_only: bool, limit: int | None = None
    ) -> DuePage: ...
    def lock(self, read: Schedule | Bundle, owner: str, now_ms: int, ends_ms: int) -> str: ...
    def unlock(self, key: Key, owner: str) -> None: ...
    def remove(self, read: Schedule | Bundle, kept: Bundle | None, owner: str, now_ms: int) -> str: ...
    def quarantined(self, schedule_id: str) -> Failure | None: ...
    def failures(
        self, partition: str, from_sort: str, to_sort: str, limit: int | None, schedule_id: str | None = None
    ) -> Failures: ...
    def runs(
        self, key: str, from_sort: str, to_sort: str, limit: int, partition: str | None, newest_first: bool = False
    ) -> RunPage: ...
    def note_again(self, key: Key, schedule_id: str) -> str | None: ...
    def forget_again(self, key: Key, schedule_id: str) -> None: ...


def _no_table(application: str) -> ManageTable:
    raise LookupError(f"{application} is not for an application to see")


@value_class
class ManageDependencies:
    records: Records
    table: Table
    manage_table: ManageTable
    stored_count: partitions.PartitionCount
    queues: Queues
    pool: WorkerPool
    key_generator: KeyGenerator
    reach_ms: int
    revise: Callable[[Schedule, Mapping[str, object], int], Request]
    """Returns a schedule with the given fields of a change at this time, or raises InvalidSchedule."""
    counts: Callable[[], Counts]
    """Returns the counts of the ledger, which few operations read."""
    ledger: Ledger = NO_LEDGER
    application: str = ""
    """The id of the application whose schedules these are. It is empty for the owner's."""
    applications: Callable[[], list[str]] = list
    """Returns the ids of all applications."""
    table_of: Callable[[str], ManageTable] = _no_table
    """Returns the table with the items of an application, by its id. Only the owner may ask."""
    of_application: Callable[[str], ManageDependencies | None] | None = None
    """Returns the same for an application, by its name or its id, or None. Only the owner may ask."""

    def partitions(self, deadline: Deadline) -> list[str]:
        """Return all partitions that may hold schedules."""
        return [
            str(number)
            for number in partitions.partitions_to_feed(self.table, self.key_generator.partition_count, deadline)
        ]

    def current_records(self, names: Sequence[str], whole: bool, deadline: Deadline) -> dict[str, Record]:
        """Return the records that exist under these names. Raise NotConfirmed if some could not be read."""
        found: dict[str, Record] = {}
        for step in self._steps(names, whole):
            found |= self._batch(step, whole, deadline)
        return found

    def _steps(self, names: Sequence[str], whole: bool) -> Iterator[list[str]]:
        each_name, step = list(dict.fromkeys(names)), BATCH_WHOLE_MAX if whole else BATCH_STUBS_MAX
        for start in range(0, len(each_name), step):
            yield each_name[start : start + step]

    def _batch(self, names: list[str], whole: bool, deadline: Deadline) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for tries in range(1, deadline.tries_max + 1):
            why = "UnprocessedKeys"
            try:
                more, names = self.records.batch(names, whole)
                found |= more
            except NotConfirmed as failure:
                why = str(failure)
            if not names:
                break
            if not deadline.backoff(tries):
                raise NotConfirmed(f"records could not be read: {why}")
        return found
