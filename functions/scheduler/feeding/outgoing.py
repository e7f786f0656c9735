"""Send the parcels of one run to their queues, so that no queue holds up another.

A queue of others that is gone, or that lets nothing through, is not tried again in the same run. Until it has answered
once, one thread at a time tries it, and such queues together keep at most half of the threads waiting: a queue that
hangs would otherwise take all of them. The stack's own queues are never given up.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from scheduler.execution.batch_result import Outcome
from scheduler.execution.deadline import Patience
from scheduler.model.schedule import Schedule
from scheduler.placing.sending import Parcel, Queues, send

if TYPE_CHECKING:
    from scheduler.feeding.mover import Tally

OTHERS_TRIES_MAX = 3
"""Few, so that a queue that fails holds up nobody for long."""
UNPROVEN_MAX = 8
"""Queues that have not answered yet and are tried at once: half of the threads of a feed."""
SILENT_S = 1.0
"""SQS answers in milliseconds. After so long without an answer nobody waits for a queue any more."""
LOOK_S = 0.01
"""How often a waiting thread looks whether the queue has answered."""


class Outgoing:
    """All threads of a run share one."""

    def __init__(self, queues: Queues, patience: Patience) -> None:
        self._queues, self._patience, self._lock = queues, patience, Lock()
        self._short = replace(patience, tries_max=OTHERS_TRIES_MAX)
        self._closed: dict[str, str] = {}
        self._failing: dict[str, str] = {}
        self._proven: set[str] = set()
        self._unproven: dict[str, float] = {}
        """Since when a thread has been trying it."""

    def send(self, parcel: Parcel, tally: Tally) -> Outcome[Schedule]:
        """Send what can be sent, and add to the tally what is left or held."""
        url = parcel.queue_url
        if self._queues.are_ours(url):
            return self._counted(send(parcel, self._queues, self._patience), tally)
        if url not in self._proven and not self._begin(url):
            return self._not_tried(parcel, tally)
        if url in self._closed or url in self._failing:
            return self._not_tried(parcel, tally)
        outcome: Outcome[Schedule] = Outcome()
        try:
            outcome = send(parcel, self._queues, self._short)
        finally:
            self._end(url, outcome)
        if outcome.left and not outcome.done:
            tally.held += len(outcome.left) + len(outcome.untried)
            tally.why = tally.why or outcome.why
            return outcome
        return self._counted(outcome, tally, closed_too=False)

    def _begin(self, url: str) -> bool:
        """Return whether to try a queue now that has not answered yet; wait while another thread tries it."""
        while True:
            with self._lock:
                if url in self._proven or url in self._closed or url in self._failing:
                    return True
                begun_s = self._unproven.get(url)
                if begun_s is None and len(self._unproven) < UNPROVEN_MAX:
                    self._unproven[url] = self._patience.clock()
                    return True
                longest_s = min(self._unproven.values()) if begun_s is None else begun_s
            if self._patience.clock() - longest_s >= SILENT_S:
                return False
            self._patience.sleep(LOOK_S)

    def _end(self, url: str, outcome: Outcome[Schedule]) -> None:
        with self._lock:
            self._unproven.pop(url, None)
            if outcome.closed:
                self._closed[url] = outcome.closed[0][1]
            elif outcome.left and not outcome.done:
                self._failing[url] = outcome.why
            elif outcome.done or outcome.refused:
                self._proven.add(url)

    def _not_tried(self, parcel: Parcel, tally: Tally) -> Outcome[Schedule]:
        url = parcel.queue_url
        if url in self._closed:
            return Outcome(closed=[(schedule, self._closed[url]) for schedule in parcel.schedules])
        tally.held += len(parcel.schedules)
        tally.why = tally.why or self._failing.get(url, "its queue does not answer")
        return Outcome()

    def _counted(self, outcome: Outcome[Schedule], tally: Tally, closed_too: bool = True) -> Outcome[Schedule]:
        """Of ours, closed is as good as slow, but trying again at once would mend nothing."""
        if outcome.closed and closed_too:
            tally.held += len(outcome.closed)
            tally.why = tally.why or outcome.closed[0][1]
            outcome.closed = []
        tally.stuck += len(outcome.left)
        not_sent = len(outcome.left) + len(outcome.untried)
        if not_sent:
            tally.left += not_sent
            tally.why = tally.why or outcome.why or "time is over"
        return outcome
