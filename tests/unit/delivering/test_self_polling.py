"""While one message of a batch hangs, the function also delivers the next messages of the queue. Virtual time."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from delivery_fakes import FakeDeliveryQueue
from fakes import NOON_MS, FakeQueues, FakeRecords, FakeTable, schedule
from punctual.testing.timeline import Timeline, WorkerPool
from scheduler.delivering import delivery
from scheduler.delivering.circuit_breaker import (
    KEPT_FOR_FAMILIES,
    KEPT_FOR_TARGETS,
    TIMEOUTS_MAX,
    UNPROVEN_MAX,
    CircuitBreaker,
)
from scheduler.delivering.delivery import DELIVER_RESERVE_S, DELIVER_THREADS_MAX
from scheduler.delivering.dependencies import DeliveryDependencies
from scheduler.delivering.in_flight import HANGS_AFTER_S, Message
from scheduler.delivering.next_messages import NextMessages
from scheduler.delivering.self_polling import POLL_S_MAX
from scheduler.errors import NotConfirmed, Undelivered
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline
from scheduler.limits import SQS_BATCH_MESSAGES_MAX
from scheduler.model import delivery_job, targets
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.failure_report import Report
from scheduler.model.targets import Receiver
from scheduler.placing.partitions import PartitionCount

TIMEOUT_S = 50
READ_S = 10.0
"""The function gives up on a hanging host after this time."""
SLOW_S = 1.0
ALONE = UNPROVEN_MAX - KEPT_FOR_FAMILIES - KEPT_FOR_TARGETS
"""Concurrent requests to one host that has not answered yet."""


def message(
    name: str, host: str | None = "quick", ahead_s: float = 0, max_age_s: int = 86_400, attempt: int = 1
) -> Message:
    """Return a message for a host or for the output queue. A delivery began at its due time."""
    target = None if host is None else json.dumps({"url": f"https://{host}/"}, separators=(",", ":"))
    terms = json.dumps({"retry": {"max_age_s": max_age_s}})
    number, due_ms = zlib.crc32(name.encode()), NOON_MS + round(ahead_s * 1000)
    sent = replace(schedule(number, due_ms, target=target), data=name, terms=terms)
    return Message(name, delivery_job.body(DeliveryJob(sent, attempt, begun_ms=sent.due_ms)))


class Kept(FakeTable):
    def put_failed(self, reports: Sequence[Report[Any]]) -> BatchResult[Report[Any]]:
        return BatchResult(confirmed=list(reports))


@dataclass
class Backlog(FakeQueues):
    """The delivery queue and the targets. Times are seconds from the start of the invocation."""

    waiting: list[Message] = field(default_factory=list)
    timeline: Timeline = field(default_factory=lambda: Timeline(NOON_MS * 1000, random.Random(1)))
    delivered: dict[str, float] = field(default_factory=dict)
    deleted: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[float, int]] = field(default_factory=list)
    """When the function received from the queue, and how many messages it wanted."""
    postponed: list[str] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    broken: Callable[[], Exception | None] = lambda: None
    ended_s: float = 0.0
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)

    def __post_init__(self) -> None:
        self.delivery_queue = FakeDeliveryQueue(lambda: self.timeline.now_s, self.timeline.sleep)
        for each in self.waiting:
            self.delivery_queue.add(each.id, each.body)

    @property
    def now_s(self) -> float:
        return self.timeline.now_s - NOON_MS / 1000

    def receive(self, most: int) -> list[Message]:
        self.asked.append((self.now_s, most))
        failure = self.broken()
        if failure is not None:
            raise failure
        return self.delivery_queue.receive(most)

    def delete(self, receipt: str) -> None:
        self.delivery_queue.delete(receipt)
        self.deleted[self.delivery_queue.receipts[receipt]] = self.now_s

    def send_job(self, job: DeliveryJob, now_ms: int) -> BatchResult[DeliveryJob]:
        (self.postponed if job.attempt == 1 else self.retried).append(job.schedule.data)
        return BatchResult(confirmed=[job])

    def deliver(self, sent) -> None:
        if sent.target is None:
            raise Undelivered("no answer in time", timed_out=True)
        host = json.loads(sent.target)["url"].split("/")[2]
        self.delivered[sent.data] = self.now_s
        if host == "bad":
            raise RuntimeError("a fault of ours")
        self.timeline.sleep({"quick": 0.05, "slow": SLOW_S}.get(host, READ_S))
        if host not in ("quick", "slow"):
            raise Undelivered("no answer in time", timed_out=True)

    def invoke(self, *batch: Message) -> list[str]:
        """Invoke the function and return the ids of the failed messages."""
        table, timeline = Kept(), self.timeline
        records: Any = FakeRecords()  # No delivery here has a name.
        dependencies = DeliveryDependencies(
            records=records,
            table=table,
            queues=self,
            transports=self,
            notify=lambda *_: None,
            pool=WorkerPool(timeline, DELIVER_THREADS_MAX),
            stored_count=PartitionCount(table),
            breaker=self.breaker,
            next_messages=NextMessages(),
            delivery_queue=lambda: self,
            reach_ms=900_000,
        )
        clock = lambda: timeline.now_s  # noqa: E731
        deadline = Deadline(clock, timeline.sleep, lambda: 0.5, clock() + TIMEOUT_S - DELIVER_RESERVE_S)
        records = [{"messageId": each.id, "body": each.body} for each in batch]
        task = timeline.spawn(lambda: delivery.deliver(records, dependencies, deadline))
        timeline.run(lambda: not task.ended)
        if task.fault is not None:
            raise task.fault
        self.ended_s = self.now_s
        return [failure["itemIdentifier"] for failure in task.result["batchItemFailures"]]


def test_nothing_is_received_while_nothing_hangs():
    """An invocation with quick targets ends after their answers, and waiting for due times counts as quick."""
    backlog = Backlog(waiting=[message("behind")])
    assert [] == backlog.invoke(message("a"), message("b", ahead_s=2.5))
    assert ([], {}) == (backlog.asked, backlog.deleted)
    assert 2.55 <= backlog.ended_s < 2.6


def test_messages_behind_a_hanging_one_are_delivered_half_a_second_later():
    """The function deletes them after delivery. The hanging message is retried as usual."""
    backlog = Backlog(waiting=[message("behind"), message("later", ahead_s=3)])
    assert [] == backlog.invoke(message("hangs", "hangs"), message("a"))
    assert HANGS_AFTER_S <= backlog.delivered["behind"] < HANGS_AFTER_S + 0.1
    assert 3 <= backlog.delivered["later"] < 3.1
    assert {"behind", "later"} == set(backlog.deleted)
    assert all(backlog.deleted[name] > backlog.delivered[name] for name in backlog.deleted)
    assert READ_S <= backlog.ended_s < READ_S + 1.1


def test_a_message_that_waits_for_its_due_time_does_not_hang():
    """Half a second counts from the due time, not from the arrival."""
    backlog = Backlog(waiting=[message("behind", ahead_s=2)])
    backlog.invoke(message("hangs", "hangs", ahead_s=2))
    assert 2 + HANGS_AFTER_S <= backlog.delivered["behind"] < 2 + HANGS_AFTER_S + 0.1


def test_a_long_queue_is_delivered_completely():
    """A hundred messages for a healthy host, while ten or more places are free."""
    backlog = Backlog(waiting=[message(f"behind {number}") for number in range(100)])
    backlog.invoke(message("hangs", "hangs"))
    assert 100 == len(backlog.deleted)
    assert max(backlog.delivered.values()) < HANGS_AFTER_S + 1
    assert not backlog.postponed


def test_a_received_message_that_failed_stays_in_the_queue():
    """It comes again after its visibility timeout and does not affect the batch."""
    backlog = Backlog(waiting=[message("bad", "bad"), message("good")])
    assert [] == backlog.invoke(message("hangs", "hangs"))
    assert {"good"} == set(backlog.deleted)


def test_a_failed_message_of_the_batch_is_reported_while_others_are_received():
    """The id is Lambda's. The function deletes no message of the batch."""
    backlog = Backlog(waiting=[message("good")])
    assert ["bad"] == backlog.invoke(message("hangs", "hangs"), message("bad", "bad"))
    assert {"good"} == set(backlog.deleted)


def test_nothing_is_received_when_the_invocation_has_little_time_left():
    """New messages hang all the time, on one host after the other, and the queue is never empty."""
    backlog = Backlog(waiting=[message(f"{number}", f"hangs-{number}", number / 3) for number in range(300)])
    backlog.invoke(message("hangs", "hangs-0"))
    assert backlog.asked
    assert max(moment_s for moment_s, _ in backlog.asked) < POLL_S_MAX
    assert max(backlog.delivered.values()) <= POLL_S_MAX + delivery.WAIT_MS_MAX / 1000
    assert backlog.ended_s < TIMEOUT_S - DELIVER_RESERVE_S


def test_a_failed_receive_ends_the_helping_and_affects_no_message():
    """AWS may time out or refuse."""
    for failure in (NotConfirmed("ReadTimeoutError"), RuntimeError("no")):
        backlog = Backlog(waiting=[message("behind")], broken=lambda failure=failure: failure)
        assert [] == backlog.invoke(message("hangs", "hangs"), message("a"))
        assert (1, {"hangs", "a"}) == (len(backlog.asked), set(backlog.delivered))


def test_a_message_that_cannot_be_deleted_fails_alone(monkeypatch):
    """It comes again, as after a crash."""
    backlog = Backlog(waiting=[message("behind")])
    tries = []

    def refuse(receipt):
        tries.append(backlog.delivery_queue.receipts[receipt])
        raise NotConfirmed("InternalError")

    monkeypatch.setattr(backlog, "delete", refuse)
    assert [] == backlog.invoke(message("hangs", "hangs"))
    assert ("behind" in backlog.delivered, {"behind"}) == (True, set(tries))


def test_no_more_is_received_than_threads_are_free():
    """One call to SQS returns ten messages at most."""
    backlog = Backlog(waiting=[message(f"{number}", f"hangs-{number}") for number in range(100)])
    backlog.invoke(*[message(f"own {number}", f"hangs-{number}") for number in range(10)])
    assert all(1 <= most <= SQS_BATCH_MESSAGES_MAX for _, most in backlog.asked)
    assert DELIVER_THREADS_MAX >= 10 + SQS_BATCH_MESSAGES_MAX
    beside = [name for name, moment_s in backlog.delivered.items() if not name.startswith("own") and moment_s < 9]
    assert UNPROVEN_MAX - 10 == len(beside)


@pytest.mark.parametrize("others", [1, 40])
def test_one_host_never_takes_every_thread(others):
    """Beyond its share, the function postpones its messages. Messages for other hosts are sent meanwhile."""
    behind = [message(f"hangs too {number}", "hangs") for number in range(60)]
    backlog = Backlog(waiting=[*behind, *(message(f"other {number}") for number in range(others))])
    backlog.invoke(*[message(f"own {number}", "hangs") for number in range(10)])
    tried = [name for name in backlog.delivered if name.startswith(("own", "hangs too"))]
    assert (ALONE, 70 - ALONE) == (len(tried), len(set(backlog.postponed)))
    assert others == len([name for name in backlog.deleted if name.startswith("other")])
    assert max(backlog.delivered.values()) < HANGS_AFTER_S + 1


def test_a_slow_host_gets_more_than_a_batch_at_once():
    """The host answers, so it has no cool-down. Postponed messages find a place again."""
    backlog = Backlog(waiting=[message(f"{number}", "slow") for number in range(30)])
    backlog.invoke(*[message(f"own {number}", "slow") for number in range(10)])
    assert SQS_BATCH_MESSAGES_MAX < ALONE <= len(backlog.delivered)
    assert 40 == len(set(backlog.delivered) | set(backlog.postponed))


def given_up(backlog: Backlog) -> list[str]:
    return [report.schedule.data for report in backlog.reports]


@pytest.mark.parametrize(("attempt", "expected"), [(1, []), (2, ["new"])])
def test_a_message_that_was_never_tried_is_not_given_up_because_of_others(attempt, expected):
    """Its terms end while dead hosts hold every place. A message that was tried before is given up then."""
    backlog = Backlog()
    for number in range(UNPROVEN_MAX):
        backlog.breaker.begin(Receiver(f"dead {number}", "dead"), NOON_MS / 1000, 0)
    backlog.invoke(message("new", "new", max_age_s=1, attempt=attempt))
    assert expected == given_up(backlog)
    assert ("new" in backlog.postponed, "new" in backlog.delivered) == (attempt == 1, False)


@pytest.mark.parametrize(("host", "expected"), [(None, []), ("dead", ["old"])])
def test_the_output_queue_is_never_given_up_for_its_silence(host, expected):
    """A message for the queue is retried until the queue answers. One for a host ends with its `max_age_s`."""
    backlog, old = Backlog(), message("old", host, ahead_s=-100, max_age_s=30)
    receiver = targets.receiver(old.job.schedule.target)
    for _ in range(TIMEOUTS_MAX + 1):
        backlog.breaker.begin(receiver, backlog.now_s + NOON_MS / 1000, 0)
        backlog.breaker.end(receiver, True, 0, backlog.now_s + NOON_MS / 1000)
    backlog.breaker.begin(receiver, backlog.now_s + NOON_MS / 1000, 0)
    backlog.invoke(old)
    assert (expected, {}) == (given_up(backlog), backlog.delivered)
    assert ("old" in backlog.retried) == (host is None)
