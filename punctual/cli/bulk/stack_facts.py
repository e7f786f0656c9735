"""Identify the stack of an import, with the parameters that its answers depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from punctual.cli.run import Run
from punctual.client.calling import aws_errors
from punctual.client.errors import AccessDenied, StackNotFound

VERSION_OUTPUT = "Version"


@dataclass(frozen=True)
class StackFacts:
    """A stack. Without the right to call DescribeStacks, its `parameters` are unknown, and `id` is its function."""

    id: str
    parameters: dict[str, str]
    region: str

    def differences(self, other: StackFacts) -> list[str]:
        """Return which parameters changed since, in words. Unknown parameters count as unchanged."""
        if not self.parameters or not other.parameters:
            return []
        names = sorted({*self.parameters, *other.parameters})
        pairs = [
            (name, self.parameters.get(name, "not there"), other.parameters.get(name, "not there")) for name in names
        ]
        return [f"{name} was {before!r} and is {now!r}" for name, before, now in pairs if before != now]


def facts_of(run: Run) -> StackFacts:
    """Return the facts of the stack of the command line. Raise StackNotFound if it does not exist."""
    if run.world is not None:
        return _of_outputs(run.world.outputs(), getattr(run.world, "parameters", dict)())
    run.outputs.get("ScheduleFunction")  # Raises an error that lists the stacks there are.
    try:
        with aws_errors.translated("cloudformation:DescribeStacks"):
            (described,) = run.client("cloudformation").describe_stacks(StackName=run.stack)["Stacks"]
    except (AccessDenied, aws_errors.Refused):  # The outputs came from the environment.
        return _of_outputs({name: run.outputs.get(name) for name in ("ScheduleFunction",)}, {})
    return _of_description(described)


def _of_description(described: Mapping[str, Any]) -> StackFacts:
    parameters = {each["ParameterKey"]: _value(each) for each in described.get("Parameters", [])}
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
    if "ScheduleFunction" not in outputs:
        raise StackNotFound(f"the stack {described['StackName']!r} is no stack of Punctual: it has no ScheduleFunction")
    if VERSION_OUTPUT in outputs:
        parameters[VERSION_OUTPUT] = outputs[VERSION_OUTPUT]
    return StackFacts(described["StackId"], parameters, _region(described["StackId"]))


def _of_outputs(outputs: Mapping[str, str], parameters: Mapping[str, str]) -> StackFacts:
    function = outputs.get("ScheduleFunctionArn", outputs["ScheduleFunction"])
    return StackFacts(function, dict(parameters), _region(function))


def _value(parameter: Mapping[str, str]) -> str:
    return parameter.get("ResolvedValue", parameter.get("ParameterValue", ""))


def _region(arn: str) -> str:
    parts = arn.split(":")
    return parts[3] if len(parts) > 3 else ""
