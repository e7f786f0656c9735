"""Step Functions: an execution named after the schedule's id, so that a standard workflow starts once for it.

An express workflow may start again with each repeat: there a name may be used again at once.
"""

from __future__ import annotations

from typing import Any

from scheduler.aws.calls import delivered
from scheduler.errors import Undelivered
from scheduler.model.payloads import document
from scheduler.model.schedule import Schedule
from scheduler.model.targets import arn_of


class StepFunctionsTransport:
    def __init__(self, client: Any) -> None:
        self._client = client

    def deliver(self, schedule: Schedule) -> None:
        """That it exists already is success: it is told of an execution that has ended, and of one whose input is
        another, as the input of a schedule under its id never is."""
        try:
            delivered(
                self._client.start_execution,
                stateMachineArn=arn_of(schedule.target or ""),
                name=schedule.id,
                input=document(schedule),
            )
        except Undelivered as failure:
            if failure.error != "ExecutionAlreadyExists":
                raise
