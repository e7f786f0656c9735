"""The virtual SQS: standard queues with delays, visibility timeouts, partly failed batches, and redrive.

The source of every rule is the API reference of SQS and its "message quotas". A standard queue guarantees neither
order nor a single delivery. With an `unruly` source of randomness, this queue provides neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from punctual.testing.calls import Call, Watcher
from punctual.testing.services.aws_errors import refusal
from punctual.testing.services.queues import (
    BATCH_MAX,
    BYTES_MAX,
    ERROR_PREFIX,
    REFUSED_CHARACTERS,
    Message,
    Queue,
    Queues,
    check_batch,
    check_message,
    check_range,
    check_receipt,
    message_size,
)
from punctual.testing.timeline import US, Timeline

VISIBILITY_S_MAX = 43_200
WAIT_S_MAX = 20
POLL_S = 0.1
"""How often a waiting receive checks the queue. It also checks when the next known message becomes visible."""


class Sqs(Queues):
    name = "sqs"

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        super().__init__(timeline, watcher)
        self.refused: Callable[[str], bool] = lambda body: False
        """Return whether this SQS rejects a body, in addition to the bodies that the documentation names."""
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

    # ------------------------------------------------------------------------------------------------------- sending

    def _send_message(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "MessageBody", "DelaySeconds", "MessageAttributes"})
        queue = self._queue(request)
        check_message(queue, request, "MessageBody")
        self._check_content(request["MessageBody"])
        message = self.put(queue, request["MessageBody"], _attributes(request), request.get("DelaySeconds"), call)
        return {"MessageId": message.id, "MD5OfMessageBody": _md5(message.body)}

    def _send_message_batch(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Send a batch. Raise an error that concerns the whole batch, and list the errors of entries under `Failed`."""
        _only(request, {"QueueUrl", "Entries"})
        queue = self._queue(request)
        entries = request["Entries"]
        check_batch(entries)
        for number, entry in enumerate(entries, 1):
            _only(entry, {"Id", "MessageBody", "DelaySeconds", "MessageAttributes", "MessageGroupId"})
            if not entry["MessageBody"]:
                parameter = f"SendMessageBatchRequestEntry.{number}.MessageBody"
                raise refusal("MissingParameter", f"The request must contain the parameter {parameter}.")
        if sum(message_size(entry) for entry in entries) > BYTES_MAX:
            raise refusal(ERROR_PREFIX + "BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes.")

        def check(entry: dict[str, Any]) -> None:
            check_message(queue, entry, "MessageBody")
            self._check_content(entry["MessageBody"])

        def send(entry: dict[str, Any]) -> dict[str, Any]:
            message = self.put(queue, entry["MessageBody"], _attributes(entry), entry.get("DelaySeconds"), call)
            return {"MessageId": message.id, "MD5OfMessageBody": _md5(message.body)}

        return _each(entries, call, check, send)

    def _check_content(self, body: str) -> None:
        if REFUSED_CHARACTERS.search(body) or self.refused(body):
            raise refusal("InvalidMessageContents", "Invalid characters found in the message.")

    # ----------------------------------------------------------------------------------------------------- receiving

    def _receive_message(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        known = {"QueueUrl", "MaxNumberOfMessages", "VisibilityTimeout", "WaitTimeSeconds"}
        _only(request, known | {"MessageAttributeNames", "AttributeNames", "MessageSystemAttributeNames"})
        queue = self._queue(request)
        most, wait_s = request.get("MaxNumberOfMessages", 1), request.get("WaitTimeSeconds", 0)
        check_range("MaxNumberOfMessages", most, 1, BATCH_MAX)
        check_range("WaitTimeSeconds", wait_s, 0, WAIT_S_MAX)
        visibility_s = request.get("VisibilityTimeout", queue.visibility_s)
        check_range("VisibilityTimeout", visibility_s, 0, VISIBILITY_S_MAX)
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

    def _delete_message(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "ReceiptHandle"})
        queue = self._queue(request)
        check_receipt(request["ReceiptHandle"])
        self.remove(queue, request["ReceiptHandle"])
        return {}

    def _delete_message_batch(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "Entries"})
        queue = self._queue(request)
        entries = request["Entries"]
        check_batch(entries)

        def delete(entry: dict[str, Any]) -> dict[str, Any]:
            self.remove(queue, entry["ReceiptHandle"])
            return {}

        return _each(entries, call, lambda entry: check_receipt(entry["ReceiptHandle"]), delete)

    def _change_message_visibility(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "ReceiptHandle", "VisibilityTimeout"})
        self._hide(self._queue(request), request)
        return {}

    def _change_message_visibility_batch(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, {"QueueUrl", "Entries"})
        queue = self._queue(request)
        entries = request["Entries"]
        check_batch(entries)

        def hide(entry: dict[str, Any]) -> dict[str, Any]:
            self._hide(queue, entry)
            return {}

        return _each(entries, call, lambda entry: self._in_flight(queue, entry), hide)

    def _hide(self, queue: Queue, entry: dict[str, Any]) -> None:
        """Hide a message for as long as the entry says from now on, or refuse the entry."""
        found = self._in_flight(queue, entry)
        found.visible_us = self.timeline.now_us + entry["VisibilityTimeout"] * US
        self.announce(queue, found.visible_us)

    def _in_flight(self, queue: Queue, entry: dict[str, Any]) -> Message:
        check_range("VisibilityTimeout", entry["VisibilityTimeout"], 0, VISIBILITY_S_MAX)
        check_receipt(entry["ReceiptHandle"])
        found = self.by_receipt(queue, entry["ReceiptHandle"])
        if found is None:
            raise refusal("InvalidParameterValue", "Value for parameter ReceiptHandle is invalid.")
        if found.visible_us <= self.timeline.now_us:
            raise refusal(ERROR_PREFIX + "MessageNotInflight", "The message referred to isn't in flight.")
        return found

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
            raise refusal(ERROR_PREFIX + "NonExistentQueue", "The specified queue does not exist.")
        if queue.closed is not None:
            # A new error each time: an error collects the frames of every raise, and they refer to the virtual AWS.
            raise ClientError(queue.closed.response, queue.closed.operation_name)
        return queue


def _only(request: dict[str, Any], known: set[str]) -> None:
    for parameter in request:
        if parameter not in known:
            raise NotImplementedError(f"the virtual SQS does not know the parameter {parameter} here")


def _attributes(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: dict(value) for name, value in entry.get("MessageAttributes", {}).items()}


def _each(
    entries: list[dict[str, Any]],
    call: Call,
    check: Callable[[dict[str, Any]], object],
    act: Callable[[dict[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """Act on each entry of a batch, and list the entries that `check` refuses or the fault of the call spoils."""
    spoilt = set(call.fault.spoilt(len(entries))) if call.fault.spoilt else set()
    done, failed = [], []
    for index, entry in enumerate(entries):
        try:
            check(entry)
        except ClientError as error:
            failed.append(_failed(entry, error.response["Error"]["Code"], True))
            continue
        if index in spoilt:
            failed.append(_failed(entry, "InternalError", False))
        else:
            done.append({"Id": entry["Id"], **act(entry)})
    return {**({"Successful": done} if done else {}), **({"Failed": failed} if failed else {})}


def _failed(entry: dict[str, Any], code: str, sender_fault: bool) -> dict[str, Any]:
    return {"Id": entry["Id"], "SenderFault": sender_fault, "Code": code, "Message": code}


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
