"""A batch whose members have their keys, and everything that it takes to accept one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Protocol

from scheduler.counting.ledger import NO_LEDGER, Ledger
from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.worker_pool import WorkerPool
from scheduler.measuring.metrics import NO_METRICS, Metrics
from scheduler.model.bundle import Bundle
from scheduler.model.schedule import Schedule, Timer
from scheduler.placing import partitions
from scheduler.placing.keys import KeyGenerator
from scheduler.placing.sending import Queues
from scheduler.value_class import value_class

if TYPE_CHECKING:
    from scheduler.accepting import request
    from scheduler.model.name_record import Record
    from scheduler.placing.naming import NameResult
    from scheduler.placing.near_names import Row

Failures = dict[str, InvalidSchedule | NotConfirmed]


class Table(Protocol):
    def put(self, things: Sequence[Schedule | Bundle]) -> BatchResult[Schedule | Bundle]: ...
    def remove_timer(self, timer: Timer) -> None: ...
    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]: ...


class Records(Protocol):
    def put(self, new: Record, even_if_pending: bool = True) -> tuple[bool, Record | None]: ...
    def batch(self, names: Sequence[str], whole: bool) -> tuple[dict[str, Record], list[str]]: ...


@value_class
class SchedulingDependencies:
    """The rules for requests, and the table and queues that accepted schedules go to."""

    table: Table
    stored_count: partitions.PartitionCount
    queues: Queues
    pool: WorkerPool
    rules: request.AcceptRules
    key_generator: KeyGenerator
    reach_ms: int
    records: Callable[[], Records]
    ledger: Ledger = NO_LEDGER
    metrics: Metrics = NO_METRICS


@value_class
class RequestContext:
    """When a batch of requests is processed, and under which token.

    `sent_ms` is when the batch was sent. It is set only for an input message, because its repeats have the same time.
    """

    now_ms: int
    token: str | None = None
    sent_ms: int | None = None
    refuse_unavailable: bool = False
    """Whether to refuse schedules for a target queue that is missing or denies access, because it was so for long."""
    by_callers_token: bool = True
    """Whether the token is the caller's own, and not a message id. A repeat may then be sent at another time."""
    by_older_rules: bool = False
    """Whether an earlier version may have accepted some members. It allowed a delay together with a token."""
    before_zones: bool = False
    """Whether an earlier version may have refused some members, because it did not know `zone` and `spread`."""

    @property
    def counted_from_ms(self) -> int:
        return self.now_ms if self.sent_ms is None else self.sent_ms


@value_class
class KeyedBatch:
    """The valid members of a batch, by index, with their keys.

    Some members share bundles. `named` holds the results of those with a name, once their records are written.
    """

    schedules: dict[int, Schedule]
    bundles: list[Bundle]
    named: dict[int, NameResult] = field(default_factory=dict)
    rejected: dict[int, InvalidSchedule | NotConfirmed] = field(default_factory=dict)
    """Failures to register a name, by index.

    The id would not do: under a token, the current schedule may have the same id and be kept for another member.
    """

    def at(self, indexes: Collection[int]) -> KeyedBatch:
        """Return only these members, with unchanged keys. A bundle that is still to be stored has all members here."""
        schedules = {index: self.schedules[index] for index in indexes if index in self.schedules}
        keys = {each.key for each in schedules.values()}
        return KeyedBatch(schedules, [bundle for bundle in self.bundles if bundle.key in keys])

    def failure_of(self, index: int, failures: Failures) -> InvalidSchedule | NotConfirmed | None:
        """Return the failure of a member, or None. A failure of its bundle is a failure of the member."""
        schedule = self.schedules[index]
        return self.rejected.get(index) or failures.get(schedule.id) or failures.get(schedule.key.id)
