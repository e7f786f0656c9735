"""The metrics of one function: what the use cases tell about their work.

A stack without metrics has this class, whose methods do nothing. So a use case need not ask whether anything is
measured. A caller passes numbers that take time to find as an iterable: this class does not read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from scheduler.errors import Undelivered

Answer = dict[str, Any]


class Metrics:
    """Metrics that are not measured."""

    on = False
    """Whether anything is measured. A use case that needs a call to AWS for its numbers asks this first."""

    def accepting(self, accept: Callable[[], Answer]) -> Answer:
        """Accept a request, and count what became of its schedules. Return or raise what `accept` does."""
        return accept()

    def received(self, accepted: int, rejected: int) -> None:
        """Count the schedules of an input message that were accepted, and those that were reported as rejected."""

    def found(self, dues_ms: Iterable[int], now_ms: int) -> None:
        """Count the schedules that a feed found in the table after their due time, whether it can send them or not."""

    def left(self, dues_ms: Iterable[int], now_ms: int) -> None:
        """Note how long before their due times schedules have left the table."""

    def fed(self, sent: int, quarantined: int) -> None:
        """Count what a run of the feed has sent and quarantined."""

    def attempted(self, late_ms: int, attempt: int, failure: Undelivered | None) -> None:
        """Count a call of a target, which began so long after the due time."""

    def retried(self) -> None:
        """Count a failed delivery that will be tried again."""

    def ended(self, outcome: str, count: int = 1) -> None:
        """Count schedules that will never be delivered: `expired`, or another outcome for those that failed."""

    def stale(self, partitions: int) -> None:
        """Count the partitions that no feed has finished lately."""

    def write(self) -> None:
        """Print what was measured since the last line."""


NO_METRICS = Metrics()
