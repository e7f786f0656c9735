"""Read the schedules of EventBridge Scheduler, and disable those that were taken over."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from punctual.cli.run import Run
from punctual.client.calling import aws_errors

SERVICE = "scheduler"
PAGE_MAX = 100
READERS = 8
MISSING = "ResourceNotFoundException"
KEPT_FIELDS = (
    "ActionAfterCompletion",
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "GroupName",
    "KmsKeyArn",
    "Name",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "Target",
)
"""Fields that an update repeats, because it replaces the whole schedule."""

Original = dict[str, Any]
"""A schedule as GetSchedule returns it."""


def each_original(run: Run, group: str | None, prefix: str | None) -> Iterator[Original]:
    """Yield every schedule of the group, or of all groups, whose name begins with the prefix."""
    filters = {"GroupName": group, "NamePrefix": prefix}
    request: dict[str, Any] = {name: value for name, value in filters.items() if value} | {"MaxResults": PAGE_MAX}
    with ThreadPoolExecutor(READERS, "read") as readers:
        while True:
            with aws_errors.translated("scheduler:ListSchedules"):
                page = run.client(SERVICE).list_schedules(**request)
            found = readers.map(lambda listed: _read(run, listed["GroupName"], listed["Name"]), page["Schedules"])
            yield from (original for original in found if original is not None)
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]


def disable(run: Run, original: Original) -> bool:
    """Disable a schedule. Return False, and leave it, if it was deleted or changed since it was read."""
    current = _read(run, original["GroupName"], original["Name"])
    if current is None or any(current.get(field) != original.get(field) for field in KEPT_FIELDS):
        return False
    fields = {field: current[field] for field in KEPT_FIELDS if current.get(field) is not None}
    with aws_errors.translated("scheduler:UpdateSchedule"):
        run.client(SERVICE).update_schedule(**fields, State="DISABLED")
    return True


def _read(run: Run, group: str, name: str) -> Original | None:
    """Return a schedule, or None if it was deleted meanwhile."""
    try:
        with aws_errors.translated("scheduler:GetSchedule"):
            found: Original = run.client(SERVICE).get_schedule(GroupName=group, Name=name)
    except aws_errors.Refused as refusal:
        if MISSING in str(refusal):
            return None
        raise
    return found
