"""List what the deliver function has delivered lately: the latest deliveries that each row of the ledger keeps.

That is a sample. An execution environment keeps its last ten, and a stack without a ledger keeps none.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from scheduler.counting import reading
from scheduler.errors import InvalidRequest
from scheduler.execution.deadline import Deadline
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.request import ManageRequest
from scheduler.model.usage import Recent
from scheduler.text import shown
from scheduler.timestamps import day_of, epoch_s

DAY_WANTED = 'a day of UTC, such as "2026-11-26"'


def deliveries(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return the latest deliveries of a day, the newest first."""
    day = _day(request.fields.get("day"), deadline)
    found = reading.rows([day], dependencies.application, dependencies.counts(), dependencies.pool, deadline)
    recent = {(each.id, each.delivered_ms): each for counts in found.values() for row in counts for each in row.recent}
    newest = sorted(recent.values(), key=lambda each: (-each.delivered_ms, each.id))
    return {"day": day, "deliveries": [_facts(each) for each in newest]}


def _facts(recent: Recent) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": recent.id, "timestamp": epoch_s(recent.due_ms)}
    if recent.name is not None:
        facts["name"] = recent.name
    return {**facts, "delivered": epoch_s(recent.delivered_ms)}


def _day(value: object, deadline: Deadline) -> str:
    if value is None:
        return day_of(deadline.now_ms()).isoformat()
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:
        raise InvalidRequest(f"day is {shown(value)}; wanted: {DAY_WANTED}")
    return day.isoformat()
