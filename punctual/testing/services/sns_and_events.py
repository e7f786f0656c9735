"""The virtual SNS and EventBridge: published messages, which are kept, and the queues that subscribe to a topic.

Source: "Fanout to Amazon SQS queues" and "Amazon SNS message delivery retries" in the SNS guide. A subscriber may get a
message twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from punctual.testing.calls import Call, Delivery, Service, Watcher
from punctual.testing.services.aws_errors import refusal
from punctual.testing.services.queues import Queue
from punctual.testing.services.sqs import Sqs
from punctual.testing.timeline import US, Timeline

PUBLISHED_BYTES_MAX = 256 * 1024
EVENTS_MAX = 10


class Sns(Service):
    name = "sns"

    def __init__(self, timeline: Timeline, watcher: Watcher, sqs: Sqs) -> None:
        super().__init__(timeline, watcher)
        self._sqs = sqs
        self.topics: set[str] = set()
        self.queues: dict[str, list[Queue]] = {}
        """The queues that subscribe to a topic, by its ARN."""
        self.copies: Callable[[], int] = lambda: 1
        """Return how many times a queue gets a message."""
        self.published: list[Delivery] = []
        self.operations = {"publish": self._publish}

    def _publish(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        if request.get("TopicArn") not in self.topics:
            raise refusal("NotFound", "Topic does not exist", 404)
        if not request["Message"]:
            raise refusal("InvalidParameter", "Invalid parameter: Empty message")
        if len(request["Message"].encode()) > PUBLISHED_BYTES_MAX:
            raise refusal("InvalidParameter", "Invalid parameter: Message too long")
        attributes = request.get("MessageAttributes", {})
        published = Delivery(request["TopicArn"], request["Message"], self.timeline.now_us, attributes)
        self.published.append(published)
        self.watcher.received(call, published)
        message_id = f"published-{len(self.published):08d}"
        for queue in self.queues.get(published.target, []):
            for _ in range(self.copies()):
                self._sqs.put(queue, _envelope(message_id, published), {})
        return {"MessageId": message_id}


def _envelope(message_id: str, published: Delivery) -> str:
    """Return a notification as JSON, as without raw delivery. Its time has whole milliseconds."""
    moment = datetime.fromtimestamp(published.at_us // US, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": message_id,
            "TopicArn": published.target,
            "Message": published.body,
            "Timestamp": f"{moment}.{published.at_us // 1000 % 1000:03d}Z",
        }
    )


class Events(Service):
    name = "events"

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        super().__init__(timeline, watcher)
        self.buses: set[str] = {"default"}
        self.published: list[Delivery] = []
        self.operations = {"put_events": self._put_events}

    def _put_events(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        entries = request["Entries"]
        if len(entries) > EVENTS_MAX:
            raise refusal("ValidationException", "Member must have length less than or equal to 10")
        spoilt = set(call.fault.spoilt(len(entries))) if call.fault.spoilt else set()
        results = []
        for index, entry in enumerate(entries):
            bus = entry.get("EventBusName", "default")
            if index in spoilt:
                results.append({"ErrorCode": "InternalFailure", "ErrorMessage": "An internal failure"})
            elif bus.rpartition("/")[2] not in self.buses:
                results.append({"ErrorCode": "ResourceNotFoundException", "ErrorMessage": "Event bus does not exist"})
            else:
                published = Delivery(bus, entry.get("Detail", "{}"), self.timeline.now_us, dict(entry))
                self.published.append(published)
                self.watcher.received(call, published)
                results.append({"EventId": f"event-{len(self.published):08d}"})
        return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}
