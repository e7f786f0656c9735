"""Receive more messages from the delivery queue while a delivery of the batch hangs.

Lambda processes two batches of a queue at once after a quiet time, and five while there is work. A host that does not
answer would block every batch until its requests time out. All messages behind them would be late by the same time.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from scheduler import log
from scheduler.delivering.circuit_breaker import PER_HOST_MAX
from scheduler.delivering.in_flight import InFlight, Message
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline
from scheduler.limits import SQS_BATCH_MESSAGES_MAX

POLL_S_MAX = 21
"""The function receives nothing later than this after the start of the invocation. By then every request to a silent
host has timed out, because the last one begins `circuit_breaker.OPEN_S` after the start."""


class DeliveryQueue(Protocol):
    def receive(self, most: int) -> list[Message]:
        """Return up to `most` messages, or none after a short wait."""

    def delete(self, receipt: str) -> None: ...


def more(
    delivery_queue: DeliveryQueue, watch: InFlight, width: int, begun_s: float, deadline: Deadline
) -> Iterator[Message]:
    """Yield messages from the queue until no delivery is in progress.

    `width` is the number of threads of the worker pool. `begun_s` is the start of the invocation.
    """
    log.outcome("helping", under_way=watch.counts()[0])
    while deadline.clock() < begun_s + POLL_S_MAX:
        in_flight, stalled = watch.counts()
        if not in_flight:
            return
        most = _most(width, in_flight, stalled)
        if not most:
            deadline.sleep(watch.idle_s())
            continue
        try:
            received = delivery_queue.receive(most)
        except Exception as failure:  # noqa: BLE001 - Extra work must not fail the batch.
            error = str(failure) if isinstance(failure, NotConfirmed) else type(failure).__name__
            log.outcome("not helped", error=error)
            return
        yield from received


def _most(width: int, in_flight: int, stalled: int) -> int:
    """Return how many messages to receive: as many as there are free threads, and none unless a delivery hangs.

    The deliveries that do not hang stay within the limit of one host. So a host that answers never exceeds its limit.
    """
    if not stalled:
        return 0
    return min(SQS_BATCH_MESSAGES_MAX, width - in_flight, PER_HOST_MAX - (in_flight - stalled))
