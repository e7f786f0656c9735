"""Recognise the format of an event: one schedule, a batch, or messages of the input queue.

A batch is a list of schedules, or an object that holds such a list and a token.
"""

from __future__ import annotations

from typing import TypeGuard

from scheduler.accepting import request
from scheduler.errors import InvalidSchedule
from scheduler.limits import BATCH_SCHEDULES_MAX
from scheduler.text import shown

BATCH_WANTED = f'a list of 1 to {BATCH_SCHEDULES_MAX} schedules, or {{"schedules": [...], "token": "..."}}'


def is_batch(event: object) -> TypeGuard[list[object] | dict[str, object]]:
    """Return whether the content is a batch. Any other content is one schedule."""
    return isinstance(event, list) or (isinstance(event, dict) and "schedules" in event)


def is_from_queue(event: object) -> bool:
    """Return whether SQS invoked the function, and not a caller directly."""
    records = event.get("Records") if isinstance(event, dict) else None
    first = records[0] if isinstance(records, list) and records else None
    return isinstance(first, dict) and first.get("eventSource") == "aws:sqs"


def unwrapped(event: list[object] | dict[str, object]) -> tuple[list[object], str | None]:
    """Return the members and the token of a batch. Raise InvalidSchedule if the whole batch is refused."""
    members, token = _unwrapped(event) if isinstance(event, dict) else (event, None)
    if not isinstance(members, list) or not 1 <= len(members) <= BATCH_SCHEDULES_MAX:
        raise InvalidSchedule(f"schedules is {shown(members)}; wanted: {BATCH_WANTED}")
    return members, token


def _unwrapped(event: dict[str, object]) -> tuple[object, str | None]:
    for field in event:
        if field not in ("schedules", "token"):
            raise InvalidSchedule(f"{shown(field)} is not a field of a batch; wanted: {BATCH_WANTED}")
    return event["schedules"], request.batch_token(event)
