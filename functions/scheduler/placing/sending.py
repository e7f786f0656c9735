"""Send schedules to their queues in chunks. One thread sends a chunk, and computes the delay again for every try."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch
from scheduler.limits import SQS_DELAY_S_MAX
from scheduler.model.schedule import Schedule
from scheduler.value_class import value_class

CHUNK_SCHEDULES_MAX = 50
"""Five full batches of SQS and two of DynamoDB: 0.14 calls per schedule, and a crash repeats few schedules."""


class Queues(Protocol):
    def url_of(self, schedule: Schedule) -> str: ...
    def is_stack_queue(self, url: str) -> bool: ...
    def batches(self, queue_url: str, schedules: Iterable[Schedule]) -> Iterator[list[Schedule]]: ...
    def send(self, queue_url: str, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]: ...


@value_class
class SendChunk:
    """Schedules for one queue that one thread sends."""

    queue_url: str
    schedules: list[Schedule]


def send_chunks(schedules: Iterable[Schedule], url_of: Callable[[Schedule], str]) -> Iterator[SendChunk]:
    """Group schedules by queue, keep their order, and yield chunks."""
    by_queue: dict[str, list[Schedule]] = {}
    for schedule in schedules:
        by_queue.setdefault(url_of(schedule), []).append(schedule)
    for url, waiting in by_queue.items():
        for start in range(0, len(waiting), CHUNK_SCHEDULES_MAX):
            yield SendChunk(url, waiting[start : start + CHUNK_SCHEDULES_MAX])


def send(chunk: SendChunk, queues: Queues, deadline: Deadline) -> BatchResult[Schedule]:
    """Send a chunk batch by batch.

    The rest is not attempted once the queue is unavailable, no message of a batch was confirmed, or time is over.
    """
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
    """Send the schedules that may be sent now, and return the others as unconfirmed.

    After a clock is set back, a schedule may be out of reach again. SQS would refuse its delay, and a shorter delay
    would be early. Only a timer may be early, because it is then set again. An expired schedule must not be delivered.
    """
    latest_ms = now_ms + SQS_DELAY_S_MAX * 1000
    fit = [each for each in schedules if (each.due_ms <= latest_ms or each.name) and not each.expired(now_ms)]
    outcome = queues.send(queue_url, fit, now_ms) if fit else BatchResult()
    if len(fit) < len(schedules):
        outcome.unconfirmed += [schedule for schedule in schedules if schedule not in fit]
        outcome.last_error = outcome.last_error or "expired, or out of reach by this clock"
    return outcome
