"""The operations of the manage function: which there are, which fields each takes, and who does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler import inquiry, log
from scheduler.inquiry import Inquiry
from scheduler.office import Office
from scheduler.patience import Patience

Operation = Callable[[Inquiry, Office, Patience], dict[str, Any]]

OPERATIONS = {
    "get": "looking.get",
    "list": "listing.list_",
    "forecast": "forecasting.forecast",
    "cancel": "changing.cancel",
    "move": "changing.move",
    "fire": "changing.fire",
    "cancel_where": "sweeping.cancel_where",
    "failures": "failed.failures",
    "redrive": "redriving.redrive",
}
"""Who does it; imported when it is asked for, as nobody asks for all."""
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
    asked = inquiry.read(event, FIELDS)
    answer = _operation(asked.operation)(asked, office, patience)
    facts = {fact: answer[fact] for fact in _LOGGED if fact in answer}
    counts = {listed: len(answer[listed]) for listed in ("schedules", "failures") if listed in answer}
    log.outcome("managed", operation=asked.operation, **facts, **counts)
    return answer


def _operation(name: str) -> Operation:
    module, _, function = OPERATIONS[name].partition(".")
    package = __import__("scheduler", fromlist=[module])
    operation: Operation = getattr(getattr(package, module), function)
    return operation
