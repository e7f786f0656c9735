"""The delivery queue, which the deliver function also reads itself, in addition to the batches from Lambda."""

from __future__ import annotations

from typing import Any

from scheduler.aws.calls import confirmed
from scheduler.delivering.in_flight import Message

WAIT_S = 1
"""How long SQS waits for a message, on all of its servers. A message that arrives meanwhile is returned at once."""


class DeliveryQueue:
    def __init__(self, client: Any, queue_url: str) -> None:
        self._client, self._queue_url = client, queue_url

    def receive(self, most: int) -> list[Message]:
        """Receive up to `most` messages. Even if the answer is lost, they stay hidden for the visibility timeout."""
        answer = confirmed(
            self._client.receive_message, QueueUrl=self._queue_url, MaxNumberOfMessages=most, WaitTimeSeconds=WAIT_S
        )
        return [Message(each["MessageId"], each["Body"], each["ReceiptHandle"]) for each in answer.get("Messages", [])]

    def delete(self, receipt: str) -> None:
        """Delete the message. Raise NotConfirmed if it may come again."""
        confirmed(self._client.delete_message, QueueUrl=self._queue_url, ReceiptHandle=receipt)
