"""What a delivery needs: records, queues, transports, and what this environment remembers of earlier deliveries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from scheduler.counting.ledger import NO_LEDGER, Ledger
from scheduler.delivering.circuit_breaker import CircuitBreaker
from scheduler.delivering.next_messages import NextMessages
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.worker_pool import WorkerPool
from scheduler.measuring.metrics import NO_METRICS, Metrics
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.failure_report import Notify, Report
from scheduler.model.name_record import Record
from scheduler.model.schedule import Schedule
from scheduler.model.targets import Receiver, receiver
from scheduler.placing import partitions
from scheduler.value_class import value_class

if TYPE_CHECKING:
    from scheduler.delivering.self_polling import DeliveryQueue
    from scheduler.placing.near_names import Row


class Records(Protocol):
    def get(self, name: str) -> Record | None: ...
    def cover(self, read: Record, message_id: str) -> bool: ...
    def claim(self, read: Record, message_id: str, now_ms: int, until_ms: int) -> bool: ...
    def close(self, read: Record, state: str, now_ms: int, attempts: int, error: str = "") -> bool: ...
    def note(self, read: Record, wake_count: int, attempts: int, error: str, now_ms: int, retry_ms: int) -> bool: ...


class Table(Protocol):
    def put(self, things: Sequence[Schedule]) -> BatchResult[Any]: ...
    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]: ...
    def put_failed(self, reports: Sequence[Report[Any]]) -> BatchResult[Report[Any]]: ...


class Queues(Protocol):
    def send_job(self, job: DeliveryJob, now_ms: int) -> BatchResult[DeliveryJob]: ...
    def report(self, reports: Sequence[Report[Any]]) -> BatchResult[Report[Any]]: ...


class Transports(Protocol):
    def deliver(self, schedule: Schedule) -> None:
        """Call the target. Raise Undelivered if the target did not accept the schedule."""


@value_class
class DeliveryDependencies:
    """The records, queues and transports that a delivery needs."""

    records: Records
    table: Table
    queues: Queues
    transports: Transports
    notify: Notify
    pool: WorkerPool
    stored_count: partitions.PartitionCount
    breaker: CircuitBreaker
    next_messages: NextMessages
    delivery_queue: Callable[[], DeliveryQueue]
    """Returns the delivery queue, which is needed only while a delivery hangs."""
    reach_ms: int
    of_application: Callable[[str], DeliveryDependencies] | None = None
    """Returns the same for an application: its table, its records, and queues and transports that say whose it is."""
    application: str = ""
    ledger: Ledger = NO_LEDGER
    metrics: Metrics = NO_METRICS

    def receiver(self, schedule: Schedule) -> Receiver:
        """Return the receiver of a schedule. A host may hang for one application and answer another."""
        return receiver(schedule.target, self.application)

    def of(self, application: str) -> DeliveryDependencies:
        if not application:
            return self
        if self.of_application is None:
            raise ValueError("these deliveries are for the owner only")
        return self.of_application(application)
