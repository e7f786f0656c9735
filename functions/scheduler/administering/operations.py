"""The operations of the admin function, and the functions that carry them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler import audit, log
from scheduler.administering import creation, deletion, keys, repairing, request, usage
from scheduler.administering.dependencies import AdminDependencies
from scheduler.administering.request import AdminRequest
from scheduler.audit import Actor
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.model import targets
from scheduler.model.application import OUTPUT, OWNER_NAME, Application, application_of
from scheduler.timestamps import epoch_s

Operation = Callable[[AdminRequest, AdminDependencies, Deadline], dict[str, Any]]


def _list(_: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return all applications, by name."""
    found = retry_call(dependencies.applications.all, deadline)
    return {"applications": [_facts(application) for application in sorted(found, key=lambda each: each.name)]}


OPERATIONS: dict[str, Operation] = {
    "create": creation.create,
    "list": _list,
    "keys": keys.keys,
    "rotate": keys.rotate,
    "disable": keys.disable,
    "usage": usage.usage,
    "repair": repairing.repair,
    "delete": deletion.delete,
}
_LOOKING = ("list", "keys", "usage")
"""The operations that change nothing."""
_LOGGED = ("id", "replaces", "state", "ended", "left")


def administer(event: object, actor: Actor, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Carry out an operation, and log who did what. No line holds a key."""
    admin_request = request.read(event)
    operation, asked = admin_request.operation, admin_request.fields
    if operation in _LOOKING:
        answer = OPERATIONS[operation](admin_request, dependencies, deadline)
        log.outcome("administered", operation=operation, **_logged(answer))
        return answer
    whose = application_of(asked.get("id")) or asked.get("name", OWNER_NAME)
    with audit.unconfirmed(operation, actor, whose):
        answer = OPERATIONS[operation](admin_request, dependencies, deadline)
    audit.changed(operation, actor, answer.get("application") or whose, answer.get("changed", 1), **_logged(answer))
    return answer


def _logged(answer: dict[str, Any]) -> dict[str, Any]:
    made = [answer[scope]["id"] for scope in ("control", "data") if scope in answer]
    facts = {fact: answer[fact] for fact in _LOGGED if fact in answer}
    return {**facts, "keys": made} if made else facts


def _facts(application: Application) -> dict[str, Any]:
    default = application.default_target
    return {
        "application": application.id,
        "name": application.name,
        "default_target": default if default == OUTPUT else targets.as_sent(default),
        "targets": list(application.targets),
        "failure_targets": list(application.failure_targets),
        "hosts": list(application.hosts),
        "rate": application.rate,
        "burst": application.burst,
        "quota": application.quota or None,
        "created": epoch_s(application.created_ms),
    }
