"""The clock, randomness, threads and AWS clients of a function. A simulation replaces them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from scheduler.execution.deadline import Deadline
from scheduler.execution.worker_pool import ThreadPool, WorkerPool
from scheduler.value_class import value_class
from scheduler.wiring.clients import Clients


def _webhooks(hosts: Any, secrets: Callable[[], Sequence[bytes]], clock: Callable[[], float]) -> Any:
    """Return the transport that speaks HTTP."""
    from scheduler.transports.webhook import WebhookTransport

    return WebhookTransport(hosts, secrets, clock)


@value_class
class Runtime:
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    randomness: random.Random = field(default_factory=random.SystemRandom)
    client: Callable[[str, int], Any] = field(default_factory=lambda: Clients().make)
    pool: Callable[[int], WorkerPool] = ThreadPool
    webhooks: Callable[[Any, Callable[[], Sequence[bytes]], Callable[[], float]], Any] = _webhooks

    def deadline(self, context: Any, reserve_s: float) -> Deadline:
        """Return the deadline, which is `reserve_s` before Lambda ends the invocation."""
        remaining_s = context.get_remaining_time_in_millis() / 1000
        return Deadline(self.clock, self.sleep, self.randomness.random, self.clock() + remaining_s - reserve_s)


def current() -> Runtime:
    return Runtime()
