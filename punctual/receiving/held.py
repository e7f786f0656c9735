"""Hold received messages: other consumers do not see them while this process works on them.

SQS hides a message for a minute, and one thread extends that for as long as the message is held. If the process ends
without a word, other consumers see its messages within that minute.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from punctual.client.backend import Backend
from punctual.client.errors import PunctualError
from punctual.receiving.handling import told
from punctual.receiving.message import Message, from_parts
from punctual.receiving.output_queue import BATCH_MAX, OutputQueue

HIDDEN_S = 60
"""How long SQS hides a message at first, and again with each extension."""
EXTEND_BELOW_S = 40
"""An extension is due when less than this is left. There is time for one lost call, or for three looks that fail."""
LOOK_EVERY_S = 10
HOLD_S_MAX = 43_200 - HIDDEN_S
"""SQS hides no message for more than 12 hours after it was received."""
PAUSE_S_MAX = 30
FAILURES_MAX = 10
"""How many receives may fail in a row: about three minutes without AWS."""

log = logging.getLogger("punctual")


class Hold:
    """The hold on one message. `begun` says whether the caller has got the message."""

    def __init__(self, held: Held, id: str, receipt: str) -> None:
        self._held = held
        self.id, self.receipt = id, receipt
        self.hidden_until_s = held.steady() + HIDDEN_S
        self.ends_s = held.steady() + HOLD_S_MAX
        self.begun = False
        self.deleted = False
        self.taken_away = False
        """Whether SQS said that the message is no longer ours."""

    @property
    def lost(self) -> bool:
        """Whether other consumers may see the message, or have deleted it."""
        return not self.deleted and (self.taken_away or self._held.steady() >= self.hidden_until_s)

    def delete(self) -> None:
        self._held.delete(self)


class Held:
    """All messages of one iterator or worker, and the thread that extends their visibility.

    The steady clock measures visibility: when somebody sets the clock of the machine, no message is lost or doubled.
    `handled` gets the id of each message before it is deleted.
    """

    def __init__(
        self,
        backend: Backend,
        queue: OutputQueue,
        handled: Callable[[str], None] = lambda id: None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self.queue, self.steady = queue, backend.steady
        self._now, self._sleep = backend.now, backend.sleep
        self.handled = handled
        self._threads = backend.parallel
        self._holds: dict[str, Hold] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._keeper: threading.Thread | None = None
        self._process = os.getpid()

    # ---------------------------------------------------------------------------------------------------- receiving

    def receive(self, most: int, wait_s: int, stopped: Callable[[], bool] = lambda: False) -> list[Message]:
        """Return up to `most` messages. Try again for about three minutes if AWS does not answer."""
        for failures in range(1, FAILURES_MAX + 1):
            try:
                received = self.queue.receive(most, wait_s, HIDDEN_S)
            except PunctualError as error:
                if not error.retryable or failures == FAILURES_MAX:
                    raise
                log.warning("cannot receive messages, and will try again: %s", error)
                if self._paused(min(2 ** (failures - 1), PAUSE_S_MAX), stopped):
                    return []
            else:
                return [self._taken(each) for each in received]
        return []

    def _paused(self, pause_s: int, stopped: Callable[[], bool]) -> bool:
        """Sleep for the pause, or until it is time to stop. Return whether it is."""
        for _ in range(pause_s):
            if stopped():
                return True
            self._sleep(1)
        return stopped()

    def _taken(self, received: Mapping[str, Any]) -> Message:
        now_s = self._now()
        attributes = {name: str(part.get("StringValue", "")) for name, part in _attributes(received).items()}
        schedule_id = attributes.get("id") or received["MessageId"]
        hold = Hold(self, schedule_id, received["ReceiptHandle"])
        with self._lock:
            self._holds[hold.receipt] = hold
            self._start_keeper()
        sent_ms = int(received.get("Attributes", {}).get("SentTimestamp", now_s * 1000))
        return from_parts(received["Body"], attributes, received["MessageId"], sent_ms, now_s, hold)

    # ----------------------------------------------------------------------------------------------- letting go again

    def delete(self, hold: Hold) -> None:
        """Delete a message. If this fails, the message is still held, and deleting it can be tried again."""
        if hold.deleted:
            return
        self.handled(hold.id)
        self.queue.delete(hold.receipt)
        self.forget(hold, deleted=True)

    def delete_many(self, holds: Sequence[Hold]) -> list[Hold]:
        """Delete up to ten messages. Return those that SQS did not delete."""
        left = set(self.queue.delete_many([hold.receipt for hold in holds]))
        for hold in holds:
            if hold.receipt not in left:
                self.forget(hold, deleted=True)
        return [hold for hold in holds if hold.receipt in left]

    def forget(self, hold: Hold, *, deleted: bool = False) -> None:
        """Extend the visibility of this message no longer. Unless it is deleted, SQS shows it again in a while."""
        hold.deleted = hold.deleted or deleted
        with self._lock:
            self._holds.pop(hold.receipt, None)

    def release(self, holds: Iterable[Hold]) -> None:
        """Show messages to other consumers at once. If that fails, they see the messages within a minute."""
        released = list(holds)
        for hold in released:
            self.forget(hold)
            hold.taken_away = True
        for batch in _batches(released):
            try:
                self.queue.hide({hold.receipt: 0 for hold in batch})
            except PunctualError as error:
                log.warning("cannot release %d messages; they are visible again within a minute: %s", len(batch), error)

    # ----------------------------------------------------------------------------------------------------- extending

    def extend(self) -> None:
        """Extend the visibility of the messages that need it. A failed extension is tried again at the next look."""
        now_s = self.steady()
        with self._lock:
            due = [hold for hold in self._holds.values() if hold.hidden_until_s - now_s < EXTEND_BELOW_S]
        due = [hold for hold in due if not hold.taken_away and hold.ends_s > now_s]
        for batch in _batches(due):
            try:
                changed, not_ours = self.queue.hide({hold.receipt: HIDDEN_S for hold in batch})
            except PunctualError as error:
                log.warning("cannot extend the visibility of %d messages: %s", len(batch), error)
                continue
            for hold in batch:
                if hold.receipt in changed:
                    hold.hidden_until_s = now_s + HIDDEN_S
                elif hold.receipt in not_ours and not hold.deleted:
                    hold.taken_away = True
                    log.warning("schedule %s may be visible to other consumers again", hold.id)

    def _start_keeper(self) -> None:
        if self._threads and self._keeper is None and not self._closed.is_set():
            self._keeper = threading.Thread(target=self._keep, name="punctual-visibility", daemon=True)
            self._keeper.start()

    def _keep(self) -> None:
        while not self._wait(LOOK_EVERY_S):
            try:
                self.extend()
            except Exception as error:  # noqa: BLE001 - Without this thread all messages would be lost.
                log.warning("cannot extend the visibility of messages, and will try again: %s", told(error))

    # ------------------------------------------------------------------------------------------------------- the end

    @property
    def inherited(self) -> bool:
        """Whether this process is a fork of the one that holds the messages. It must not touch them."""
        return os.getpid() != self._process

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def close(self) -> None:
        """Extend nothing from now on, and release the messages that the caller has not got."""
        if self.inherited or self._closed.is_set():
            return
        self._closed.set()
        if self._keeper is not None and self._keeper is not threading.current_thread():
            self._keeper.join()
        with self._lock:
            holds = list(self._holds.values())
            self._holds.clear()
        self.release([hold for hold in holds if not hold.begun and not hold.taken_away])


def hold_of(message: Message) -> Hold:
    """Return the hold on a message that was received here."""
    assert message.hold is not None
    return message.hold


def _attributes(received: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    attributes: Mapping[str, Mapping[str, Any]] = received.get("MessageAttributes", {})
    return attributes


def _batches(holds: Sequence[Hold]) -> list[Sequence[Hold]]:
    return [holds[start : start + BATCH_MAX] for start in range(0, len(holds), BATCH_MAX)]
