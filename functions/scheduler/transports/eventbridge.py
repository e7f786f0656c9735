"""Put an event on an EventBridge bus.

PutEvents also succeeds for a bus that does not exist, so this transport cannot report a missing bus:
https://github.com/aws/aws-sdk/issues/186
"""

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
"""All "non-retryable errors" of an entry:
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html"""


class EventBridgeTransport:
    def __init__(self, client: Any, application: str = "") -> None:
        self._client, self._application = client, application

    def deliver(self, schedule: Schedule) -> None:
        """Put one event. Check its entry in the answer, because the call succeeds even if the entry has failed."""
        entry = {
            "EventBusName": arn_of(schedule.target or ""),
            "Source": SOURCE,
            "DetailType": DETAIL_TYPE,
            "Detail": detail(schedule, self._application),
        }
        answer = delivered(self._client.put_events, Entries=[entry])
        entry_answer = answer["Entries"][0] if answer.get("Entries") else {}
        if answer.get("FailedEntryCount") or "EventId" not in entry_answer:
            error = str(entry_answer.get("ErrorCode", "NoAnswer"))
            raise Undelivered(error, permanent=error in PERMANENT)
