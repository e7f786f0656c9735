"""The operations of the admin function, and the functions that carry them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler import audit, log
from scheduler.administering import changing, creation, deletion, keys, listing, repairing, request, usage
from scheduler.administering.dependencies import AdminDependencies
from scheduler.administering.request import AdminRequest
from scheduler.audit import Actor
from scheduler.execution.deadline import Deadline
from scheduler.model.application import OWNER_NAME, application_of

Operation = Callable[[AdminRequest, AdminDependencies, Deadline], dict[str, Any]]
OPERATIONS: dict[str, Operation] = {
    "create": creation.create,
    "change": changing.change,
    "list": listing.list_,
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
    operation, fields = admin_request.operation, admin_request.fields
    if operation in _LOOKING:
        answer = OPERATIONS[operation](admin_request, dependencies, deadline)
        log.outcome("administered", operation=operation, **_logged(answer))
        return answer
    whose = application_of(fields.get("id")) or fields.get("name", OWNER_NAME)
    with audit.unconfirmed(operation, actor, whose):
        answer = OPERATIONS[operation](admin_request, dependencies, deadline)
    count = answer["changed"] if operation == "repair" else 1
    audit.changed(operation, actor, answer.get("application") or whose, count, **_logged(answer))
    return answer


def _logged(answer: dict[str, Any]) -> dict[str, Any]:
    made = [answer[scope]["id"] for scope in ("control", "data") if scope in answer]
    facts = {fact: answer[fact] for fact in _LOGGED if fact in answer}
    lists = {"keys": made, "fields": answer.get("changed")}
    return facts | {name: value for name, value in lists.items() if isinstance(value, list) and value}
