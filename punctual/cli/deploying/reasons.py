"""Say in words why CloudFormation failed, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# Resources that did not fail by themselves.
FOLLOWED = re.compile(r"cancelled|The following resource\(s\) failed|Rollback requested", re.IGNORECASE)
CAUSES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), advice)
    for pattern, advice in (
        (
            r"not authorized to perform:? (?P<what>[a-z0-9-]+:\w+)|AccessDenied|Access Denied",
            "ask for the permission that the reason names, then run the command again",
        ),
        (
            r"UnreservedConcurrentExecution|ReservedConcurrentExecutions",
            "the account has too little concurrency to reserve: set FeedConcurrencyReserved=0 and "
            "TriggerConcurrencyReserved=0, or ask AWS for a larger quota of concurrent executions",
        ),
        (r"already exists", "remove the resource of that name or rename the stack with --stack, then deploy again"),
        (r"LimitExceeded|quota|Rate exceeded|Throttl", "a quota of the account is reached: raise it, or try later"),
        (r"KMS|kms:", "the key must exist in this region, and its policy must let the service use it"),
        (
            r"Encountered unsupported property|Unrecognized (property|key)",
            "this region does not know a property yet: deploy to another region, or take an older version of punctual",
        ),
        (r"Resource handler returned message.*timed? ?out|exceeded.*time", "AWS was slow: run the command again"),
        (
            r"policy attached to entities",
            "detach the policy from the roles, users and groups that have it, then run the command again",
        ),
        (r"deletion protection|DeletionProtection", "deploy with --parameter TableProtection=false first"),
    )
)


class Failure(NamedTuple):
    """A resource that failed: which, why, and what to do."""

    resource: str
    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.reason}" + (f" - {self.advice}" if self.advice else "")


def failures(events: Iterable[Mapping[str, Any]]) -> list[Failure]:
    """Return the resources that failed by themselves, in the order of time. `events` has the newest first."""
    found: dict[str, Failure] = {}
    for event in reversed(list(events)):
        reason = str(event.get("ResourceStatusReason") or "no reason given")
        if not event["ResourceStatus"].endswith("_FAILED") or FOLLOWED.search(reason):
            continue
        name = f"{event['LogicalResourceId']} ({event['ResourceType']})"
        found.setdefault(name, Failure(name, " ".join(reason.split()), advice(reason)))
    return list(found.values())


def advice(reason: str) -> str:
    """Return what to do about a reason, or an empty text."""
    return next((words for pattern, words in CAUSES if pattern.search(reason)), "")
