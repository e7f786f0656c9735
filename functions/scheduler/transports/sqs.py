"""SQS: what waited in the delivery queue for its moment, because it has a name, into the queue that is its target."""

from __future__ import annotations

from typing import Any

from scheduler.aws.calls import CONTENT_CODES, delivered
from scheduler.errors import Undelivered
from scheduler.model.payloads import attributes, body
from scheduler.model.schedule import Schedule
from scheduler.model.targets import queue_url


class SqsTransport:
    def __init__(self, client: Any, output_queue_url: str) -> None:
        self._client, self._output_queue_url = client, output_queue_url

    def deliver(self, schedule: Schedule) -> None:
        """Now: a delay that the queue has by default is not for what is due. Our own queue is never given up for being
        gone or closed to us; what it finds wrong with the content is for good there too."""
        try:
            delivered(
                self._client.send_message,
                QueueUrl=queue_url(schedule.target, self._output_queue_url),
                MessageBody=body(schedule),
                MessageAttributes=attributes(schedule),
                DelaySeconds=0,
            )
        except Undelivered as failure:
            if schedule.target is None and failure.error not in CONTENT_CODES:
                failure.permanent = False
            raise
