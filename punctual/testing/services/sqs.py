"""The virtual SQS: standard queues with delays, visibility timeouts, partly failed batches, and redrive.

The source of every rule is the API reference of SQS and its "message quotas". A standard queue guarantees neither
order nor a single delivery. With an `unruly` source of randomness, this queue provides neither.
"""

from __future__ import annotations

import hashlib
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
VISIBILITY_S_MAX = 43_200
WAIT_S_MAX = 20
COPY_S_MAX = 600
"""How late a copy that was not deleted may come again. AWS documents no limit."""
NEVER_US = 1 << 62
POLL_S = 0.1
"""How often a waiting receive checks the queue. It also checks when the next known message becomes visible."""

_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PREFIX = "AWS.SimpleQueueService."


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


class Sqs(Service):
    name = "sqs"

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        super().__init__(timeline, watcher)
        self.queues: dict[str, Queue] = {}
        self.refused: Callable[[str], bool] = lambda body: False
        """Return whether this SQS rejects a body, in addition to the bodies that the documentation names."""
        self.unruly: random.Random | None = None
        self.twice = 0.0
        """How often a received message stays visible, or a deleted one comes again."""
        self._count = 0
        self.operations = {
            "send_message": self._send_message,
            "send_message_batch": self._send_message_batch,
            "receive_message": self._receive_message,
            "delete_message": self._delete_message,
            "delete_message_batch": self._delete_message_batch,
            "change_message_visibility": self._change_message_visibility,
            "change_message_visibility_batch": self._change_message_visibility_batch,
            "get_queue_attributes": self._get_queue_attributes,
        }

    def create_queue(self, queue: Queue) -> Queue:
        return self.queues.setdefault(queue.url, queue)

    def by_arn(self, arn: str) -> Queue | None:
        return next((queue for queue in self.queues.values() if queue.arn == arn), None)

    # ------------------------------------------------------------------------------------------------------- sending

    def _send_message(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "MessageBody", "DelaySeconds", "MessageAttributes"})
        queue = self._queue(request)
        _check_message(queue, request, "MessageBody")
        self._check_content(request["MessageBody"])
        message = self.put(queue, request["MessageBody"], _attributes(request), request.get("DelaySeconds"), call)
        return {"MessageId": message.id, "MD5OfMessageBody": _md5(message.body)}

    def _send_message_batch(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Send a batch. Raise an error that concerns the whole batch, and list the errors of entries under `Failed`."""
        _only(request, {"QueueUrl", "Entries"})
        queue = self._queue(request)
        entries = request["Entries"]
        _check_batch(entries)
        for number, entry in enumerate(entries, 1):
            _only(entry, {"Id", "MessageBody", "DelaySeconds", "MessageAttributes", "MessageGroupId"})
            if not entry["MessageBody"]:
                parameter = f"SendMessageBatchRequestEntry.{number}.MessageBody"
                raise refusal("MissingParameter", f"The request must contain the parameter {parameter}.")
        if sum(_size(entry) for entry in entries) > BYTES_MAX:
            raise refusal(_PREFIX + "BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes.")
        spoilt = set(call.fate.spoilt(len(entries))) if call.fate.spoilt else set()
        done, failed = [], []
        for index, entry in enumerate(entries):
            try:
                _check_message(queue, entry, "MessageBody")
                self._check_content(entry["MessageBody"])
            except ClientError as error:
                failed.append(_failed(entry, error.response["Error"]["Code"], True))
                continue
            if index in spoilt:
                failed.append(_failed(entry, "InternalError", False))
                continue
            message = self.put(queue, entry["MessageBody"], _attributes(entry), entry.get("DelaySeconds"), call)
            done.append({"Id": entry["Id"], "MessageId": message.id, "MD5OfMessageBody": _md5(message.body)})
        return _listed(done, failed)

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
        self._announce(queue, visible_us)
        return message

    def _announce(self, queue: Queue, moment_us: int) -> None:
        queue.quiet_until_us = min(queue.quiet_until_us, moment_us)
        for arrival in queue.arrivals:
            self.timeline.at(moment_us, arrival)

    def _check_content(self, body: str) -> None:
        if _REFUSED.search(body) or self.refused(body):
            raise refusal("InvalidMessageContents", "Invalid characters found in the message.")

    # ----------------------------------------------------------------------------------------------------- receiving

    def _receive_message(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        known = {"QueueUrl", "MaxNumberOfMessages", "VisibilityTimeout", "WaitTimeSeconds"}
        _only(request, known | {"MessageAttributeNames", "AttributeNames", "MessageSystemAttributeNames"})
        queue = self._queue(request)
        most, wait_s = request.get("MaxNumberOfMessages", 1), request.get("WaitTimeSeconds", 0)
        _within("MaxNumberOfMessages", most, 1, BATCH_MAX)
        _within("WaitTimeSeconds", wait_s, 0, WAIT_S_MAX)
        visibility_s = request.get("VisibilityTimeout", queue.visibility_s)
        _within("VisibilityTimeout", visibility_s, 0, VISIBILITY_S_MAX)
        end_us = self.timeline.now_us + wait_s * US
        taken: list[Message] = []

        def look() -> int | None:
            taken.extend(self.take(queue, most, visibility_s))
            over = taken or self.timeline.now_us >= end_us
            return None if over else min(end_us, self._next_look_us(queue))

        self.timeline.await_(look)
        return {"Messages": [_received(message, request) for message in taken]} if taken else {}

    def _next_look_us(self, queue: Queue) -> int:
        """Return when the next message becomes visible, or a time shortly from now."""
        now_us = self.timeline.now_us
        soon_us = now_us + round(POLL_S * US)
        if queue.quiet_until_us >= soon_us:
            return soon_us
        coming = [message.visible_us for message in queue.messages.values() if message.visible_us > now_us]
        return min([soon_us, *coming])

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
            self._announce(queue, message.visible_us)
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
        self._announce(dead_letters, self.timeline.now_us)

    def remove(self, queue: Queue, receipt: str) -> None:
        """Delete a message. It is no error if it is deleted already, or was received again since."""
        found = self._by_receipt(queue, receipt)
        if found is None:
            return
        if self.unruly is not None and self.unruly.random() < self.twice:  # One copy was not deleted.
            found.visible_us = self.timeline.now_us + self.unruly.randrange(COPY_S_MAX * US)
            self._announce(queue, found.visible_us)
            return
        del queue.messages[found.id]

    def _by_receipt(self, queue: Queue, receipt: str) -> Message | None:
        return next((message for message in queue.messages.values() if message.receipt == receipt), None)

    def _delete_message(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "ReceiptHandle"})
        queue = self._queue(request)
        _check_receipt(request["ReceiptHandle"])
        self.remove(queue, request["ReceiptHandle"])
        return {}

    def _delete_message_batch(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "Entries"})
        queue = self._queue(request)
        entries = request["Entries"]
        _check_batch(entries)
        spoilt = set(call.fate.spoilt(len(entries))) if call.fate.spoilt else set()
        done, failed = [], []
        for index, entry in enumerate(entries):
            try:
                _check_receipt(entry["ReceiptHandle"])
            except ClientError as error:
                failed.append(_failed(entry, error.response["Error"]["Code"], True))
                continue
            if index in spoilt:
                failed.append(_failed(entry, "InternalError", False))
                continue
            self.remove(queue, entry["ReceiptHandle"])
            done.append({"Id": entry["Id"]})
        return _listed(done, failed)

    def _change_message_visibility(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "ReceiptHandle", "VisibilityTimeout"})
        self._hide(self._queue(request), request)
        return {}

    def _change_message_visibility_batch(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "Entries"})
        queue = self._queue(request)
        entries = request["Entries"]
        _check_batch(entries)
        spoilt = set(call.fate.spoilt(len(entries))) if call.fate.spoilt else set()
        done, failed = [], []
        for index, entry in enumerate(entries):
            if index in spoilt:
                failed.append(_failed(entry, "InternalError", False))
                continue
            try:
                self._hide(queue, entry)
            except ClientError as error:
                failed.append(_failed(entry, error.response["Error"]["Code"], True))
                continue
            done.append({"Id": entry["Id"]})
        return _listed(done, failed)

    def _hide(self, queue: Queue, entry: dict[str, Any]) -> None:
        """Hide a message for as long as the entry says from now on, or refuse the entry."""
        _within("VisibilityTimeout", entry["VisibilityTimeout"], 0, VISIBILITY_S_MAX)
        _check_receipt(entry["ReceiptHandle"])
        found = self._by_receipt(queue, entry["ReceiptHandle"])
        if found is None:
            raise refusal("InvalidParameterValue", "Value for parameter ReceiptHandle is invalid.")
        if found.visible_us <= self.timeline.now_us:
            raise refusal(_PREFIX + "MessageNotInflight", "The message referred to isn't in flight.")
        found.visible_us = self.timeline.now_us + entry["VisibilityTimeout"] * US
        self._announce(queue, found.visible_us)

    def _get_queue_attributes(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "AttributeNames"})
        queue = self._queue(request)
        now_us = self.timeline.now_us
        visible = [message for message in queue.messages.values() if message.visible_us <= now_us]
        hidden = [message for message in queue.messages.values() if message.visible_us > now_us]
        in_flight = [message for message in hidden if message.receives]
        facts = {
            "QueueArn": queue.arn,
            "VisibilityTimeout": str(queue.visibility_s),
            "MessageRetentionPeriod": str(queue.retention_s),
            "MaximumMessageSize": str(queue.bytes_max),
            "DelaySeconds": str(queue.delay_s),
            "ApproximateNumberOfMessages": str(len(visible)),
            "ApproximateNumberOfMessagesNotVisible": str(len(in_flight)),
            "ApproximateNumberOfMessagesDelayed": str(len(hidden) - len(in_flight)),
        }
        wanted = request.get("AttributeNames", [])
        chosen = {name: fact for name, fact in facts.items() if "All" in wanted or name in wanted}
        return {"Attributes": chosen} if chosen else {}

    def _queue(self, request: dict[str, Any]) -> Queue:
        queue = self.queues.get(request["QueueUrl"])
        if queue is None:
            raise refusal(_PREFIX + "NonExistentQueue", "The specified queue does not exist.")
        if queue.closed is not None:
            raise queue.closed
        return queue


def _only(request: dict[str, Any], known: set[str]) -> None:
    for parameter in request:
        if parameter not in known:
            raise NotImplementedError(f"the virtual SQS does not know the parameter {parameter} here")


def _within(parameter: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        reason = f"Must be between {least} and {most}, if provided"
        raise refusal("InvalidParameterValue", f"Value {value} for parameter {parameter} is invalid. Reason: {reason}.")


def _check_batch(entries: list[dict[str, Any]]) -> None:
    if not entries:
        raise refusal(_PREFIX + "EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > BATCH_MAX:
        raise refusal(_PREFIX + "TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10.")
    ids = [entry["Id"] for entry in entries]
    if not all(_ENTRY_ID.fullmatch(each) for each in ids):
        raise refusal(_PREFIX + "InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters.")
    if len(set(ids)) != len(ids):
        raise refusal(_PREFIX + "BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.")


def _check_message(queue: Queue, entry: dict[str, Any], body: str) -> None:
    if not entry[body]:
        raise refusal("MissingParameter", f"The request must contain the parameter {body}.")
    if "DelaySeconds" in entry:
        _within("DelaySeconds", entry["DelaySeconds"], 0, DELAY_S_MAX)
    if _size(entry) > queue.bytes_max:
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
    if kind == "String" and _REFUSED.search(value):
        raise refusal("InvalidMessageContents", "Invalid characters found in a message attribute.")


def _check_receipt(receipt: str) -> None:
    if not receipt.startswith("receipt-"):
        raise refusal("ReceiptHandleIsInvalid", f'The input receipt handle "{receipt}" is not a valid receipt handle.')


def _attributes(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: dict(value) for name, value in entry.get("MessageAttributes", {}).items()}


def _size(entry: dict[str, Any]) -> int:
    body: str = entry["MessageBody"]
    size = len(body) if body.isascii() else len(body.encode("utf-8", "surrogatepass"))
    for name, attribute in entry.get("MessageAttributes", {}).items():
        value = attribute.get("StringValue", "").encode("utf-8", "surrogatepass") or attribute.get("BinaryValue", b"")
        size += len(name) + len(attribute["DataType"]) + len(value)
    return size


def _failed(entry: dict[str, Any], code: str, sender_fault: bool) -> dict[str, Any]:
    return {"Id": entry["Id"], "SenderFault": sender_fault, "Code": code, "Message": code}


def _listed(done: list[dict[str, Any]], failed: list[dict[str, Any]]) -> dict[str, Any]:
    answer = {}
    if done:
        answer["Successful"] = done
    if failed:
        answer["Failed"] = failed
    return answer


def _received(message: Message, request: dict[str, Any]) -> dict[str, Any]:
    received: dict[str, Any] = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "MD5OfBody": _md5(message.body),
    }
    facts = {
        "SentTimestamp": str(message.sent_us // 1000),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str((message.first_received_us or message.sent_us) // 1000),
    }
    system = {*request.get("AttributeNames", []), *request.get("MessageSystemAttributeNames", [])}
    chosen_facts = {name: fact for name, fact in facts.items() if "All" in system or name in system}
    wanted = request.get("MessageAttributeNames", [])
    chosen = {name: dict(value) for name, value in message.attributes.items() if "All" in wanted or name in wanted}
    received |= {"Attributes": chosen_facts} if chosen_facts else {}
    return {**received, "MessageAttributes": chosen} if chosen else received


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
