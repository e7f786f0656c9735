"""Start a Step Functions execution. Its name is the schedule's id, so that a standard workflow starts only once.

An express workflow may start again with each repeat, because its execution names need not be unique.
"""

from __future__ import annotations

from typing import Any

from scheduler.aws.calls import delivered
from scheduler.errors import Undelivered
from scheduler.model.payloads import document
from scheduler.model.schedule import Schedule
from scheduler.model.targets import arn_of


class StepFunctionsTransport:
    def __init__(self, client: Any, application: str = "") -> None:
        self._client, self._application = client, application

    def deliver(self, schedule: Schedule) -> None:
        """Start the execution. The error ExecutionAlreadyExists means success.

        Step Functions returns it for an execution that has ended or has another input. The input for one schedule id
        never changes, so the execution is a repeat.
        """
        try:
            delivered(
                self._client.start_execution,
                stateMachineArn=arn_of(schedule.target or ""),
                name=schedule.id,
                input=document(schedule, self._application),
            )
        except Undelivered as failure:
            if failure.error != "ExecutionAlreadyExists":
                raise
