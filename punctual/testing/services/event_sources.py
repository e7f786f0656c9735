"""Event source mappings of the virtual Lambda: pollers that pass messages of a queue to a function.

Source: "Using Lambda with Amazon SQS".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from punctual.testing.services.environments import Invocation
from punctual.testing.services.queues import Message, Queue
from punctual.testing.timeline import US

if TYPE_CHECKING:
    from punctual.testing.services.functions import Functions

POLLERS_IDLE = 2
"""The number of batches that a mapping has in flight at first, after a quiet time."""
POLLERS = 5
"""The number after `RAMP_S` of work.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""
RAMP_S = 60
"""AWS does not document this time. It scales by the minute."""


@dataclass(frozen=True)
class EventSource:
    """An event source mapping: a queue, and the function that receives its messages."""

    function: str
    queue_url: str
    batch_size: int = 10
    item_failures: bool = False


class Poller:
    """Passes batches from a queue to a function, and deletes the messages that the function did not fail."""

    def __init__(self, functions: Functions, mapping: EventSource) -> None:
        self._functions, self._mapping = functions, mapping
        self._busy = 0
        self._working_since_us = 0

    def poll(self) -> None:
        if self._mapping not in self._functions.mappings:
            return
        queue = self._functions.sqs.queues[self._mapping.queue_url]
        for _ in range(self._width() - self._busy):
            taken = self._functions.sqs.take(queue, self._mapping.batch_size, queue.visibility_s)
            if not taken:
                return
            self._hand_over(queue, taken)

    def _width(self) -> int:
        """Return the number of batches that may be in flight now."""
        now_us = self._functions.timeline.now_us
        if not self._busy:
            self._working_since_us = now_us
        return POLLERS if now_us - self._working_since_us >= RAMP_S * US else POLLERS_IDLE

    def _hand_over(self, queue: Queue, taken: list[Message]) -> None:
        if not self._busy:  # After the ramp, more batches fit, and none may end until then.
            self._functions.timeline.at(self._working_since_us + RAMP_S * US, self.poll)
        self._busy += 1
        receipts = {message.id: message.receipt for message in taken}
        payload = json.dumps({"Records": [_record(queue, message) for message in taken]})
        invocation = self._functions.start(self._mapping.function, payload, queue.url)
        invocation.on_end.append(lambda: self._done(queue, receipts, invocation))

    def _done(self, queue: Queue, receipts: dict[str, str], invocation: Invocation) -> None:
        """Delete the processed messages. Failed ones become visible again after their timeout.

        If the mapping reports item failures, only the messages in the report have failed.
        """
        self._busy -= 1
        if invocation.outcome == "returned":
            failed = _failed_items(invocation.answer) if self._mapping.item_failures else []
            if None not in failed:
                for message_id, receipt in receipts.items():
                    if message_id not in failed:
                        self._functions.sqs.remove(queue, receipt)
        self._functions.timeline.at(self._functions.timeline.now_us, self.poll)


def _failed_items(answer: str) -> list[str | None]:
    """Return the ids of failed messages. An answer in the wrong form fails the whole batch: [None]."""
    report = json.loads(answer)
    if not report or not report.get("batchItemFailures"):
        return []
    return [failure.get("itemIdentifier") or None for failure in report["batchItemFailures"]]


def _record(queue: Queue, message: Message) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.receives),
            "SentTimestamp": str(message.sent_us // 1000),
            "ApproximateFirstReceiveTimestamp": str((message.first_received_us or message.sent_us) // 1000),
        },
        "messageAttributes": {
            name: {"dataType": value["DataType"], "stringValue": value.get("StringValue")}
            for name, value in message.attributes.items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": queue.arn.split(":")[3],
    }
