"""Describe, change and remove one stack of CloudFormation, and follow its events.

An interruption before `execute` leaves a change set, which changes nothing. `discard` removes it, and with it the empty
stack that CloudFormation makes for a first change set. After `execute`, CloudFormation goes on by itself.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from punctual.cli.deploying.aws import called, code_of, text_of
from punctual.cli.deploying.reasons import Failure, failures
from punctual.cli.errors import REJECTED, UNREACHABLE, CommandFailed
from punctual.client.errors import PunctualError

if TYPE_CHECKING:
    from punctual.cli.run import Run

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
POLL_S = 2.0
POLLS_OF_CHANGE_SET_MAX = 300
POLLS_OF_STACK_MAX = 3_600
PAGES_MAX = 100
DESCRIPTION = "Punctual"
OUTPUTS = frozenset({"ScheduleFunctionArn", "ManageFunctionArn", "DeliveryQueueArn"})
"""How the description of the template begins, and some of its outputs. Another stack is not ours to change."""
EMPTY = "REVIEW_IN_PROGRESS"
GONE = "DELETE_COMPLETE"
DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
UNCHANGED = ("didn't contain changes", "No updates are to be performed")
NEVER_DEPLOYED = (EMPTY, "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
STUCK = {
    **dict.fromkeys(
        NEVER_DEPLOYED[1:], "its first deployment failed: remove it with `punctual destroy`, then deploy again"
    ),
    "DELETE_FAILED": "its removal failed: run `punctual destroy` again, then deploy",
    "UPDATE_ROLLBACK_FAILED": "repair it with `aws cloudformation continue-update-rollback`, then deploy again",
}


@dataclass(frozen=True)
class Found:
    """A stack as CloudFormation describes it."""

    id: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    is_ours: bool
    is_protected: bool

    @classmethod
    def read(cls, stack: Mapping[str, Any]) -> Found:
        return cls(
            id=stack["StackId"],
            status=stack["StackStatus"],
            parameters={each["ParameterKey"]: each.get("ParameterValue", "") for each in stack.get("Parameters", [])},
            outputs={each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])},
            is_ours=is_ours(stack),
            is_protected=bool(stack.get("EnableTerminationProtection")),
        )


def is_ours(stack: Mapping[str, Any]) -> bool:
    """Tell whether a stack is Punctual's. The empty stack of a first change set shows nothing of it yet."""
    outputs = {each["OutputKey"] for each in stack.get("Outputs", [])}
    described = str(stack.get("Description", "")).startswith(DESCRIPTION)
    return stack["StackStatus"] == EMPTY or described or outputs >= OUTPUTS


def is_deployment(change: Mapping[str, Any]) -> bool:
    """Tell whether a change only deploys the HTTP API once more. SAM makes a new deployment each time.

    If the routes were different, the API itself would be among the changes.
    """
    names = {each.get("Target", {}).get("Name") for each in change.get("Details", [])}
    is_stage = change["ResourceType"] == "AWS::ApiGateway::Stage" and change["Action"] == "Modify"
    return change["ResourceType"] == "AWS::ApiGateway::Deployment" or (is_stage and names == {"DeploymentId"})


@dataclass(frozen=True)
class Change:
    """The effect of a change set on one resource."""

    action: str
    resource: str
    kind: str
    replacement: str

    @property
    def is_new_resource(self) -> bool:
        """Tell whether the resource is, or may be, replaced by a new one."""
        return self.replacement in ("True", "Conditional")


@dataclass(frozen=True)
class ChangeSet:
    """A change set that can be executed. `changes` is empty if there is nothing to do."""

    id: str
    stack_id: str
    is_first: bool
    changes: Sequence[Change] = field(default_factory=tuple)


class Formation:
    """The stack with this name, whether it is there or not."""

    def __init__(self, run: Run, name: str) -> None:
        self.name = name
        self._run = run

    def found(self, id: str | None = None) -> Found | None:
        """Return the stack, or None if it does not exist. An id also finds a stack that was removed."""
        try:
            stacks = self._call("DescribeStacks", StackName=id or self.name)["Stacks"]
        except PunctualError as error:
            if code_of(error) == "ValidationError" and "does not exist" in text_of(error):
                return None
            raise
        return Found.read(stacks[0]) if stacks and (id or stacks[0]["StackStatus"] != GONE) else None

    def refuse_unless_ready(self, found: Found | None) -> None:
        """Raise CommandFailed if the stack cannot be changed now, or if it is not ours."""
        if found is None or found.status == EMPTY:
            return
        if not found.is_ours:
            raise CommandFailed(f"the stack {self.name} is not Punctual's: choose another name with --stack")
        if found.status in STUCK:
            raise CommandFailed(f"the stack {self.name} is {found.status}; {STUCK[found.status]}")
        if found.status.endswith("_IN_PROGRESS"):
            raise CommandFailed(f"the stack {self.name} is {found.status}: wait until that has ended")

    def change_set(self, template_url: str, parameters: list[dict[str, Any]], *, is_first: bool) -> ChangeSet:
        """Create a change set, and wait until CloudFormation has worked it out."""
        try:
            answer = self._call(
                "CreateChangeSet",
                StackName=self.name,
                ChangeSetName=f"punctual-{uuid.uuid4().hex}",
                ChangeSetType="CREATE" if is_first else "UPDATE",
                TemplateURL=template_url,
                Parameters=parameters,
                Capabilities=CAPABILITIES,
            )
        except PunctualError as error:
            if code_of(error) == "ValidationError":
                raise CommandFailed(text_of(error), status=REJECTED, code="InvalidParameters") from error
            raise
        created = ChangeSet(answer["Id"], answer["StackId"], is_first)
        with self.discarding(created):
            return ChangeSet(created.id, created.stack_id, is_first, self._changes(created))

    def _changes(self, change_set: ChangeSet) -> list[Change]:
        for _ in range(POLLS_OF_CHANGE_SET_MAX):
            answer = self._describe(change_set)
            if answer["Status"] == "CREATE_COMPLETE":
                return self._all_changes(change_set, answer)
            if answer["Status"] == "FAILED":
                reason = " ".join(str(answer.get("StatusReason", "no reason given")).split())
                if any(words in reason for words in UNCHANGED):
                    return []
                raise CommandFailed(f"CloudFormation cannot make the change set: {reason}", status=REJECTED)
            self._run.backend.sleep(POLL_S)
        raise CommandFailed("CloudFormation did not finish the change set: try again", status=UNREACHABLE)

    def _all_changes(self, change_set: ChangeSet, answer: Mapping[str, Any]) -> list[Change]:
        changes: list[Change] = []
        deploys_again = True
        for _ in range(PAGES_MAX):
            for each in answer["Changes"]:
                its = each["ResourceChange"]
                replacement = its.get("Replacement", "")
                changes.append(Change(its["Action"], its["LogicalResourceId"], its["ResourceType"], replacement))
                deploys_again = deploys_again and is_deployment(its)
            if not answer.get("NextToken"):
                break
            answer = self._describe(change_set, NextToken=answer["NextToken"])
        return [] if deploys_again else changes

    def _describe(self, change_set: ChangeSet, **more: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._call("DescribeChangeSet", ChangeSetName=change_set.id, **more)
        return answer

    @contextlib.contextmanager
    def discarding(self, change_set: ChangeSet) -> Iterator[None]:
        """Discard the change set if the block does not end well, after Ctrl-C or a "no" too."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(PunctualError):  # The first error says more.
                self.discard(change_set)
            raise

    def discard(self, change_set: ChangeSet) -> None:
        """Delete the change set, and the empty stack of a first one."""
        self._call("DeleteChangeSet", ChangeSetName=change_set.id)
        if not change_set.is_first:
            return
        found = self.found(change_set.stack_id)
        if found is not None and found.status == EMPTY:
            self._call("DeleteStack", StackName=change_set.stack_id)

    def last_event(self, id: str) -> str:
        """Return the id of the newest event, so that `follow` begins after it."""
        return next((event["EventId"] for event in self._events(id, "")), "")

    def execute(self, change_set: ChangeSet) -> None:
        self._call("ExecuteChangeSet", ChangeSetName=change_set.id, ClientRequestToken=uuid.uuid4().hex)

    def delete(self, id: str) -> None:
        self._call("DeleteStack", StackName=id, ClientRequestToken=uuid.uuid4().hex)

    def resources(self) -> list[dict[str, str]]:
        """Return the resources of the stack."""
        found: list[dict[str, str]] = []
        more: dict[str, str] = {}
        for _ in range(PAGES_MAX):
            answer = self._call("ListStackResources", StackName=self.name, **more)
            found += answer["StackResourceSummaries"]
            if not answer.get("NextToken"):
                break
            more = {"NextToken": answer["NextToken"]}
        return found

    def follow(self, id: str, after: str, heard: Callable[[Mapping[str, Any]], None]) -> tuple[str, list[Failure]]:
        """Report every event after the given one until the stack is done. Return its status and what failed."""
        seen: list[Mapping[str, Any]] = []
        last = after
        for _ in range(POLLS_OF_STACK_MAX):
            found = self.found(id)
            news = self._events(id, last)
            for event in reversed(news):
                heard(event)
            seen = news + seen
            last = news[0]["EventId"] if news else last
            status = found.status if found is not None else GONE
            if not status.endswith("_IN_PROGRESS"):
                return status, failures(seen)
            self._run.backend.sleep(POLL_S)
        raise CommandFailed(f"the stack {self.name} is still not done: see its events", status=UNREACHABLE)

    def _events(self, id: str, after: str) -> list[Mapping[str, Any]]:
        """Return the events after the given one, the newest first."""
        found: list[Mapping[str, Any]] = []
        more: dict[str, str] = {}
        for _ in range(PAGES_MAX):
            answer = self._call("DescribeStackEvents", StackName=id, **more)
            for event in answer["StackEvents"]:
                if event["EventId"] == after:
                    return found
                found.append(event)
            if not answer.get("NextToken"):
                break
            more = {"NextToken": answer["NextToken"]}
        return found

    def _call(self, operation: str, **arguments: Any) -> Any:
        return called(self._run, "cloudformation", operation, **arguments)
