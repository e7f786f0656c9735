"""Limit the calls to failing target queues in an invocation that works for several callers.

The stack's own queues are tried as long as time allows, because every caller depends on them. A target queue that is
throttled or down gets `FOREIGN_QUEUE_TRIES_MAX` calls in the whole invocation. The schedules that are left for it come
again later, so they delay no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from scheduler.execution.batch_result import BatchResult
from scheduler.model.schedule import Schedule
from scheduler.placing.sending import Queues

FOREIGN_QUEUE_TRIES_MAX = 3
"""Calls in a row that deliver no message."""
SLOW_S = 1
"""A call that takes longer and delivers no message is the last one, because the next would take as long."""


class LimitedQueues:
    """Wraps the queues for one invocation."""

    def __init__(self, queues: Queues, clock: Callable[[], float]) -> None:
        self._queues, self._clock = queues, clock
        self._tries: dict[str, int] = {}
        self._failing: dict[str, str] = {}
        self._unavailable: dict[str, str] = {}

    def url_of(self, schedule: Schedule) -> str:
        return self._queues.url_of(schedule)

    def is_stack_queue(self, url: str) -> bool:
        return self._queues.is_stack_queue(url)

    def batches(self, queue_url: str, schedules: Iterable[Schedule]) -> Iterator[list[Schedule]]:
        return self._queues.batches(queue_url, schedules)

    def send(self, queue_url: str, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]:
        """Send one batch. It is `not_attempted` if the queue has failed too often in this invocation."""
        if self._queues.is_stack_queue(queue_url):
            return self._queues.send(queue_url, schedules, now_ms)
        if queue_url in self._unavailable:
            return BatchResult(unavailable=[(each, self._unavailable[queue_url]) for each in schedules])
        if queue_url in self._failing:
            return BatchResult(not_attempted=list(schedules), last_error=self._failing[queue_url])
        begun_s = self._clock()
        outcome = self._queues.send(queue_url, schedules, now_ms)
        self._learn(queue_url, outcome, self._clock() - begun_s)
        return outcome

    def _learn(self, queue_url: str, outcome: BatchResult[Schedule], took_s: float) -> None:
        if outcome.unavailable:
            self._unavailable[queue_url] = outcome.unavailable[0][1]
        if not outcome.unconfirmed or outcome.confirmed:
            self._tries[queue_url] = 0
            return
        self._tries[queue_url] = self._tries.get(queue_url, 0) + 1
        if self._tries[queue_url] >= FOREIGN_QUEUE_TRIES_MAX or took_s > SLOW_S:
            self._failing[queue_url] = outcome.last_error
