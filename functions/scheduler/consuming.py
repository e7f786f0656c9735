"""Hand over what has become due, one by one, so that one that fails does not take its batch along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scheduler import log


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule as it comes out. `id` is the same however often it comes; `due_s` is in seconds since 1970."""

    id: str
    due_s: float
    data: str
    user: str | None
    name: str | None = None


def consume(
    records: Iterable[Mapping[str, Any]], handle: Callable[[Due], None], clock: Callable[[], float]
) -> dict[str, Any]:
    """Name the messages that failed: SQS brings these again, and deletes the others."""
    failed = [record["messageId"] for record in records if not _consumed(record, handle, clock)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _consumed(record: Mapping[str, Any], handle: Callable[[Due], None], clock: Callable[[], float]) -> bool:
    try:
        due = _read(record)
        lateness_ms = round((clock() - due.due_s) * 1000)
        handle(due)
    except Exception as failure:  # noqa: BLE001 - Whatever the owner's code raises is about this one message.
        log.outcome("failed", message=record["messageId"], error=type(failure).__name__, where=log.where(failure))
        return False
    log.outcome("consumed", id=due.id, due=due.due_s, lateness_ms=lateness_ms)
    return True


def _read(record: Mapping[str, Any]) -> Due:
    attributes = record["messageAttributes"]
    return Due(
        id=attributes["id"]["stringValue"],
        due_s=float(attributes["due"]["stringValue"]),
        data=record["body"],
        user=attributes["user"]["stringValue"] if "user" in attributes else None,
        name=attributes["name"]["stringValue"] if "name" in attributes else None,
    )
