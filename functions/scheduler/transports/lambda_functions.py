"""Invoke a Lambda function asynchronously. Lambda stores the payload before it answers, and retries the function."""

from __future__ import annotations

from typing import Any

from scheduler.aws.calls import delivered
from scheduler.errors import Undelivered
from scheduler.model.payloads import document
from scheduler.model.schedule import Schedule
from scheduler.model.targets import arn_of

ACCEPTED_STATUS = 202
"""The status of an accepted invocation of type Event: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""


class LambdaTransport:
    def __init__(self, client: Any, application: str = "") -> None:
        self._client, self._application = client, application

    def deliver(self, schedule: Schedule) -> None:
        answer = delivered(
            self._client.invoke,
            FunctionName=arn_of(schedule.target or ""),
            InvocationType="Event",
            Payload=document(schedule, self._application).encode(),
        )
        if answer["StatusCode"] != ACCEPTED_STATUS:
            raise Undelivered(f"StatusCode {answer['StatusCode']}")
