"""The queues as one invocation uses them when it works for several callers: a failing queue of others gets few tries.

The stack's own queues are tried as long as time allows, because everybody depends on them. A queue of others that is
throttled or down may take `TRIES_MAX` calls of the whole invocation. The schedules that are left for it come again
later, so they delay nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from scheduler.execution.batch_result import BatchResult
from scheduler.model.schedule import Schedule
from scheduler.placing.sending import Queues

TRIES_MAX = 3
"""Calls in a row through which nothing gets."""
SLOW_S = 1
"""A call that takes longer and gets nothing through is the last one: the next would cost as much again."""


class LimitedQueues:
    """The same as the queues it wraps, for one invocation."""

    def __init__(self, queues: Queues, clock: Callable[[], float]) -> None:
        self._queues, self._clock = queues, clock
        self._tries: dict[str, int] = {}
        self._failing: dict[str, str] = {}
        self._closed: dict[str, str] = {}

    def url_of(self, schedule: Schedule) -> str:
        return self._queues.url_of(schedule)

    def are_ours(self, url: str) -> bool:
        return self._queues.are_ours(url)

    def batches(self, queue_url: str, schedules: Iterable[Schedule]) -> Iterator[list[Schedule]]:
        return self._queues.batches(queue_url, schedules)

    def send(self, queue_url: str, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]:
        """One batch. `untried` if the queue has failed too often in this invocation."""
        if self._queues.are_ours(queue_url):
            return self._queues.send(queue_url, schedules, now_ms)
        if queue_url in self._closed:
            return BatchResult(unavailable=[(each, self._closed[queue_url]) for each in schedules])
        if queue_url in self._failing:
            return BatchResult(not_attempted=list(schedules), last_error=self._failing[queue_url])
        begun_s = self._clock()
        outcome = self._queues.send(queue_url, schedules, now_ms)
        self._learn(queue_url, outcome, self._clock() - begun_s)
        return outcome

    def _learn(self, queue_url: str, outcome: BatchResult[Schedule], took_s: float) -> None:
        if outcome.unavailable:
            self._closed[queue_url] = outcome.unavailable[0][1]
        if not outcome.unconfirmed or outcome.confirmed:
            self._tries[queue_url] = 0
            return
        self._tries[queue_url] = self._tries.get(queue_url, 0) + 1
        if self._tries[queue_url] >= TRIES_MAX or took_s > SLOW_S:
            self._failing[queue_url] = outcome.last_error
