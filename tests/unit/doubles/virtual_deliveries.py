"""The deliver function over virtual time: a delivery queue, a target, the table and the failure targets.

Each of them can be down for a while. Times are seconds from noon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fakes import FAILURE, NOON_MS, Clock, FakeQueues, FakeRecords, FakeTable, schedule
from scheduler.delivering import delivery
from scheduler.delivering.circuit_breaker import CircuitBreaker
from scheduler.delivering.dependencies import DeliveryDependencies
from scheduler.delivering.next_messages import NextMessages
from scheduler.errors import NotConfirmed, Undelivered
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline
from scheduler.execution.worker_pool import SerialPool
from scheduler.model import delivery_job
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.name_record import Record, request_number_at

TOPIC = "arn:aws:sns:eu-central-1:123456789012:ops"
WEBHOOK = '{"url":"https://api.example.com/"}'
VISIBILITY_S = 270
MESSAGES_MAX = 2_000

ONCE = '{"retry":{"attempts":1}}'
ONCE_AND_REPORTED = f'{{"retry":{{"attempts":1}},"failure_target":"{TOPIC}"}}'


def webhook(due_s: float = 0, terms: str | None = None, name: str | None = None) -> Any:
    made = schedule(1, NOON_MS + round(due_s * 1000), target=WEBHOOK)
    return replace(made, terms=terms, name=name)


@dataclass
class Deliveries:
    answer: Callable[[float], Undelivered | None] = lambda now_s: None
    """The target's answer to a call at that second."""
    down: dict[str, tuple[float, float]] = field(default_factory=dict)
    """From when to when the table, the failure queue, the topic or the queue does not answer."""
    application: str = ""
    """Whose deliveries these are. The queues say so in each message."""
    jitter: float = 0.5
    clock: Clock = field(default_factory=Clock)
    called: list[float] = field(default_factory=list)
    notified: list[Any] = field(default_factory=list)
    notify_tries_s: list[float] = field(default_factory=list)
    came_again: int = 0
    dead_letters: list[str] = field(default_factory=list)
    """Bodies that SQS moved to the dead-letter queue."""

    def __post_init__(self) -> None:
        self.records = FakeRecords(down=lambda: self.is_down("table"))
        self.table, self.queues = FakeTable(), FakeQueues()
        self._waiting: list[tuple[int, str]] = []

    @property
    def now_s(self) -> float:
        return self.clock() - NOON_MS / 1000

    def is_down(self, part: str) -> bool:
        begin_s, end_s = self.down.get(part, (0.0, 0.0))
        return begin_s <= self.now_s < end_s

    # The dependencies of a delivery.

    @property
    def kept(self) -> list[Any]:
        """The failures that the table keeps."""
        return self.table.kept

    @property
    def reported(self) -> list[Any]:
        return self.queues.reports

    @property
    def sent(self) -> list[DeliveryJob]:
        return self.queues.jobs

    def put(self, things):
        self.table.down = self.is_down("table")
        return self.table.put(things)

    def put_failed(self, reports):
        self.table.down = self.is_down("table")
        return self.table.put_failed(reports)

    def put_near_names(self, rows):
        self.table.down = self.is_down("table")
        return self.table.put_near_names(rows)

    def report(self, reports):
        self.queues.closed = {FAILURE} if self.is_down("failures") else set()
        return self.queues.report(reports)

    def send_job(self, job, now_ms):
        if self.is_down("queue"):
            return BatchResult(unconfirmed=[job], last_error="ServiceUnavailable")
        outcome = self.queues.send_job(job, now_ms)
        at_ms = self.clock.now_ms + delivery_job.delay_s(job, now_ms, 0) * 1000
        self._waiting.append((at_ms, delivery_job.body(job, self.application)))
        return outcome

    def notify(self, failure_target, report):
        self.notify_tries_s.append(self.now_s)
        if self.is_down("topic"):
            raise NotConfirmed("ServiceUnavailable")
        self.notified.append(report)

    def deliver(self, sent):
        self.called.append(self.now_s)
        failure = self.answer(self.now_s)
        if failure is not None:
            raise failure

    # Drive the deliveries.

    def hold(self, named) -> Record:
        """Store a record and send the timer that wakes it."""
        record = Record(named, request_number_at(NOON_MS - 1), NOON_MS - 1)
        self.records.current[named.name] = record
        return record

    def current(self, name: str) -> Record:
        return self.records.current[name]

    def run(self, job: DeliveryJob | str, seconds: float = 35) -> None:
        """Deliver until the queue is empty. A failed message comes again after its visibility timeout."""
        none_needed: Any = None
        dependencies = DeliveryDependencies(
            records=self.records,
            table=self,
            queues=self,
            transports=self,
            notify=self.notify,
            pool=SerialPool(),
            stored_count=none_needed,
            breaker=CircuitBreaker(),
            next_messages=NextMessages(),
            delivery_queue=lambda: none_needed,
            reach_ms=900_000,
            of_application=lambda _: dependencies,
        )
        self._waiting.append((0, job if isinstance(job, str) else delivery_job.body(job, self.application)))
        receives: dict[str, int] = {}
        for _ in range(MESSAGES_MAX):
            if not self._waiting:
                return
            at_ms, body = self._waiting.pop(self._waiting.index(min(self._waiting)))
            self.clock.now_ms = received_ms = max(self.clock.now_ms, at_ms)
            deadline = Deadline(self.clock, self.clock.sleep, lambda: self.jitter, self.clock() + seconds)
            if delivery.deliver([{"messageId": "m", "body": body}], dependencies, deadline)["batchItemFailures"]:
                self.came_again += 1
                receives[body] = receives.get(body, 0) + 1
                if receives[body] >= 10:
                    self.dead_letters.append(body)
                else:
                    self._waiting.append((received_ms + VISIBILITY_S * 1000, body))
        raise AssertionError("it never ends")
