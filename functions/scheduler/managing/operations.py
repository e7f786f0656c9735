"""The operations of the manage function, the fields that each accepts, and the functions that carry them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler import audit, log
from scheduler.audit import Actor
from scheduler.errors import InvalidRequest
from scheduler.execution.deadline import Deadline
from scheduler.managing import request
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.request import ManageRequest
from scheduler.model.application import OWNER_NAME

Operation = Callable[[ManageRequest, ManageDependencies, Deadline], dict[str, Any]]


def _get(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import lookup

    return lookup.get(manage_request, dependencies, deadline)


def _list(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing.listing import pages

    return pages.list_(manage_request, dependencies, deadline)


def _forecast(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    if manage_request.truth("estimate"):
        from scheduler.managing.listing import estimate

        return estimate.estimate(manage_request, dependencies, deadline)
    from scheduler.managing.listing import forecast

    return forecast.forecast(manage_request, dependencies, deadline)


def _cancel(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import changing

    return changing.cancel(manage_request, dependencies, deadline)


def _change(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import changing

    return changing.change(manage_request, dependencies, deadline)


def _move(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import changing

    return changing.move(manage_request, dependencies, deadline)


def _fire(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import changing

    return changing.fire(manage_request, dependencies, deadline)


def _cancel_where(
    manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline
) -> dict[str, Any]:
    from scheduler.managing import bulk_cancel

    return bulk_cancel.cancel_where(manage_request, dependencies, deadline)


def _failures(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import failures

    return failures.failures(manage_request, dependencies, deadline)


def _redrive(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import redrive

    return redrive.redrive(manage_request, dependencies, deadline)


def _runs(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import runs

    return runs.runs(manage_request, dependencies, deadline)


def _deliveries(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import deliveries

    return deliveries.deliveries(manage_request, dependencies, deadline)


def _status(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import status

    return status.status(manage_request, dependencies, deadline)


OPERATIONS: dict[str, Operation] = {
    "get": _get,
    "list": _list,
    "forecast": _forecast,
    "cancel": _cancel,
    "change": _change,
    "move": _move,
    "fire": _fire,
    "cancel_where": _cancel_where,
    "failures": _failures,
    "redrive": _redrive,
    "deliveries": _deliveries,
    "runs": _runs,
    "status": _status,
}
"""Each function imports its module when it is first called, because no caller uses all operations."""
FIELDS_OF_OPERATION: dict[str, tuple[str, ...]] = {
    "get": ("name", "id", "full"),
    "list": ("from", "to", "prefix", "limit", "full", "next"),
    "forecast": ("from", "to", "bucket", "estimate", "next"),
    "cancel": ("name", "id"),
    "change": (
        "name",
        "id",
        "timestamp",
        "delay",
        "zone",
        "spread",
        "data",
        "target",
        "user",
        "retry",
        "failure_target",
        "expires_after",
    ),
    "move": ("name", "id", "timestamp", "delay"),
    "fire": ("name", "id"),
    "cancel_where": ("prefix", "from", "to", "dry_run", "next"),
    "failures": ("from", "to", "limit", "next"),
    "redrive": ("id", "from", "to", "spread", "next"),
    "deliveries": ("day",),
    "runs": ("from", "to", "partition", "next"),
    "status": (),
}
WHOSE = "application"
"""The field that names another application. Only the owner may use it."""
_STACKS = ("runs", "status")
"""Operations about the stack as a whole. An application has none of them."""
_OWNERS_FIELDS = {name: fields if name in _STACKS else (*fields, WHOSE) for name, fields in FIELDS_OF_OPERATION.items()}
_APPLICATIONS_FIELDS = {name: fields for name, fields in FIELDS_OF_OPERATION.items() if name not in _STACKS}
VIEW = {name: _OWNERS_FIELDS[name] for name in ("get", "list", "forecast", "failures", "deliveries", "runs", "status")}
"""The operations of the view function, which change nothing."""
CALLER = {
    name: FIELDS_OF_OPERATION[name] for name in ("get", "list", "cancel", "change", "move", "fire", "cancel_where")
}
"""The operations of the caller function, for a program that knows its own schedules. It can name no application."""
_WITH_PREFIX = ("list", "cancel_where")
"""The operations that a caller may use with a prefix only."""
_LISTED = ("schedules", "failures", "deliveries", "runs")
_LOGGED = ("id", "state", "total", "matched", "left")
_COUNTED = {"cancel_where": "cancelled", "redrive": "redriven"}
"""The part of an answer that says how many schedules were changed. Every other change is of one."""
CALLING = Actor("caller")


def manage(
    event: object, dependencies: ManageDependencies, deadline: Deadline, actor: Actor = audit.OWNER_ACTOR
) -> dict[str, Any]:
    """Carry out an operation for the owner, or for the application that the dependencies are bound to."""
    fields = _APPLICATIONS_FIELDS if dependencies.application else _OWNERS_FIELDS
    return _carried_out(request.read(event, fields), dependencies, deadline, actor)


def view(event: object, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """Carry out an operation that changes nothing. Raise InvalidRequest for any other.

    IAM decides who may invoke a function, and does not see the payload. So each smaller right is a function of its own.
    """
    return _looked(request.read(event, VIEW), dependencies, deadline)


def call(event: object, dependencies: ManageDependencies, deadline: Deadline, actor: Actor = CALLING) -> dict[str, Any]:
    """Carry out an operation on schedules that the caller knows. Raise InvalidRequest for any other."""
    manage_request = request.read(event, CALLER)
    if manage_request.operation in _WITH_PREFIX and not manage_request.prefix():
        state = "is empty" if "prefix" in manage_request.fields else "is missing"
        raise InvalidRequest(f"prefix {state}; wanted from this function: the beginning of names, 1 character or more")
    return _carried_out(manage_request, dependencies, deadline, actor)


def _carried_out(
    manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline, actor: Actor
) -> dict[str, Any]:
    """Carry out an operation, and log who asked for it if it changes something."""
    if manage_request.operation in VIEW or manage_request.fields.get("dry_run") is True:
        return _looked(manage_request, dependencies, deadline)
    whose = manage_request.fields.get(WHOSE, dependencies.application or OWNER_NAME)
    with audit.unconfirmed(manage_request.operation, actor, whose):
        answer = _answer(manage_request, dependencies, deadline)
    audit.changed(
        manage_request.operation,
        actor,
        whose,
        answer.get(_COUNTED.get(manage_request.operation, ""), 1),
        **_facts(answer),
    )
    return answer


def _looked(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    answer = _answer(manage_request, dependencies, deadline)
    counts = {listed: len(answer[listed]) for listed in _LISTED if listed in answer}
    log.outcome("managed", operation=manage_request.operation, **_facts(answer), **counts)
    return answer


def _answer(manage_request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    operation = OPERATIONS[manage_request.operation]
    try:
        if WHOSE not in manage_request.fields:
            return operation(manage_request, dependencies, deadline)
        from scheduler.managing.listing import applications

        return applications.answer(operation, manage_request, dependencies, deadline)
    finally:
        dependencies.ledger.settle(deadline)


def _facts(answer: dict[str, Any]) -> dict[str, Any]:
    return {fact: answer[fact] for fact in _LOGGED if fact in answer}
