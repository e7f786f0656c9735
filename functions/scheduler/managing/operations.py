"""The operations of the manage function, the fields that each accepts, and the functions that carry them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler import log
from scheduler.execution.deadline import Deadline
from scheduler.managing import request
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.request import ManageRequest

Operation = Callable[[ManageRequest, ManageDependencies, Deadline], dict[str, Any]]


def _get(asked: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import lookup

    return lookup.get(asked, office, deadline)


def _list(asked: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing.listing import pages

    return pages.list_(asked, office, deadline)


def _forecast(asked: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing.listing import forecast

    return forecast.forecast(asked, office, deadline)


def _cancel(asked: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import changing

    return changing.cancel(asked, office, deadline)


def _move(asked: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import changing

    return changing.move(asked, office, deadline)


def _fire(asked: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import changing

    return changing.fire(asked, office, deadline)


def _cancel_where(asked: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import bulk_cancel

    return bulk_cancel.cancel_where(asked, office, deadline)


def _failures(asked: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import failures

    return failures.failures(asked, office, deadline)


def _redrive(asked: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import redrive

    return redrive.redrive(asked, office, deadline)


def _runs(asked: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    from scheduler.managing import runs

    return runs.runs(asked, office, deadline)


OPERATIONS: dict[str, Operation] = {
    "get": _get,
    "list": _list,
    "forecast": _forecast,
    "cancel": _cancel,
    "move": _move,
    "fire": _fire,
    "cancel_where": _cancel_where,
    "failures": _failures,
    "redrive": _redrive,
    "runs": _runs,
}
"""Each function imports its module when it is first called, because no caller uses all operations."""
FIELDS: dict[str, tuple[str, ...]] = {
    "get": ("name", "id", "full"),
    "list": ("from", "to", "prefix", "limit", "full", "next"),
    "forecast": ("from", "to", "bucket", "next"),
    "cancel": ("name", "id"),
    "move": ("name", "id", "timestamp", "delay"),
    "fire": ("name", "id"),
    "cancel_where": ("prefix", "from", "to", "dry_run", "next"),
    "failures": ("from", "to", "limit", "next"),
    "redrive": ("id", "from", "to", "spread", "next"),
    "runs": ("from", "to", "partition", "next"),
}
_LOGGED = ("id", "state", "total", "matched", "cancelled", "redriven", "left")


def manage(event: object, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    asked = request.read(event, FIELDS)
    answer = OPERATIONS[asked.operation](asked, office, deadline)
    facts = {fact: answer[fact] for fact in _LOGGED if fact in answer}
    counts = {listed: len(answer[listed]) for listed in ("schedules", "failures", "runs") if listed in answer}
    log.outcome("managed", operation=asked.operation, **facts, **counts)
    return answer
