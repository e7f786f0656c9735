"""The input queue, to which the schedule function returns the rest of an input message."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from scheduler import log
from scheduler.accepting.from_queue.input_message import REQUEUE_ATTRIBUTE, Remainder
from scheduler.aws.calls import code, confirmed


class InputQueue:
    def __init__(self, client: Any, queue_url: str) -> None:
        self._client, self._queue_url = client, queue_url

    def requeue(self, remainder: Remainder, delay_s: int) -> bool:
        """Send the rest. Return False if SQS rejects it. Raise NotConfirmed if it may have arrived all the same."""
        attribute = {"DataType": "String", "StringValue": remainder.again}
        try:
            confirmed(
                self._client.send_message,
                QueueUrl=self._queue_url,
                MessageBody=remainder.body,
                DelaySeconds=delay_s,
                MessageAttributes={REQUEUE_ATTRIBUTE: attribute},
            )
        except ClientError as failure:
            log.outcome("not put back", error=code(failure))
            return False
        return True
