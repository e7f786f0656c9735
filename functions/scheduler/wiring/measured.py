"""Gives a function its clients and its metrics, and prints the metrics at the end of each invocation.

A function without metrics keeps its handler as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from scheduler.measuring.metrics import NO_METRICS

if TYPE_CHECKING:
    from scheduler.execution.deadline import Deadline
    from scheduler.measuring.metrics import Metrics
    from scheduler.wiring.config import Settings
    from scheduler.wiring.runtime import Runtime

Answer = TypeVar("Answer")

THREADS = 16
"""The calls to AWS that most functions make at once."""


class Measured:
    """The settings, the clients and the metrics of one function."""

    def __init__(self, settings: Settings, runtime: Runtime, threads: int = THREADS) -> None:
        self.settings, self.runtime, self.threads = settings, runtime, threads
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.runtime.client(service, self.threads)
        return self._clients[service]

    @functools.cached_property
    def metrics(self) -> Metrics:
        """Return the metrics of this execution environment."""
        if not self.settings.metrics_of:
            return NO_METRICS
        from scheduler.measuring.embedded_metrics import EmbeddedMetrics

        return EmbeddedMetrics(self.settings.metrics_of, self.runtime.clock)

    def measured(self, handler: Callable[[Any, Any], Answer]) -> Callable[[Any, Any], Answer]:
        """Return a handler that also prints the metrics, even if it raises."""
        if not self.settings.metrics_of:
            return handler

        @functools.wraps(handler)
        def measuring(event: Any, context: Any) -> Answer:
            try:
                return handler(event, context)
            finally:
                self.metrics.write()

        return measuring

    def count_stale_partitions(self, partitions: int, deadline: Deadline) -> None:
        """Count the partitions that no feed has finished lately. Without metrics, ask nothing."""
        if not self.settings.metrics_of:
            return
        from scheduler.aws.feed_table import FeedTable
        from scheduler.measuring import stale_partitions

        its = self.settings
        table = FeedTable(self.client("dynamodb"), its.table_name)
        self.metrics.stale(stale_partitions.count(range(partitions), table, its.feed_interval_s, deadline))
