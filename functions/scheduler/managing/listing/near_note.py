"""The note in an answer about time within reach: schedules that are already in queues cannot be shown."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing.dependencies import ManageDependencies
from scheduler.model.schedule import is_near

NOTE = (
    "schedules without a name that are due within reach are in their queues already, and not shown here; queued is how "
    "many messages SQS counts there, approximately: in output those that are not due yet, in delivery all, with "
    "a name or without; queues of others are not counted; a named one that is late by more than a minute is shown by "
    "get, and by list with a prefix"
)

NOTE_FOR_APPLICATIONS = (
    "schedules without a name that are due within reach are in their queues already, and not shown here; a named one "
    "that is late by more than a minute is shown by get, and by list with a prefix"
)


def about(from_ms: int, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return the note and the queue counts if the range starts within reach. A count that SQS does not give is null.

    An application gets no counts, because the messages of all applications are in the same queues.
    """
    if not is_near(from_ms, deadline.now_ms(), dependencies.reach_ms):
        return {}
    if dependencies.application:
        return {"note": NOTE_FOR_APPLICATIONS}
    queued: dict[str, int | None] = {"output": None, "delivery": None}
    if not deadline.passed():
        with suppress(NotConfirmed):
            queued = retry_call(dependencies.queues.approximate_counts, deadline)
    return {"queued": queued, "note": NOTE}
