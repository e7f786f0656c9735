"""Tell how many schedules an application had accepted, delivered and so on, on each day of a month of UTC."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from scheduler.administering.dependencies import AdminDependencies
from scheduler.administering.keys import which
from scheduler.administering.request import AdminRequest
from scheduler.counting import reading
from scheduler.errors import InvalidRequest
from scheduler.execution.deadline import Deadline
from scheduler.model.usage import COUNTERS
from scheduler.text import shown
from scheduler.timestamps import day_of

MONTH_WANTED = 'a month of UTC, such as "2026-11", which is not in the future'
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)


def usage(request: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return the counts of each day on which something was counted, and their sum."""
    application, today = which(request.name(), dependencies, deadline), day_of(deadline.now_ms())
    days = _days(request.fields.get("month", f"{today:%Y-%m}"), today)
    found = reading.rows(days, application.id, dependencies.counts, dependencies.pool, deadline)
    totals = {day: reading.total(counts) for day, counts in found.items() if counts}
    return {
        "application": application.id or application.name,
        "name": application.name,
        "month": days[0][:7],
        "days": [{"day": day, **counts} for day, counts in totals.items()],
        "total": {name: sum(counts[name] for counts in totals.values()) for name in COUNTERS},
    }


def _days(month: object, today: date) -> list[str]:
    """Return the days of a month, but none in the future."""
    if not isinstance(month, str) or _MONTH.fullmatch(month) is None or month > f"{today:%Y-%m}":
        raise InvalidRequest(f"month is {shown(month)}; wanted: {MONTH_WANTED}")
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:  # The year 0.
        raise InvalidRequest(f"month is {shown(month)}; wanted: {MONTH_WANTED}") from None
    days = [first + timedelta(days=number) for number in range(31)]
    return [each.isoformat() for each in days if each.month == first.month and each <= today]
