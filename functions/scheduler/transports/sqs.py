"""Send a named schedule to its target queue. Unnamed schedules go there directly, without the deliver function."""

from __future__ import annotations

from typing import Any

from scheduler.aws.calls import CONTENT_CODES, delivered
from scheduler.errors import Undelivered
from scheduler.model.payloads import attributes, body
from scheduler.model.schedule import Schedule
from scheduler.model.targets import queue_url


class SqsTransport:
    def __init__(self, client: Any, output_queue_url: str, application: str = "") -> None:
        self._client, self._output_queue_url, self._application = client, output_queue_url, application

    def deliver(self, schedule: Schedule) -> None:
        """Send the message without a delay, even if the queue has a default delay.

        The stack's own queue is never given up because it is missing or denies access. An error about the content is
        permanent there, too.
        """
        try:
            delivered(
                self._client.send_message,
                QueueUrl=queue_url(schedule.target, self._output_queue_url),
                MessageBody=body(schedule, self._application),
                MessageAttributes=attributes(schedule, self._application),
                DelaySeconds=0,
            )
        except Undelivered as failure:
            if schedule.target is None and failure.error not in CONTENT_CODES:
                failure.permanent = False
            raise
