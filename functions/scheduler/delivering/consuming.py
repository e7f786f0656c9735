"""Pass due schedules to the owner's code one at a time, so that one failure does not fail the whole batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from scheduler import log
from scheduler.model import sqs_records
from scheduler.model.sqs_records import Arrived
from scheduler.value_class import value_class

_DUE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,3})?")
"""Seconds since 1970, in the format that the feed and the schedule function write."""


@value_class
class Due:
    """A schedule that has become due. Every repeat has the same `id`. `due_s` is in seconds since 1970."""

    id: str
    due_s: float
    data: str
    user: str | None
    name: str | None = None


def consume(records: Iterable[object], handle: Callable[[Due], None], clock: Callable[[], float]) -> dict[str, Any]:
    """Handle each message, and return Lambda's partial batch response with the messages that failed.

    SQS delivers those again. Lambda deletes the others.
    """
    arrived = [sqs_records.read(record) for record in records]
    failed = [each.message_id for each in arrived if not _consumed(each, handle, clock)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _consumed(arrived: Arrived, handle: Callable[[Due], None], clock: Callable[[], float]) -> bool:
    due = _read(arrived)
    if due is None:
        log.outcome("unreadable", message=arrived.message_id, error=arrived.fault or "it is no schedule")
        return False
    lateness_ms = round((clock() - due.due_s) * 1000)
    try:
        handle(due)
    except Exception as failure:  # noqa: BLE001 - An error of the owner's code must fail only this message.
        log.outcome("failed", message=arrived.message_id, error=type(failure).__name__, where=log.where(failure))
        return False
    log.outcome("consumed", id=due.id, due=due.due_s, lateness_ms=lateness_ms)
    return True


def _read(arrived: Arrived) -> Due | None:
    """Return the schedule, or None if another sender wrote the message. The queue's redrive policy handles that."""
    attributes = arrived.attributes
    if arrived.fault is not None or "id" not in attributes or not _DUE.fullmatch(attributes.get("due", "")):
        return None
    return Due(attributes["id"], float(attributes["due"]), arrived.body, attributes.get("user"), attributes.get("name"))
