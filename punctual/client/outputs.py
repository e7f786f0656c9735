"""Find the resources of a stack by its CloudFormation outputs.

Outputs come from, in this order: the caller, the environment (`PUNCTUAL_SCHEDULE_FUNCTION` and so on), CloudFormation.
The environment describes one stack: `PUNCTUAL_STACK`, or `punctual`. It says nothing about another one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from punctual.client.backend import Backend
from punctual.client.calling import aws_errors
from punctual.client.errors import PunctualError, StackNotFound

STACK_DEFAULT = "punctual"
STACK_VARIABLE = "PUNCTUAL_STACK"
LISTED_MAX = 10
PAGES_MAX = 10
"""How many pages of stacks an error message may cost."""


def variable(output: str) -> str:
    """Return the environment variable of an output: `PUNCTUAL_OUTPUT_QUEUE_URL` for `OutputQueueUrl`."""
    return "PUNCTUAL_" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", output).upper()


def stack_name(given: str | None) -> str:
    if given is None:
        return os.environ.get(STACK_VARIABLE) or STACK_DEFAULT
    if not given:
        raise StackNotFound("the name of the stack is empty; wanted: the name that it was deployed under")
    return given


class Outputs:
    """The outputs of one stack. It asks CloudFormation once, and only for an output that nothing else provides."""

    def __init__(self, stack: str, backend: Backend, given: Mapping[str, str] | None = None) -> None:
        self.stack = stack
        self._backend, self._given = backend, given
        self._found: Mapping[str, str] | None = None

    def get(self, output: str) -> str:
        """Return the value of an output. Raise StackNotFound if the stack or the output does not exist."""
        if self._given is not None:
            if output not in self._given:
                raise StackNotFound(f"the outputs that you gave lack {output}; they have {_listed(self._given)}")
            return self._given[output]
        own = stack_name(None) == self.stack
        found = os.environ.get(variable(output)) if own else None
        if found:
            return found
        described = self.all()
        if output not in described:
            raise StackNotFound(
                f"the stack {self.stack!r} has no output {output}; is it a stack of Punctual? It has "
                f"{_listed(described) or 'no outputs yet: wait until it is deployed'}"
            )
        return described[output]

    def all(self) -> Mapping[str, str]:
        """Return all outputs. Without outputs from the caller, CloudFormation describes them."""
        if self._given is not None:
            return self._given
        with self._backend.lock():  # Many threads that start together ask once.
            found = self._found  # Another thread may forget it at any moment.
            if found is None:
                found = self._found = self._described()
            return found

    def forget(self) -> None:
        """Ask CloudFormation again at the next call, because the stack has changed."""
        self._found = None

    def _described(self) -> Mapping[str, str]:
        with aws_errors.translated("cloudformation:DescribeStacks"):
            client = self._backend.client("cloudformation")
        try:
            with aws_errors.translated("cloudformation:DescribeStacks"):
                (described,) = client.describe_stacks(StackName=self.stack)["Stacks"]
        except aws_errors.Refused as refusal:
            if "does not exist" not in str(refusal):
                raise
            raise StackNotFound(self._missing(client), request_id=refusal.request_id) from None
        return _outputs(described)

    def _missing(self, client: Any) -> str:
        region = getattr(getattr(client, "meta", None), "region_name", "this region")
        others = self._others(client)
        hint = (
            f"there is {_listed(others)}"
            if others
            else "deploy it, give another name or region, or use Scheduler.from_outputs"
        )
        return f"there is no stack {self.stack!r} in {region}; {hint}"

    def _others(self, client: Any) -> list[str]:
        """Return the names of the stacks of Punctual in this region, as far as the caller may see them."""
        names: list[str] = []
        more: dict[str, str] = {}
        try:
            with aws_errors.translated("cloudformation:DescribeStacks"):
                for _ in range(PAGES_MAX):
                    page = client.describe_stacks(**more)
                    names += [each["StackName"] for each in page["Stacks"] if _is_ours(_outputs(each))]
                    if "NextToken" not in page:
                        break
                    more = {"NextToken": page["NextToken"]}
        except PunctualError:
            return names
        return names


def _outputs(described: Mapping[str, Any]) -> dict[str, str]:
    return {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}


def _is_ours(outputs: Mapping[str, str]) -> bool:
    return "ScheduleFunction" in outputs and "ManageFunction" in outputs


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - LISTED_MAX} more" if len(found) > LISTED_MAX else ""
    return ", ".join(found[:LISTED_MAX]) + more
