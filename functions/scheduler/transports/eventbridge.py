"""EventBridge: an event on a bus. Of a bus that does not exist nobody hears: PutEvents answers as if all were well
(https://github.com/aws/aws-sdk/issues/186)."""

from __future__ import annotations

from typing import Any

from scheduler.aws.calls import delivered
from scheduler.errors import Undelivered
from scheduler.model.payloads import detail
from scheduler.model.schedule import Schedule
from scheduler.model.targets import arn_of

SOURCE, DETAIL_TYPE = "punctual", "Scheduled"

PERMANENT = frozenset(
    {
        "AccessDeniedException",
        "InvalidAccountIdException",
        "InvalidArgument",
        "MalformedDetail",
        "RedactionFailure",
        "NotAuthorizedForSourceException",
        "NotAuthorizedForDetailTypeException",
    }
)
"""The "non-retryable errors" of an entry, all that there are:
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html"""


class EventBridgeTransport:
    def __init__(self, client: Any) -> None:
        self._client = client

    def deliver(self, schedule: Schedule) -> None:
        """The call succeeds even if its one entry has failed."""
        entry = {
            "EventBusName": arn_of(schedule.target or ""),
            "Source": SOURCE,
            "DetailType": DETAIL_TYPE,
            "Detail": detail(schedule),
        }
        answer = delivered(self._client.put_events, Entries=[entry])
        told = answer["Entries"][0] if answer.get("Entries") else {}
        if answer.get("FailedEntryCount") or "EventId" not in told:
            error = str(told.get("ErrorCode", "NoAnswer"))
            raise Undelivered(error, permanent=error in PERMANENT)
