"""The stack that `doctor`, `explain` and `verify` examine: its outputs, parameters and resources, each read once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from punctual.cli.run import Run
from punctual.client.calling import aws_errors
from punctual.client.calling.invoking import Invoker, Repeat
from punctual.client.errors import AccessDenied, StackNotFound

RESOURCE_PAGES_MAX = 20
FUNCTIONS = ("ScheduleFunction", "TriggerFunction", "FeedFunction", "DeliverFunction", "ManageFunction")
NEWER_FUNCTIONS = ("ViewFunction", "CallerFunction", "AdminFunction")
"""Stacks of earlier versions lack these."""
DESCRIBE = "cloudformation:DescribeStacks"
QUEUES = ("InputQueueUrl", "OutputQueueUrl", "DeliveryQueueUrl", "FailureQueueUrl", "DeadLetterQueueUrl")


class Subject:
    """One stack. Every method raises an error of Punctual if AWS refuses the call."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.stack = run.stack

    def ask(self, action: str, service: str, method: str, **arguments: Any) -> Any:
        """Call AWS. `action` is the IAM action that an error names."""
        with aws_errors.translated(action):
            return getattr(self.run.client(service), method)(**arguments)

    def manage_once(self, operation: str, **fields: Any) -> Any:
        """Invoke an operation on schedules, and do not try again if the function fails."""
        return self._invoker.manage(operation, fields, Repeat.NEVER)

    def operate_once(self, function: str, operation: str, **fields: Any) -> Any:
        """Invoke an operation of exactly this function, by its output. Do not try again if it fails."""
        return self._invoker.operate(function, operation, fields, Repeat.NEVER)

    def schedule_once(self, payload: bytes) -> Any:
        """Invoke the schedule function, and do not try again if it fails."""
        return self._invoker.send(payload, lambda: False)

    @functools.cached_property
    def _invoker(self) -> Invoker:
        return Invoker(self.run.backend, self.run.outputs)

    def now(self) -> datetime:
        return self.run.now()

    def output(self, name: str) -> str:
        return self.run.outputs.get(name)

    def optional_output(self, name: str) -> str | None:
        """Return an output, or None if the stack has none of this name."""
        try:
            return self.output(name)
        except StackNotFound:
            return None

    @functools.cached_property
    def described(self) -> Mapping[str, Any]:
        """The description of the stack by CloudFormation."""
        try:
            answer = self.ask(DESCRIBE, "cloudformation", "describe_stacks", StackName=self.stack)
        except aws_errors.Refused as refusal:
            if "does not exist" in str(refusal):
                self.run.outputs.all()  # It raises StackNotFound, which names the stacks that there are.
            raise
        described: Mapping[str, Any] = answer["Stacks"][0]
        return described

    @functools.cached_property
    def _parameters(self) -> dict[str, str]:
        """The parameters of the stack, as far as the caller may read them."""
        try:
            listed = self.described.get("Parameters", [])
        except (AccessDenied, NotImplementedError, LookupError):
            return {}
        return {each["ParameterKey"]: each.get("ParameterValue", "") for each in listed}

    def parameter(self, name: str, default: str) -> str:
        """Return a parameter of the stack, or its default in the template if CloudFormation does not list it."""
        return self._parameters.get(name) or default

    @property
    def partition_count(self) -> int:
        return int(self.parameter("PartitionCount", "4"))

    @property
    def interval_s(self) -> int:
        return 60 * int(self.parameter("FeedIntervalMinutes", "10"))

    @property
    def reach_s(self) -> int:
        return int(self.parameter("ReachSeconds", "900"))

    @functools.cached_property
    def resources(self) -> list[Mapping[str, Any]]:
        """The resources of the stack: `LogicalResourceId`, `PhysicalResourceId`, `ResourceType`."""
        found: list[Mapping[str, Any]] = []
        more: dict[str, str] = {}
        for _ in range(RESOURCE_PAGES_MAX):
            page = self.ask(
                "cloudformation:ListStackResources",
                "cloudformation",
                "list_stack_resources",
                StackName=self.stack,
                **more,
            )
            found += page["StackResourceSummaries"]
            if not page.get("NextToken"):
                break
            more = {"NextToken": page["NextToken"]}
        return found

    def of_type(self, kind: str) -> list[str]:
        """Return the physical names of the resources of a type."""
        return [each["PhysicalResourceId"] for each in self.resources if each["ResourceType"] == kind]

    @functools.cached_property
    def functions(self) -> dict[str, str]:
        """The functions of the stack by their logical names. The consumer is one of them if it is deployed."""
        found = {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in self.resources
            if each["ResourceType"] == "AWS::Lambda::Function"
        }
        if found:
            return found
        newer = {name: self.optional_output(name) for name in NEWER_FUNCTIONS}
        return {name: self.output(name) for name in FUNCTIONS} | {name: each for name, each in newer.items() if each}
