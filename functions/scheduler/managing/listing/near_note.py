"""What an answer about a time within reach says of the schedules that it cannot show: they are in queues already."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing.dependencies import ManageDependencies

NOTE = (
    "schedules without a name that are due within reach are in their queues already, and not shown here; queued is how "
    "many messages SQS counts there, approximately: in output those that are not due yet, in delivery all, with "
    "a name or without; queues of others are not counted; a named one that is late by more than a minute is shown by "
    "get, and by list with a prefix"
)


def about(from_ms: int, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """The note and the counts, if the time that is asked for begins within reach. None is a count that is not known."""
    if from_ms > deadline.now_ms() + office.reach_ms:
        return {}
    queued: dict[str, int | None] = {"output": None, "delivery": None}
    if not deadline.passed():
        with suppress(NotConfirmed):
            queued = retry_call(office.queues.approximate_counts, deadline)
    return {"queued": queued, "note": NOTE}
