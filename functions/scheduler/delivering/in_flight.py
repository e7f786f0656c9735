"""Watching: which messages of the delivery queue are under way, and whether one waits too long for its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from scheduler.model import delivery_job, sqs_records
from scheduler.model.delivery_job import DeliveryJob

HANGS_AFTER_S = 0.5
"""Past its moment. Most targets answer sooner; and nobody behind one that does not is to be a second late."""
STEP_S = 0.01
"""By so much an invocation may end late, for want of somebody to wake it."""


@dataclass(eq=False, slots=True)
class Message:
    """One of the delivery queue, in hand, and read: it holds an errand, or what is wrong with it."""

    id: str
    body: str
    receipt: str | None = None
    """Of one that the function received itself: Lambda deletes only what it brought."""
    job: DeliveryJob | None = field(init=False, default=None)
    fault: str = field(init=False, default="")

    def __post_init__(self) -> None:
        try:
            self.job = delivery_job.read(self.body)
        except ValueError as fault:
            self.fault = f"no errand: {fault}"

    @classmethod
    def of(cls, record: object) -> Message:
        """As Lambda brought it."""
        arrived = sqs_records.read(record)
        return cls(arrived.message_id, arrived.body)

    @property
    def wake_ms(self) -> int:
        """What is no errand need not wait."""
        return 0 if self.job is None else self.job.wake_ms


class InFlight:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, Lock()
        self._from_s: dict[Message, float] = {}

    def begin(self, message: Message, from_s: float) -> Message:
        """It is under way, and waits for an answer from then on."""
        with self._lock:
            self._from_s[message] = max(from_s, self._clock())
        return message

    def end(self, message: Message) -> None:
        with self._lock:
            del self._from_s[message]

    def counts(self) -> tuple[int, int]:
        """How many are under way, and how many of those hang."""
        with self._lock:
            hang_s = self._clock() - HANGS_AFTER_S
            return len(self._from_s), sum(from_s <= hang_s for from_s in self._from_s.values())

    def quiet_s(self) -> float:
        """How long nothing will change: until the last is at its moment, or the first hangs. After that, a step."""
        with self._lock:
            moments_s = list(self._from_s.values()) or [0.0]
        return max(STEP_S, min(max(moments_s), min(moments_s) + HANGS_AFTER_S) - self._clock())
