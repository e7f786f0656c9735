"""Drop the copies of a delivery that waits for its next message.

A retry or a postponement is a new message. SQS may store it twice, if its answer is lost. Each copy would send another
message, and a delivery that waits for a dead target for hours would multiply. So an environment remembers the next
message of each delivery until that message is due, and drops any earlier message of the same delivery. When the
delivery has ended, it also drops the copies of the last message. An environment does not share this with other
environments, so a delivery has about as many messages as there are environments.

A named delivery needs none of this until its outcome is known, because its record decides which timer delivers.

A crash leaves behind nothing: a message is dropped only if SQS confirmed a later one, or if its work is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline
from scheduler.limits import SQS_DELAY_S_MAX
from scheduler.model.delivery_job import DeliveryJob

DELIVERIES_MAX = 10_000
"""The memory is cleared when it holds this many deliveries. That costs a few copies."""
STEP_S = 0.02


class _Delivery(NamedTuple):
    """What the messages of one delivery have in common. A failure that is redriven has another due time."""

    application: str
    id: str
    due_ms: int
    state: str
    """The outcome, or "" before it is known. The steps after one outcome say nothing about another one."""


@dataclass
class NextMessages:
    """Knows which messages are copies, as far as this environment has sent what follows them."""

    _until_ms: dict[_Delivery, int] = field(default_factory=dict)
    """When the next message of each delivery is due. Until then all earlier ones are copies."""
    _being_sent: set[_Delivery] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def is_copy(self, job: DeliveryJob, now_ms: int) -> bool:
        """Return whether a later message of this delivery waits in the queue, or its last one was handled just now."""
        with self._lock:
            until_ms = self._until_ms.get(_delivery(job), 0)
        return until_ms > max(job.wake_ms, now_ms)

    def send(self, job: DeliveryJob, next_job: DeliveryJob, send: Callable[[], None], deadline: Deadline) -> bool:
        """Send the next message of this delivery. Return False if a copy has sent one meanwhile."""
        delivery = _delivery(next_job)
        while not self._begin(delivery):
            if deadline.passed():
                raise NotConfirmed("a copy of this delivery is being sent again")
            deadline.sleep(STEP_S)
        try:
            if delivery == _delivery(job) and self.is_copy(job, deadline.now_ms()):
                return False
            send()
            self._note(delivery, next_job.wake_ms)
        finally:
            with self._lock:
                self._being_sent.discard(delivery)
        return True

    def end(self, job: DeliveryJob, now_ms: int) -> None:
        """Note that nothing follows this message. Its copies come within the longest delay of SQS."""
        if job.retry_ms is not None:
            self._note(_delivery(job), now_ms + SQS_DELAY_S_MAX * 1000)

    def _begin(self, delivery: _Delivery) -> bool:
        """Return whether no other thread sends a message of this delivery."""
        with self._lock:
            if delivery in self._being_sent:
                return False
            self._being_sent.add(delivery)
            return True

    def _note(self, delivery: _Delivery, until_ms: int) -> None:
        with self._lock:
            if len(self._until_ms) >= DELIVERIES_MAX:
                self._until_ms.clear()
            self._until_ms[delivery] = until_ms


def _delivery(job: DeliveryJob) -> _Delivery:
    state = "" if job.conclusion is None else job.conclusion.state
    return _Delivery(job.application, job.id, job.schedule.due_ms, state)
