"""How the command shows schedules: the fields of `--json`, and the lines and cells for people.

Fields are only ever added. A time is `due` in ISO 8601 in UTC, beside `timestamp` in epoch seconds as in a request.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from punctual.cli import times
from punctual.cli.output import Row, shortened

if TYPE_CHECKING:
    from punctual import Failure, Schedule, Scheduled

OUTPUT_QUEUE = "output queue"
DATA_SHOWN_MAX = 2_000
COLUMNS_WIDTH = 82
"""The width of the columns of a list beside the data."""
DATA_WIDTH_MIN = 15


def timestamp(time: datetime) -> float | int:
    """Return epoch seconds, whole if they are."""
    found = round(time.timestamp() * 1000) / 1000
    return int(found) if found.is_integer() else found


def iso_or_none(time: datetime | None) -> str | None:
    return None if time is None else times.iso(time)


def accepted_fields(scheduled: Scheduled) -> dict[str, Any]:
    """Return the object of an accepted schedule."""
    return {
        "id": scheduled.id,
        "name": scheduled.name,
        "due": times.iso(scheduled.due),
        "timestamp": timestamp(scheduled.due),
        "state": scheduled.state,
        "result": scheduled.result,
    }


def accepted_line(scheduled: Scheduled, now: datetime, zone: times.Zone) -> str:
    """Return what became of a request, such as `created order/7, due 2030-06-01 09:00:00Z (in 2h), queued`."""
    what = scheduled.name or scheduled.id
    done = scheduled.result or "accepted"
    tail = f"\nid {scheduled.id}" if scheduled.name else ""
    return f"{done} {what}, due {zone.shown(scheduled.due)} ({distance(scheduled.due, now)}), {scheduled.state}{tail}"


def distance(time: datetime, now: datetime) -> str:
    """Return how far away a time is: `in 2h 5m`, `3s ago` or `now`."""
    words = times.words(time - now)
    if words == "0s":
        return "now"
    return f"in {words}" if time > now else f"{words} ago"


def schedule_fields(schedule: Schedule) -> dict[str, Any]:
    """Return the object of a schedule. Fields that the stack does not know are null."""
    return {
        "id": schedule.id,
        "name": schedule.name,
        "due": times.iso(schedule.due),
        "timestamp": timestamp(schedule.due),
        "state": schedule.state,
        "target": schedule.target,
        "data": schedule.data,
        "attempts": schedule.attempts,
        "error": schedule.error,
        "changed": iso_or_none(schedule.changed),
        "next_attempt": iso_or_none(schedule.next_attempt),
        "user": schedule.user,
        "retry": schedule.retry,
        "failure_target": schedule.failure_target,
        "expires_after": schedule.expires_after,
        "accepted": iso_or_none(schedule.accepted),
    }


def schedule_details(schedule: Schedule, now: datetime, zone: times.Zone) -> dict[str, str]:
    """Return the lines of one schedule for people. A field that is unknown or not set has no line."""

    def moment(time: datetime | None) -> str:
        return "" if time is None else f"{zone.shown(time)} ({distance(time, now)})"

    lines = {
        "id": schedule.id,
        "name": schedule.name or "",
        "due": moment(schedule.due),
        "state": schedule.state,
        "target": target_shown(schedule.target),
        "user": schedule.user or "",
        "attempts": str(schedule.attempts or ""),
        "error": schedule.error or "",
        "next attempt": moment(schedule.next_attempt),
        "retry": "" if schedule.retry is None else json.dumps(schedule.retry),
        "failure target": schedule.failure_target or "",
        "expires after": "" if schedule.expires_after is None else f"{schedule.expires_after:g}s",
        "accepted": moment(schedule.accepted),
        "changed": moment(schedule.changed),
        "data": shortened(schedule.data or "", DATA_SHOWN_MAX),
    }
    return {name: value for name, value in lines.items() if value}


def schedule_row(schedule: Schedule, zone: times.Zone, width: int = 0) -> Row:
    """Return one line of a list. A name stands for its id. A wide terminal has room for the data."""
    cells = [zone.shown(schedule.due), schedule.state, schedule.name or schedule.id]
    if has_room_for_data(width):
        cells.append(shortened(schedule.data or "", width - COLUMNS_WIDTH))
    return Row(cells, schedule_fields(schedule))


def has_room_for_data(width: int) -> bool:
    return width >= COLUMNS_WIDTH + DATA_WIDTH_MIN


def failure_fields(failure: Failure) -> dict[str, Any]:
    """Return the object of a failure."""
    return {
        "id": failure.id,
        "name": failure.name,
        "due": iso_or_none(failure.due),
        "timestamp": None if failure.due is None else timestamp(failure.due),
        "failed": iso_or_none(failure.failed),
        "reason": failure.reason,
        "error": failure.error,
        "attempts": failure.attempts,
        "target": failure.target,
    }


def failure_row(failure: Failure, zone: times.Zone) -> Row:
    """Return one line of a list of failures, by the time of the failure, or that of the schedule."""
    time = failure.failed or failure.due
    cells = [zone.shown(time) if time else "", failure.name or failure.id or "", failure.reason]
    return Row(cells, failure_fields(failure), _why(failure))


def _why(failure: Failure) -> str:
    """Return the error, and how often it came from where."""
    tried = f" after {failure.attempts} attempts" if (failure.attempts or 0) > 1 else ""
    return f"{failure.error or 'no error'}{tried}, {target_shown(failure.target)}"


def target_shown(target: Any) -> str:
    """Return a target in one line, without the headers and cookies of a webhook, which may be secret."""
    if target is None:
        return OUTPUT_QUEUE
    if isinstance(target, str):
        return target
    return str(target.get("url") or target.get("arn") or json.dumps(target))
