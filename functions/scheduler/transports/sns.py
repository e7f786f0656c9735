"""Publish a schedule to an SNS topic. The message has the same body and attributes as a message to a queue."""

from __future__ import annotations

from typing import Any

from scheduler.aws.calls import delivered
from scheduler.model.payloads import attributes, body
from scheduler.model.schedule import Schedule
from scheduler.model.targets import arn_of


class SnsTransport:
    def __init__(self, client: Any, application: str = "") -> None:
        self._client, self._application = client, application

    def deliver(self, schedule: Schedule) -> None:
        delivered(
            self._client.publish,
            TopicArn=arn_of(schedule.target or ""),
            Message=body(schedule, self._application),
            MessageAttributes=attributes(schedule, self._application),
        )
