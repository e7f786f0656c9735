"""Track the messages in progress, and detect those that wait too long for an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from scheduler.errors import NotConfirmed
from scheduler.model import delivery_job, sqs_records
from scheduler.model.delivery_job import DeliveryJob

HANGS_AFTER_S = 0.5
"""A delivery hangs this long after it was due. Most targets answer sooner. Messages behind it are to be less than a
second late."""
LOOK_STEP_S = 0.01
"""The shortest wait between two checks. An invocation may end this much late."""


@dataclass(eq=False, slots=True)
class Message:
    """A received message of the delivery queue. It holds a delivery job, or the reason why it is unreadable."""

    id: str
    body: str
    receipt: str | None = None
    """The receipt handle of a message that the function itself received. Lambda does not delete such a message."""
    job: DeliveryJob | None = field(init=False, default=None)
    fault: str = field(init=False, default="")
    newer: NotConfirmed | None = field(init=False, default=None)
    """Why only newer code can read it. The message then comes again."""

    def __post_init__(self) -> None:
        try:
            self.job = delivery_job.read(self.body)
        except ValueError as fault:
            self.fault = f"no delivery job: {fault}"
        except NotConfirmed as newer:
            self.newer = newer

    @classmethod
    def of(cls, record: object) -> Message:
        """Build a message from a record of the Lambda event."""
        arrived = sqs_records.read(record)
        return cls(arrived.message_id, arrived.body)

    @property
    def wake_ms(self) -> int:
        """Return when the delivery is due. An unreadable message is due at once."""
        return 0 if self.job is None else self.job.wake_ms

    @property
    def application(self) -> str:
        """The application whose schedule it is. It is empty for the owner, and if the message is unreadable."""
        return "" if self.job is None else self.job.application


class InFlight:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, Lock()
        self._from_s: dict[Message, float] = {}

    def begin(self, message: Message, from_s: float) -> Message:
        """Add a message that waits for an answer from `from_s` on."""
        with self._lock:
            self._from_s[message] = max(from_s, self._clock())
        return message

    def end(self, message: Message) -> None:
        with self._lock:
            del self._from_s[message]

    def counts(self) -> tuple[int, int]:
        """Return how many messages are in progress, and how many of them hang."""
        with self._lock:
            hang_s = self._clock() - HANGS_AFTER_S
            return len(self._from_s), sum(from_s <= hang_s for from_s in self._from_s.values())

    def idle_s(self) -> float:
        """Return how long to wait: until the last message is due or the first hangs, and at least one step."""
        with self._lock:
            moments_s = list(self._from_s.values()) or [0.0]
        return max(LOOK_STEP_S, min(max(moments_s), min(moments_s) + HANGS_AFTER_S) - self._clock())
