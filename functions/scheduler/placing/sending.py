"""Schedules to their queue, in parcels that one thread works through, with a delay that is right at every try."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch
from scheduler.limits import SQS_DELAY_S_MAX
from scheduler.model.schedule import Schedule

CHUNK_SCHEDULES_MAX = 50
"""Five full batches of SQS and two of DynamoDB: 0.14 calls per schedule, and what a crash can repeat stays small."""


class Queues(Protocol):
    def url_of(self, schedule: Schedule) -> str: ...
    def are_ours(self, url: str) -> bool: ...
    def batches(self, queue_url: str, schedules: Iterable[Schedule]) -> Iterator[list[Schedule]]: ...
    def send(self, queue_url: str, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]: ...


@dataclass(frozen=True, slots=True)
class SendChunk:
    """A few schedules for one queue."""

    queue_url: str
    schedules: list[Schedule]


def send_chunks(schedules: Iterable[Schedule], url_of: Callable[[Schedule], str]) -> Iterator[SendChunk]:
    """Sort by queue, in the order they come, and cut."""
    by_queue: dict[str, list[Schedule]] = {}
    for schedule in schedules:
        by_queue.setdefault(url_of(schedule), []).append(schedule)
    for url, waiting in by_queue.items():
        for start in range(0, len(waiting), CHUNK_SCHEDULES_MAX):
            yield SendChunk(url, waiting[start : start + CHUNK_SCHEDULES_MAX])


def send(chunk: SendChunk, queues: Queues, deadline: Deadline) -> BatchResult[Schedule]:
    """Send batch by batch. Once the queue is found closed, a batch found no way through, or time is over, the rest is
    not tried."""
    total: BatchResult[Schedule] = BatchResult()
    stuck = False
    for number, batch in enumerate(queues.batches(chunk.queue_url, chunk.schedules)):
        if total.unavailable:
            total.unavailable += [(schedule, total.unavailable[0][1]) for schedule in batch]
        elif stuck or (number and deadline.passed()):
            total.not_attempted += batch
        else:
            outcome = retry_batch(lambda left: _try(left, chunk.queue_url, queues, deadline.now_ms()), batch, deadline)
            stuck = bool(outcome.unconfirmed) and not outcome.confirmed
            total.add(outcome)
    return total


def _try(schedules: Sequence[Schedule], queue_url: str, queues: Queues, now_ms: int) -> BatchResult[Schedule]:
    """What may be sent at this moment. A clock that was set back may find a schedule out of reach again: SQS would
    refuse it, and a shorter delay would be early; a timer may come early, it is set again. And what has expired
    meanwhile is not to be delivered."""
    latest_ms = now_ms + SQS_DELAY_S_MAX * 1000
    fit = [each for each in schedules if (each.due_ms <= latest_ms or each.name) and not each.expired(now_ms)]
    outcome = queues.send(queue_url, fit, now_ms) if fit else BatchResult()
    if len(fit) < len(schedules):
        outcome.unconfirmed += [schedule for schedule in schedules if schedule not in fit]
        outcome.last_error = outcome.last_error or "expired, or out of reach by this clock"
    return outcome
