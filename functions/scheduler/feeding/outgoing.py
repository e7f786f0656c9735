"""Send the chunks of one run to their queues, so that no queue delays another.

A target queue that is missing, or that accepts nothing, is not tried again in the same run. One thread at a time tries
a queue until the queue has answered once. All such queues together use at most half of the threads, because a queue
that hangs would otherwise block all of them. The run never gives up the stack's own queues.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline
from scheduler.measuring.metrics import NO_METRICS, Metrics
from scheduler.model.schedule import Schedule
from scheduler.placing.sending import Queues, SendChunk, send

if TYPE_CHECKING:
    from scheduler.feeding.jobs import FeedCounts

FOREIGN_TRIES_MAX = 3
"""Few, so that a failing queue does not delay other schedules for long."""
UNPROVEN_QUEUES_MAX = 8
"""How many queues without an answer are tried at the same time: half of the threads of a feed."""
SILENT_QUEUE_S = 1.0
"""SQS usually answers in milliseconds. Threads stop waiting for a queue that takes longer than this."""
LOOK_S = 0.01
"""How often a waiting thread checks whether the queue has answered."""


class Outgoing:
    """Sends chunks and remembers which queues fail. All threads of a run share one."""

    def __init__(self, queues: Queues, deadline: Deadline, metrics: Metrics = NO_METRICS) -> None:
        self._queues, self._deadline, self._lock, self._metrics = queues, deadline, Lock(), metrics
        self._short = replace(deadline, tries_max=FOREIGN_TRIES_MAX)
        self._unavailable: dict[str, str] = {}
        self._failing: dict[str, str] = {}
        self._proven: set[str] = set()
        self._unproven: dict[str, float] = {}
        """When a thread began to try each queue."""

    def of(self, queues: Queues) -> Outgoing:
        """Return what sends through the queues of an application. Both share what they know of each queue."""
        theirs = copy(self)
        theirs._queues = queues
        return theirs

    def send(self, chunk: SendChunk, counts: FeedCounts) -> BatchResult[Schedule]:
        """Send the chunk, and add the schedules that are left or held to the counts.

        Schedules whose queue is missing or denies access do not count as overdue: the feed is not late for them.
        """
        now_ms = self._deadline.now_ms()
        outcome = self._sent(chunk, counts)
        self._metrics.left((each.due_ms for each in outcome.confirmed), now_ms)
        if not outcome.unavailable:
            self._metrics.found((each.due_ms for each in chunk.schedules), now_ms)
        return outcome

    def _sent(self, chunk: SendChunk, counts: FeedCounts) -> BatchResult[Schedule]:
        url = chunk.queue_url
        if self._queues.is_stack_queue(url):
            return self._counted(send(chunk, self._queues, self._deadline), counts)
        if url not in self._proven and not self._begin(url):
            return self._not_tried(chunk, counts)
        if url in self._unavailable or url in self._failing:
            return self._not_tried(chunk, counts)
        outcome: BatchResult[Schedule] = BatchResult()
        try:
            outcome = send(chunk, self._queues, self._short)
        finally:
            self._end(url, outcome)
        if outcome.unconfirmed and not outcome.confirmed:
            counts.held += len(outcome.unconfirmed) + len(outcome.not_attempted)
            counts.why = counts.why or outcome.last_error
            return outcome
        return self._counted(outcome, counts, hold_unavailable=False)

    def _begin(self, url: str) -> bool:
        """Return whether this thread may try a queue without an answer. Wait while another thread tries it."""
        while True:
            with self._lock:
                if url in self._proven or url in self._unavailable or url in self._failing:
                    return True
                begun_s = self._unproven.get(url)
                if begun_s is None and len(self._unproven) < UNPROVEN_QUEUES_MAX:
                    self._unproven[url] = self._deadline.clock()
                    return True
                longest_s = min(self._unproven.values()) if begun_s is None else begun_s
            if self._deadline.clock() - longest_s >= SILENT_QUEUE_S:
                return False
            self._deadline.sleep(LOOK_S)

    def _end(self, url: str, outcome: BatchResult[Schedule]) -> None:
        with self._lock:
            self._unproven.pop(url, None)
            if outcome.unavailable:
                self._unavailable[url] = outcome.unavailable[0][1]
            elif outcome.unconfirmed and not outcome.confirmed:
                self._failing[url] = outcome.last_error
            elif outcome.confirmed or outcome.rejected:
                self._proven.add(url)

    def _not_tried(self, chunk: SendChunk, counts: FeedCounts) -> BatchResult[Schedule]:
        url = chunk.queue_url
        if url in self._unavailable:
            return BatchResult(unavailable=[(schedule, self._unavailable[url]) for schedule in chunk.schedules])
        counts.held += len(chunk.schedules)
        counts.why = counts.why or self._failing.get(url, "its queue does not answer")
        return BatchResult()

    def _counted(
        self, outcome: BatchResult[Schedule], counts: FeedCounts, hold_unavailable: bool = True
    ) -> BatchResult[Schedule]:
        """Add unsent schedules to the counts.

        With `hold_unavailable`, hold the schedules of an unavailable queue instead of returning them: the stack's own
        queue will recover, but an immediate retry would not help.
        """
        if outcome.unavailable and hold_unavailable:
            counts.held += len(outcome.unavailable)
            counts.why = counts.why or outcome.unavailable[0][1]
            outcome.unavailable = []
        counts.stuck += len(outcome.unconfirmed)
        not_sent = len(outcome.unconfirmed) + len(outcome.not_attempted)
        if not_sent:
            counts.left += not_sent
            counts.why = counts.why or outcome.last_error or "time is over"
        return outcome
