"""A stack with applications, on the virtual AWS. Direct calls of the owner name the application that they act for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from punctual.testing import Refused, Stack
from scheduler.aws import items
from scheduler.aws.applications.stored import APPLICATION_NAME, application_item
from scheduler.aws.items import META
from scheduler.execution.worker_pool import SerialPool
from scheduler.model.application import OUTPUT, Application
from scheduler.wiring import config
from scheduler.wiring.resources import Resources
from scheduler.wiring.runtime import Runtime

A, B, C = "aaaaaaaa", "bbbbbbbb", "cccccccc"
FAR = 86_400
NEAR = 300


class Shared:
    """A stack that applications share."""

    def __init__(self, **parameters: Any) -> None:
        self.stack = Stack(WebhookHosts="*.example.com", **parameters)
        self._table_name = self.stack.output("TableName")

    def create(self, application_id: str, **facts: Any) -> Application:
        """Store an application, as the admin function does."""
        application = Application(application_id, f"app-{application_id[0]}", **{"default_target": OUTPUT, **facts})
        name = {**items.key(META, APPLICATION_NAME + application.name), "application": {"S": application_id}}
        for item in (application_item(application), name):
            self.stack.client("dynamodb").put_item(TableName=self._table_name, Item=item)
        return application

    def schedule(self, application_id: str, **fields: Any) -> Any:
        whose = {"application": application_id} if application_id else {}
        return self.stack.schedule({"data": "x", **fields, **whose})

    def manage(self, application_id: str, operation: str, **fields: Any) -> Any:
        whose = {"application": application_id} if application_id else {}
        return self.stack.manage(operation, **fields, **whose)

    def resources(self, function: str = "manage") -> Resources:
        """Return resources as a function that authenticates applications has them."""
        functions = self.stack._cloud.functions.functions
        settings = config.from_environment(
            environment=next(each.environment for each in functions.values() if each.handler.startswith(function))
        )
        timeline = self.stack._cloud.timeline
        return Resources(
            settings,
            Runtime(
                clock=lambda: self.stack.now,
                sleep=timeline.sleep,
                client=lambda service, _: self.stack.client(service),
                pool=lambda _: SerialPool(),
            ),
            threads=1,
        )

    def items(self) -> list[dict[str, Any]]:
        (table,) = self.stack._cloud.dynamodb.tables.values()
        return [item for rows in table.items.values() for item in rows.values()]

    def hash_keys(self) -> set[str]:
        return {item["partition"]["S"] for item in self.items()}

    def messages(self, output: str) -> list[Any]:
        return list(self.stack._cloud.sqs.queues[self.stack.output(output)].messages.values())


def refused(call: Callable[..., Any], *arguments: Any, **fields: Any) -> str:
    """Return the type of the error with which the stack refuses the call."""
    with pytest.raises(Refused) as error:
        call(*arguments, **fields)
    return str(error.value)
