"""The delivery queue in memory, as the deliver function reads it itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fakes import THROTTLED
from scheduler.delivering.in_flight import Message
from scheduler.errors import NotConfirmed
from scheduler.limits import SQS_BATCH_MESSAGES_MAX

VISIBILITY_S = 300
"""As in the template."""
WAIT_S, ANSWER_S = 1.0, 0.01
"""How long an empty queue waits for a message, and how long a call takes otherwise."""


@dataclass
class FakeDeliveryQueue:
    """A queue that hides a received message for its visibility timeout. No call is confirmed while it is `down`."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    down: bool = False
    held: dict[str, str] = field(default_factory=dict)
    """The messages: their bodies, by their ids."""
    hidden_until_s: dict[str, float] = field(default_factory=dict)
    receipts: dict[str, str] = field(default_factory=dict)
    """The receipt handles that are given out, each with the id of its message."""

    def add(self, id: str, body: str) -> None:
        self.held[id] = body

    def receive(self, most: int) -> list[Message]:
        assert 1 <= most <= SQS_BATCH_MESSAGES_MAX
        self._answer()
        now_s = self.clock()
        taken = [id for id in self.held if self.hidden_until_s.get(id, 0) <= now_s][:most]
        self.sleep(ANSWER_S if taken else WAIT_S)
        return [self._received(id, now_s) for id in taken]

    def _received(self, id: str, now_s: float) -> Message:
        receipt = f"receipt {len(self.receipts)}"
        self.receipts[receipt], self.hidden_until_s[id] = id, now_s + VISIBILITY_S
        return Message(id, self.held[id], receipt)

    def delete(self, receipt: str) -> None:
        self._answer()
        self.held.pop(self.receipts[receipt], None)

    def _answer(self) -> None:
        if self.down:
            raise NotConfirmed(THROTTLED)
