"""What comes in, told by its form: one schedule, a batch (a list, or an object that holds one and a token), letters."""

from __future__ import annotations

from typing import TypeGuard

from scheduler.accepting import request
from scheduler.errors import InvalidSchedule
from scheduler.limits import BATCH_SCHEDULES_MAX
from scheduler.text import shown

BATCH_WANTED = f'a list of 1 to {BATCH_SCHEDULES_MAX} schedules, or {{"schedules": [...], "token": "..."}}'


def is_batch(event: object) -> TypeGuard[list[object] | dict[str, object]]:
    """Everything else is meant as one schedule."""
    return isinstance(event, list) or (isinstance(event, dict) and "schedules" in event)


def is_from_queue(event: object) -> bool:
    """Whether it is SQS that invokes us, and not a caller of its own accord."""
    records = event.get("Records") if isinstance(event, dict) else None
    first = records[0] if isinstance(records, list) and records else None
    return isinstance(first, dict) and first.get("eventSource") == "aws:sqs"


def unwrapped(event: list[object] | dict[str, object]) -> tuple[list[object], str | None]:
    """The members, and the token of the batch as a whole, or InvalidSchedule where it is refused whole."""
    members, token = _unwrapped(event) if isinstance(event, dict) else (event, None)
    if not isinstance(members, list) or not 1 <= len(members) <= BATCH_SCHEDULES_MAX:
        raise InvalidSchedule(f"schedules is {shown(members)}; wanted: {BATCH_WANTED}")
    return members, token


def _unwrapped(event: dict[str, object]) -> tuple[object, str | None]:
    for field in event:
        if field not in ("schedules", "token"):
            raise InvalidSchedule(f"{shown(field)} is not a field of a batch; wanted: {BATCH_WANTED}")
    return event["schedules"], request.batch_token(event)
