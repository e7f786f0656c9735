"""Helping: while one of a batch hangs, the function takes from the queue what is behind, and delivers it beside.

Lambda has two batches of a queue at once after a quiet time, and five while there is work. One host that does not
answer would hold each of them for as long as a request may take, and everybody behind would be late by as much.
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
"""After the start of an invocation nothing more is received. By then every request to a host that does not answer has
timed out: the last one begins `resting.OPEN_S` after the start."""


class DeliveryQueue(Protocol):
    def receive(self, most: int) -> list[Message]:
        """What is there, or nothing after a short wait."""

    def delete(self, receipt: str) -> None: ...


def more(
    delivery_queue: DeliveryQueue, watch: InFlight, width: int, begun_s: float, deadline: Deadline
) -> Iterator[Message]:
    """What is behind, for a crew of this width and an invocation that began then; until nothing is under way."""
    log.outcome("helping", under_way=watch.counts()[0])
    while deadline.clock() < begun_s + POLL_S_MAX:
        under_way, hanging = watch.counts()
        if not under_way:
            return
        most = _most(width, under_way, hanging)
        if not most:
            deadline.sleep(watch.quiet_s())
            continue
        try:
            taken = delivery_queue.receive(most)
        except Exception as failure:  # noqa: BLE001 - The batch is not to suffer for what it was not asked for.
            error = str(failure) if isinstance(failure, NotConfirmed) else type(failure).__name__
            log.outcome("not helped", error=error)
            return
        yield from taken


def _most(width: int, under_way: int, hanging: int) -> int:
    """While something hangs, as many as there are threads for. Those that do not hang are never more than one host may
    have at once, so that one which answers is never taken for a crowd."""
    if not hanging:
        return 0
    return min(SQS_BATCH_MESSAGES_MAX, width - under_way, PER_HOST_MAX - (under_way - hanging))
