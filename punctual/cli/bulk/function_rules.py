"""Check requests on this machine by the rules of the schedule function.

The rules are the code of the function itself, which the installed package contains.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from punctual.cli.bulk.reading.rows import Row
from punctual.cli.bulk.stack_facts import StackFacts, facts_of
from punctual.cli.errors import CommandFailed
from punctual.cli.run import Run

_PACKAGE = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    "PartitionCount": "PARTITION_COUNT",
    "ReachSeconds": "REACH_SECONDS",
    "TargetArns": "TARGET_ARNS",
    "WebhookHosts": "WEBHOOK_HOSTS",
    "WebhookAllowPrivate": "WEBHOOK_ALLOW_PRIVATE",
    "RequireUser": "REQUIRE_USER",
}
"""For each parameter of the template, the environment variable of the function that it sets."""


class Refused(Exception):
    """The schedule function would reject this request. The message is the function's own."""


@dataclass(frozen=True)
class Verdict:
    """The kind of a valid request, which decides its price."""

    is_far: bool
    is_named: bool
    is_webhook: bool


class FunctionRules:
    """The rules of a stack with these parameters, at one time."""

    def __init__(self, facts: StackFacts, now_ms: int) -> None:
        self._request = _module("scheduler.accepting.request")
        self._targets = _module("scheduler.model.targets")
        self._invalid: type[Exception] = _module("scheduler.errors").InvalidSchedule
        self._now_ms = now_ms
        settings = _module("scheduler.wiring.config").from_environment(environment=_environment(facts))
        self._reach_ms: int = settings.reach_ms
        self._rules = self._request.AcceptRules(settings.listed, settings.require_user)

    def verdict(self, row: Row) -> Verdict:
        """Return the kind of a row. Raise Refused if the function would reject it."""
        try:
            found = self._request.parse(json.loads(row.encoded), self._now_ms, self._rules, under_token=True)
        except self._invalid as refusal:
            raise Refused(str(refusal)) from None
        if found.expires_after_ms is not None and self._now_ms > found.due_ms + found.expires_after_ms:
            raise Refused("it has expired already, so it would never be released")
        is_webhook = self._targets.kind(found.target) == self._targets.WEBHOOK
        return Verdict(found.due_ms - self._now_ms > self._reach_ms, found.name is not None, is_webhook)


def rules_of(run: Run) -> FunctionRules:
    """Return the rules of the stack of the command line, at this time."""
    facts = facts_of(run)
    if not facts.parameters:
        run.output.note("The parameters of the stack are unknown without DescribeStacks, so targets count as unlisted.")
    return FunctionRules(facts, round(run.now().timestamp() * 1000))


def _environment(facts: StackFacts) -> Mapping[str, str]:
    given = {
        name: facts.parameters[parameter] for parameter, name in ENVIRONMENT.items() if parameter in facts.parameters
    }
    return {**given, "AWS_REGION": facts.region}


def _module(name: str) -> Any:
    """Import a module of the functions. They are beside the package in the repository, and inside it when installed."""
    folders = [_PACKAGE.parent / "functions", _PACKAGE / "stack" / "functions"]
    folder = next((each for each in folders if (each / "scheduler").is_dir()), None)
    if folder is None:
        raise CommandFailed("the code of the functions is not installed, so nothing can be checked here; reinstall")
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
