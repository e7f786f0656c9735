"""The operations of the admin function, and the functions that carry them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler import log
from scheduler.administering import changing, creation, deletion, keys, listing, repairing, request, usage
from scheduler.administering.dependencies import AdminDependencies
from scheduler.administering.request import AdminRequest
from scheduler.execution.deadline import Deadline

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
_LOGGED = ("application", "id", "replaces", "state", "ended", "changed", "left")


def administer(event: object, request_id: str, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Carry out an operation, and log who did what. No line holds a key."""
    admin_request = request.read(event)
    answer = OPERATIONS[admin_request.operation](admin_request, dependencies, deadline)
    facts = {fact: answer[fact] for fact in _LOGGED if fact in answer}
    made = [answer[scope]["id"] for scope in ("control", "data") if scope in answer]
    log.outcome(
        "administered",
        operation=admin_request.operation,
        by="owner",
        request=request_id,
        **facts,
        **({"keys": made} if made else {}),
    )
    return answer
