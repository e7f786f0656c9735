"""Metrics in CloudWatch's embedded metric format: one log line, which CloudWatch turns into metrics by itself.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

An invocation adds up, and prints one line at its end. Zeros are not printed. An invocation that crashes prints nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from threading import Lock
from types import MappingProxyType

from scheduler import log
from scheduler.errors import InvalidSchedule, NotConfirmed, Undelivered
from scheduler.measuring.metrics import Answer, Metrics

NAMESPACE = "Punctual"
DIMENSION = "Stack"

ACCEPTED, REJECTED = "Accepted", "Rejected"
FED, FEED_LAG, OVERDUE, QUARANTINED = "Fed", "FeedLag", "Overdue", "Quarantined"
DELIVERED, RETRIED, FAILED, EXPIRED, LATENESS = "Delivered", "Retried", "Failed", "Expired", "Lateness"
STALE_PARTITIONS = "StalePartitions"

UNITS = MappingProxyType(
    {
        ACCEPTED: "Count",
        REJECTED: "Count",
        FED: "Count",
        FEED_LAG: "Seconds",
        OVERDUE: "Count",
        QUARANTINED: "Count",
        DELIVERED: "Count",
        RETRIED: "Count",
        FAILED: "Count",
        EXPIRED: "Count",
        LATENESS: "Milliseconds",
        STALE_PARTITIONS: "Count",
    }
)
"""Every metric, with its unit."""
VALUES_MAX = 100
"""The values of one metric in one line. The specification allows no more."""


class EmbeddedMetrics(Metrics):
    """The metrics of one execution environment. All threads of an invocation share them."""

    on = True

    def __init__(self, stack_name: str, clock: Callable[[], float]) -> None:
        self._stack_name, self._clock, self._lock = stack_name, clock, Lock()
        self._counts: dict[str, int] = {}
        self._lag_ms: int | None = None
        self._latenesses_ms: list[int] = []
        self._about: dict[tuple[str, ...], str] = {}

    def accepting(self, accept: Callable[[], Answer]) -> Answer:
        try:
            answer = accept()
        except (InvalidSchedule, NotConfirmed):
            self._count(REJECTED, 1)
            raise
        self._count(ACCEPTED, answer.get("accepted", 1))
        self._count(REJECTED, answer.get("rejected", 0))
        return answer

    def received(self, accepted: int, rejected: int) -> None:
        self._count(ACCEPTED, accepted)
        self._count(REJECTED, rejected)

    def found(self, dues_ms: Iterable[int], now_ms: int) -> None:
        self._count(OVERDUE, sum(due_ms < now_ms for due_ms in dues_ms))

    def left(self, dues_ms: Iterable[int], now_ms: int) -> None:
        first_ms = min(dues_ms, default=None)
        if first_ms is None:
            return
        with self._lock:
            lag_ms = first_ms - now_ms
            self._lag_ms = lag_ms if self._lag_ms is None else min(self._lag_ms, lag_ms)

    def fed(self, sent: int, quarantined: int) -> None:
        self._count(FED, sent)
        self._count(QUARANTINED, quarantined)

    def attempted(self, late_ms: int, attempt: int, failure: Undelivered | None) -> None:
        """Keep the lateness of the first call, because the failures of the target cause that of the others."""
        if failure is None:
            self._count(DELIVERED, 1)
        if attempt == 1 and not (failure is not None and failure.ours):
            with self._lock:
                self._latenesses_ms.append(late_ms)

    def retried(self) -> None:
        self._count(RETRIED, 1)

    def ended(self, outcome: str, count: int = 1) -> None:
        self._count(EXPIRED if outcome == "expired" else FAILED, count)

    def stale(self, partitions: int) -> None:
        self._count(STALE_PARTITIONS, partitions)

    def write(self) -> None:
        """Print one line, and another one for each further hundred latenesses."""
        with self._lock:
            values: dict[str, object] = {**self._counts}
            lag_ms, latenesses_ms = self._lag_ms, self._latenesses_ms
            self._counts, self._lag_ms, self._latenesses_ms = {}, None, []
        if lag_ms is not None:
            values[FEED_LAG] = lag_ms / 1000
        if latenesses_ms:
            values[LATENESS] = latenesses_ms[:VALUES_MAX]
        if values:
            self._print(values)
        for start in range(VALUES_MAX, len(latenesses_ms), VALUES_MAX):
            self._print({LATENESS: latenesses_ms[start : start + VALUES_MAX]})

    def _print(self, values: dict[str, object]) -> None:
        names = tuple(values)
        about = self._about.get(names)
        if about is None:
            about = self._about[names] = self._about_these(names)
        content = ", ".join(f'"{name}": {value}' for name, value in values.items())  # Numbers, or lists of numbers.
        log.at_any_level("metrics", f'"_aws": {{"Timestamp": {int(self._clock() * 1000)}, {about}, {content}')

    def _about_these(self, names: tuple[str, ...]) -> str:
        """Return the part of a line that depends only on the names of its metrics. Few sets of names occur."""
        metrics = [{"Name": name, "Unit": UNITS[name]} for name in names]
        directive = {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}
        return f'"CloudWatchMetrics": [{json.dumps(directive)}]}}, "{DIMENSION}": {json.dumps(self._stack_name)}'

    def _count(self, name: str, count: int) -> None:
        if count:
            with self._lock:
                self._counts[name] = self._counts.get(name, 0) + count
