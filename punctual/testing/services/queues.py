"""The queues of the virtual SQS: how messages come, are received, return and go, and which messages are valid."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from punctual.testing.calls import Call, Service, Watcher
from punctual.testing.services.aws_errors import refusal
from punctual.testing.timeline import US, Timeline

DELAY_S_MAX = 900
BATCH_MAX = 10
BYTES_MAX = 1024 * 1024
ATTRIBUTES_MAX = 10
COPY_S_MAX = 600
"""How late a copy that was not deleted may come again. AWS documents no limit."""
NEVER_US = 1 << 62

_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
REFUSED_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ERROR_PREFIX = "AWS.SimpleQueueService."


@dataclass
class Message:
    """One message in a queue."""

    id: str
    body: str
    attributes: dict[str, dict[str, Any]]
    sent_us: int
    visible_us: int
    receives: int = 0
    first_received_us: int | None = None
    receipt: str = ""


@dataclass
class Queue:
    """One standard queue. While `closed` is set, every call raises that error."""

    url: str
    arn: str
    visibility_s: int = 30
    retention_s: int = 345_600
    delay_s: int = 0
    bytes_max: int = BYTES_MAX
    dead_letter_arn: str | None = None
    receives_max: int = 0
    closed: ClientError | None = None
    messages: dict[str, Message] = field(default_factory=dict)
    arrivals: list[Callable[[], None]] = field(default_factory=list)
    """Called with each time at which a message may become visible."""
    quiet_until_us: int = 0
    """No message is visible before this time, so an earlier receive does not search the messages."""


class Queues(Service):
    """All queues. `sqs.Sqs` adds the operations that clients call. Other services put and take messages directly."""

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        super().__init__(timeline, watcher)
        self.queues: dict[str, Queue] = {}
        self.unruly: random.Random | None = None
        self.twice = 0.0
        """How often a received message stays visible, or a deleted one comes again."""
        self._count = 0

    def create_queue(self, queue: Queue) -> Queue:
        return self.queues.setdefault(queue.url, queue)

    def by_arn(self, arn: str) -> Queue | None:
        return next((queue for queue in self.queues.values() if queue.arn == arn), None)

    def put(
        self,
        queue: Queue,
        body: str,
        attributes: dict[str, dict[str, Any]],
        delay_s: int | None = None,
        call: Call | None = None,
    ) -> Message:
        """Put a message into a queue, for a client or for AWS itself."""
        self._count += 1
        now_us = self.timeline.now_us
        visible_us = now_us + (queue.delay_s if delay_s is None else delay_s) * US
        message = Message(f"message-{self._count:08d}", body, attributes, now_us, visible_us)
        queue.messages[message.id] = message
        self.watcher.sent(call, queue.url, message)
        self.announce(queue, visible_us)
        return message

    def announce(self, queue: Queue, moment_us: int) -> None:
        """Poll the queue for its functions when a message becomes visible."""
        queue.quiet_until_us = min(queue.quiet_until_us, moment_us)
        for arrival in queue.arrivals:
            self.timeline.at(moment_us, arrival)

    def take(self, queue: Queue, most: int, visibility_s: int) -> list[Message]:
        """Receive messages and hide them. Move messages received too often to the dead-letter queue."""
        now_us = self.timeline.now_us
        if now_us < queue.quiet_until_us:
            return []
        for message in list(queue.messages.values()):
            if now_us - message.sent_us > queue.retention_s * US:
                del queue.messages[message.id]
        ready = [message for message in queue.messages.values() if message.visible_us <= now_us]
        if not ready:
            queue.quiet_until_us = min((message.visible_us for message in queue.messages.values()), default=NEVER_US)
        ready.sort(key=lambda message: message.visible_us)
        if self.unruly is not None:
            self.unruly.shuffle(ready)
        taken: list[Message] = []
        for message in ready:
            if len(taken) == most:
                break
            if queue.receives_max and message.receives >= queue.receives_max:
                self._redrive(queue, message)
                continue
            self._count += 1
            message.receives += 1
            message.first_received_us = message.first_received_us or now_us
            message.receipt = f"receipt-{self._count:08d}"
            message.visible_us = now_us + visibility_s * US
            if self.unruly is not None and self.unruly.random() < self.twice:
                message.visible_us = now_us
            self.announce(queue, message.visible_us)
            taken.append(message)
        return taken

    def _redrive(self, queue: Queue, message: Message) -> None:
        dead_letters = self.by_arn(queue.dead_letter_arn or "")
        if dead_letters is None:
            return
        del queue.messages[message.id]
        message.visible_us = self.timeline.now_us
        dead_letters.messages[message.id] = message
        self.watcher.sent(None, dead_letters.url, message)
        self.announce(dead_letters, self.timeline.now_us)

    def remove(self, queue: Queue, receipt: str) -> None:
        """Delete a message. It is no error if it is deleted already, or was received again since."""
        found = self.by_receipt(queue, receipt)
        if found is None:
            return
        if self.unruly is not None and self.unruly.random() < self.twice:  # One copy was not deleted.
            found.visible_us = self.timeline.now_us + self.unruly.randrange(COPY_S_MAX * US)
            self.announce(queue, found.visible_us)
            return
        del queue.messages[found.id]

    def by_receipt(self, queue: Queue, receipt: str) -> Message | None:
        return next((message for message in queue.messages.values() if message.receipt == receipt), None)


def check_range(parameter: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        reason = f"Must be between {least} and {most}, if provided"
        raise refusal("InvalidParameterValue", f"Value {value} for parameter {parameter} is invalid. Reason: {reason}.")


def check_batch(entries: list[dict[str, Any]]) -> None:
    if not entries:
        raise refusal(ERROR_PREFIX + "EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > BATCH_MAX:
        raise refusal(ERROR_PREFIX + "TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10.")
    ids = [entry["Id"] for entry in entries]
    if not all(_ENTRY_ID.fullmatch(each) for each in ids):
        raise refusal(
            ERROR_PREFIX + "InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters."
        )
    if len(set(ids)) != len(ids):
        raise refusal(ERROR_PREFIX + "BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.")


def check_message(queue: Queue, entry: dict[str, Any], body: str) -> None:
    if not entry[body]:
        raise refusal("MissingParameter", f"The request must contain the parameter {body}.")
    if "DelaySeconds" in entry:
        check_range("DelaySeconds", entry["DelaySeconds"], 0, DELAY_S_MAX)
    if message_size(entry) > queue.bytes_max:
        reason = f"Message must be shorter than {queue.bytes_max} bytes"
        raise refusal("InvalidParameterValue", f"One or more parameters are invalid. Reason: {reason}.")
    attributes = entry.get("MessageAttributes", {})
    if len(attributes) > ATTRIBUTES_MAX:
        raise refusal("InvalidParameterValue", "Number of message attributes exceeds the allowed maximum [10].")
    for name, attribute in attributes.items():
        _check_attribute(name, attribute)


def _check_attribute(name: str, attribute: dict[str, Any]) -> None:
    kind = attribute["DataType"].partition(".")[0]
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,256}", name) or kind not in ("String", "Number", "Binary"):
        raise refusal("InvalidParameterValue", f"The message attribute '{name}' has an invalid name or type.")
    value = attribute.get("BinaryValue" if kind == "Binary" else "StringValue")
    if not value:
        raise refusal("InvalidParameterValue", f"The message attribute '{name}' must contain a non-empty value.")
    if kind == "Number" and not re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", value):
        raise refusal("InvalidParameterValue", f"Can't cast the value of message attribute '{name}' to a number.")
    if kind == "String" and REFUSED_CHARACTERS.search(value):
        raise refusal("InvalidMessageContents", "Invalid characters found in a message attribute.")


def check_receipt(receipt: str) -> None:
    if not receipt.startswith("receipt-"):
        raise refusal("ReceiptHandleIsInvalid", f'The input receipt handle "{receipt}" is not a valid receipt handle.')


def message_size(entry: dict[str, Any]) -> int:
    body: str = entry["MessageBody"]
    size = len(body) if body.isascii() else len(body.encode("utf-8", "surrogatepass"))
    for name, attribute in entry.get("MessageAttributes", {}).items():
        value = attribute.get("StringValue", "").encode("utf-8", "surrogatepass") or attribute.get("BinaryValue", b"")
        size += len(name) + len(attribute["DataType"]) + len(value)
    return size
