"""The whole stack on moto. Schedules are accepted, managed, fed and delivered, and the test moves the clock."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from fakes import NOON_MS, Clock, schedule, scheduling_dependencies
from scheduler.accepting import changes, scheduling
from scheduler.accepting.request import AcceptRules
from scheduler.aws.applications.counts import Counts
from scheduler.aws.delivery_queue import DeliveryQueue
from scheduler.aws.manage_table import ManageTable
from scheduler.delivering import delivery
from scheduler.delivering.circuit_breaker import CircuitBreaker
from scheduler.delivering.dependencies import DeliveryDependencies
from scheduler.delivering.next_messages import NextMessages
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding import feed as feeding
from scheduler.managing import operations
from scheduler.managing.dependencies import ManageDependencies
from scheduler.model.failure_report import failed
from scheduler.model.schedule import Schedule
from scheduler.placing.keys import KeyGenerator
from scheduler.placing.partitions import PartitionCount

REACH_MS = 900_000
NOON_S = NOON_MS // 1000
FAR_S = NOON_S + 10_000


class Crash(BaseException):
    """The process crashes here."""


@dataclass
class WholeStack:
    cloud: Any
    clock: Clock = field(default_factory=Clock)
    partition_count: int = 2
    delivered: list[str] = field(default_factory=list)
    rules: AcceptRules = AcceptRules()
    received: list[Schedule] = field(default_factory=list)
    """What targets received from the deliver function."""

    @property
    def manage_dependencies(self) -> ManageDependencies:
        cloud, randomness = self.cloud, random.Random(random.random())
        return ManageDependencies(
            records=cloud.records,
            table=cloud.table,
            manage_table=ManageTable(cloud.dynamodb, "schedules"),
            stored_count=PartitionCount(cloud.table),
            queues=cloud.queues,
            pool=SerialPool(),
            key_generator=KeyGenerator(self.partition_count, randomness),
            reach_ms=REACH_MS,
            revise=partial(changes.revised, rules=self.rules),
            counts=lambda: Counts(cloud.dynamodb, "schedules"),
        )

    def ask(self, operation: str, **fields: Any) -> dict[str, Any]:
        return operations.manage({"operation": operation, **fields}, self.manage_dependencies, self.clock.deadline())

    def take(self, timestamp: float = FAR_S, data: str = "data", **fields: Any) -> dict[str, Any]:
        return self.accept({"timestamp": timestamp, "data": data, **fields})

    def accept(self, event: Any) -> dict[str, Any]:
        dependencies = scheduling_dependencies(
            self.cloud.table, self.cloud.queues, self.rules, partition_count=self.partition_count
        )
        key_generator = KeyGenerator(self.partition_count, random.Random(random.random()), 60_000)
        dependencies = replace(dependencies, records=lambda: self.cloud.records, key_generator=key_generator)
        return scheduling.accept(event, dependencies, self.clock.deadline())

    def bundle(self, count: int = 3, timestamp: float = FAR_S) -> list[dict[str, Any]]:
        """Return a batch for one bundle. Its members are a second apart, and the last is due at that time."""
        first = timestamp - count + 1
        batch = [{"timestamp": first + number, "data": f"member {number}"} for number in range(count)]
        return self.accept(batch)["results"]

    def waiting(self) -> list[dict[str, Any]]:
        """Return the items of schedules, timers and bundles."""
        return [item for item in self.cloud.items() if item["partition"]["S"].isdigit()]

    def begin_anew(self) -> None:
        self.clock.now_ms = NOON_MS
        self.delivered.clear()

    def delayed(self, queue_url: str) -> int:
        """Return the number of messages that are not visible yet."""
        answer = self.cloud.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])
        return int(answer["Attributes"]["ApproximateNumberOfMessagesDelayed"])

    def come_out(self, timestamp: float = FAR_S + 1_000) -> list[str]:
        """Return the data of everything that is sent by then, or is in a queue already."""
        self.clock.now_ms = max(self.clock.now_ms, round(timestamp * 1000))
        self.feed()
        self._deliver()
        return sorted([message["Body"] for message in self.cloud.received()] + self.delivered)

    def feed(self) -> None:
        """Feed every partition once."""
        for partition in range(self.partition_count):
            dependencies = feeding.FeedDependencies(
                self.cloud.table,
                self.cloud.queues,
                SerialPool(),
                REACH_MS,
                lambda payload, _: None,
            )
            order = feeding.FeedEvent.read({"partition": str(partition)})
            feeding.feed(order, dependencies, self.clock.deadline(10_000), f"{random.random()}")

    def _deliver(self) -> None:
        """Deliver like the deliver function, including the timers that it sets again."""
        dependencies = DeliveryDependencies(
            records=self.cloud.records,
            table=self.cloud.table,
            queues=self.cloud.queues,
            transports=SimulatedTransport(self.delivered, self.received),
            notify=lambda *_: None,
            pool=SerialPool(),
            stored_count=PartitionCount(self.cloud.table),
            breaker=CircuitBreaker(),
            next_messages=NextMessages(),
            delivery_queue=lambda: DeliveryQueue(self.cloud.sqs, self.cloud.delivery),
            reach_ms=REACH_MS,
        )
        while messages := self.cloud.received(self.cloud.delivery):
            batch = [{"messageId": each["MessageId"], "body": each["Body"]} for each in messages]
            assert {"batchItemFailures": []} == delivery.deliver(batch, dependencies, self.clock.deadline(60))

    @contextmanager
    def before_call(self, number: int, act):
        """Run `act` before the call with this number, to any service."""
        calls = [0]

        def count(**_):
            calls[0] += 1
            if calls[0] == number + 1:
                act()

        clients = (self.cloud.dynamodb, self.cloud.sqs)
        for client in clients:
            client.meta.events.register_first("before-call.*.*", count, unique_id="whole_stack")
        try:
            yield calls
        finally:
            for client in clients:
                client.meta.events.unregister("before-call.*.*", unique_id="whole_stack")


@dataclass
class SimulatedTransport:
    delivered: list[str]
    received: list[Schedule]

    def deliver(self, schedule) -> None:
        self.delivered.append(schedule.data)
        self.received.append(schedule)


def bend_pages(stack, items_max):
    """Limit pages to this number of items."""

    def shorten(params, **_):
        params["Limit"] = min(items_max, params.get("Limit", items_max))

    stack.cloud.dynamodb.meta.events.register("provide-client-params.dynamodb.Query", shorten)


def fail(stack, number, at_ms, name=None, target=None):
    """Store a delivery that failed at that time."""
    each = replace(schedule(number, NOON_MS - 100_000_000, str(number % 2), target), name=name)
    stack.cloud.table.put_failed([failed(each, "503", 5, at_ms)])
    return each


def ask_on(stack, seconds, **fields):
    """Return the answers of calls with this much time each, until one has no next."""
    answers = []
    while not answers or answers[-1]["next"] is not None:
        assert len(answers) < 100
        more = {"next": answers[-1]["next"]} if answers else {}
        answers.append(operations.manage({**fields, **more}, stack.manage_dependencies, stack.clock.deadline(seconds)))
        stack.clock.sleep(1)
    return answers
