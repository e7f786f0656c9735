"""The delivery queue, read and cleared by the function itself beside what Lambda brings."""

from __future__ import annotations

from typing import Any

from scheduler.aws.calls import confirmed
from scheduler.delivering.in_flight import Message

WAIT_S = 1
"""So long SQS looks for something, at all of its servers. Whatever comes meanwhile is there at once."""


class DeliveryQueue:
    def __init__(self, client: Any, queue_url: str) -> None:
        self._client, self._queue_url = client, queue_url

    def receive(self, most: int) -> list[Message]:
        """What is there, hidden from others for the queue's own visibility timeout. Where the answer is lost, so are
        they until then."""
        answer = confirmed(
            self._client.receive_message, QueueUrl=self._queue_url, MaxNumberOfMessages=most, WaitTimeSeconds=WAIT_S
        )
        return [Message(each["MessageId"], each["Body"], each["ReceiptHandle"]) for each in answer.get("Messages", [])]

    def delete(self, receipt: str) -> None:
        """NotConfirmed where it may come again."""
        confirmed(self._client.delete_message, QueueUrl=self._queue_url, ReceiptHandle=receipt)
