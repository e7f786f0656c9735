"""SNS: a message to a topic, the same as a queue would get."""

from __future__ import annotations

from typing import Any

from scheduler.aws.calls import delivered
from scheduler.model.payloads import attributes, body
from scheduler.model.schedule import Schedule
from scheduler.model.targets import arn_of


class SnsTransport:
    def __init__(self, client: Any) -> None:
        self._client = client

    def deliver(self, schedule: Schedule) -> None:
        delivered(
            self._client.publish,
            TopicArn=arn_of(schedule.target or ""),
            Message=body(schedule),
            MessageAttributes=attributes(schedule),
        )
