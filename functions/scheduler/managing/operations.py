"""The operations of the manage function: which there are, which fields each takes, and who does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler import log
from scheduler.execution.deadline import Patience
from scheduler.managing import request
from scheduler.managing.dependencies import Office
from scheduler.managing.request import Inquiry

Operation = Callable[[Inquiry, Office, Patience], dict[str, Any]]


def _get(asked: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    from scheduler.managing import lookup

    return lookup.get(asked, office, patience)


def _list(asked: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    from scheduler.managing.listing import pages

    return pages.list_(asked, office, patience)


def _forecast(asked: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    from scheduler.managing.listing import forecast

    return forecast.forecast(asked, office, patience)


def _cancel(asked: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    from scheduler.managing import changing

    return changing.cancel(asked, office, patience)


def _move(asked: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    from scheduler.managing import changing

    return changing.move(asked, office, patience)


def _fire(asked: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    from scheduler.managing import changing

    return changing.fire(asked, office, patience)


def _cancel_where(asked: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    from scheduler.managing import bulk_cancel

    return bulk_cancel.cancel_where(asked, office, patience)


def _failures(asked: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    from scheduler.managing import failures

    return failures.failures(asked, office, patience)


def _redrive(asked: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    from scheduler.managing import redrive

    return redrive.redrive(asked, office, patience)


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
}
"""A function imports the module of its operation when it is first called: no caller uses all of them."""
FIELDS: dict[str, tuple[str, ...]] = {
    "get": ("name", "id"),
    "list": ("from", "to", "prefix", "limit", "next"),
    "forecast": ("from", "to", "bucket", "next"),
    "cancel": ("name", "id"),
    "move": ("name", "id", "timestamp", "delay"),
    "fire": ("name", "id"),
    "cancel_where": ("prefix", "from", "to", "dry_run", "next"),
    "failures": ("from", "to", "limit", "next"),
    "redrive": ("id", "from", "to", "spread", "next"),
}
_LOGGED = ("id", "state", "total", "matched", "cancelled", "redriven", "left")


def manage(event: object, office: Office, patience: Patience) -> dict[str, Any]:
    asked = request.read(event, FIELDS)
    answer = OPERATIONS[asked.operation](asked, office, patience)
    facts = {fact: answer[fact] for fact in _LOGGED if fact in answer}
    counts = {listed: len(answer[listed]) for listed in ("schedules", "failures") if listed in answer}
    log.outcome("managed", operation=asked.operation, **facts, **counts)
    return answer
