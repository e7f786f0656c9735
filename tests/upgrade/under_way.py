"""A stack with every kind of schedule under way: fill it, record what it stores and queues, and restore that.

A recording holds what one version of Punctual left in its table and queues, and what that version then sent. To record
the version of some commit, run this file there (the file may come from a later commit):

    git worktree add ../older COMMIT && cd ../older
    PYTHONPATH=. python path/to/tests/upgrade/under_way.py > path/to/tests/upgrade/recordings/COMMIT.json

With a recording as its argument, it prints what the version of the commit sends of that recording.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from punctual.testing import Stack
from punctual.testing.calls import Delivery
from punctual.testing.services.queues import Message

START_S = 1_893_456_000
RECORDED_S = START_S + 1_900
"""Three ticks later, and between two ticks."""
LATER_S = START_S + 5 * 86_400
"""All schedules have been sent by then."""

TARGETS = {"sqs": "theirs", "sns": "topic", "lambda": "function", "events": "bus", "states": "machine"}
UP, DOWN = "https://up.example.com/orders", "https://down.example.com/orders"
PARAMETERS = {"PartitionCount": 2, "WebhookHosts": "up.example.com,down.example.com"}


class UnderWay:
    """A virtual stack, its schedules, and its observable results."""

    def __init__(self, start_s: float = START_S, seed: int = 7) -> None:
        self.stack = Stack(start=start_s, seed=seed, **PARAMETERS)
        self.arns = {kind: self.stack.add_target(name, kind) for kind, name in TARGETS.items()}
        self.stack.update(TargetArns=",".join([*self.arns.values(), _arn("closed"), _arn("reports")]))
        for name in ("closed", "reports"):
            self.stack._cloud.add_queue(name)
        self.host_answers(503)

    @property
    def cloud(self) -> Any:
        return self.stack._cloud

    def host_answers(self, status: int) -> None:
        self.stack.answer("down.example.com", status=status)

    # ------------------------------------------------------------------------------------------------------- filling

    def fill(self) -> None:
        """Schedule everything that may be under way during an update."""
        self._fill_far()
        self._fill_early()
        self.stack.advance_to(RECORDED_S - 40)
        self._fill_near()
        self.stack.advance_to(RECORDED_S)
        with self._input_queue_unread():
            topic = self.stack.output("InputTopicArn")
            self.stack.client("sns").publish(TopicArn=topic, Message=json.dumps({"delay": 7_000, "data": "by topic"}))
            member = {"delay": 30, "data": "by topic and name", "name": "by/topic"}
            self.stack.client("sns").publish(
                TopicArn=topic, Message=json.dumps([member, {"delay": 9_000, "data": "m"}])
            )
            self._send("InputQueueUrl", {"delay": 8_000, "data": "by queue", "token": None})
        self.host_answers(200)
        self.queue("closed").closed = None

    def _fill_far(self) -> None:
        far = {"timestamp": START_S + 90_000}
        self.stack.schedule({**far, "data": "far", "user": "u1"})
        self.stack.schedule({**far, "data": {"far": ["under", "a token"]}, "token": "t"})
        self.stack.schedule({**far, "data": "far and named", "name": "far/1"})
        self.stack.schedule({**far, "data": "replaced", "name": "far/2"})
        self.stack.schedule({"delay": 95_000, "data": "far, replaced by this", "name": "far/2"})
        self.stack.schedule({**far, "data": "cancelled", "name": "far/cancelled"})
        self.stack.manage("cancel", name="far/cancelled")
        self.stack.schedule({**far, "data": "named webhook", "name": "far/hook", "target": {"url": UP}})
        self.stack.schedule({**far, "data": "webhook", "target": {"url": UP, "headers": {"x-a": "1"}, "method": "PUT"}})
        for kind, arn in self.arns.items():
            self.stack.schedule({**far, "data": f"for {kind}", "target": arn})
            self.stack.schedule({**far, "data": f"for {kind} by name", "target": arn, "name": f"far/{kind}"})
        terms = {"retry": {"attempts": 3, "max_age_s": 600}, "failure_target": _arn("reports")}
        self.stack.schedule({**far, "data": "with terms", "target": {"url": UP}, **terms, "expires_after": 300})
        members = [{"timestamp": START_S + 40_000 + number * 7, "data": f"bundled {number}"} for number in range(120)]
        self.stack.schedule(members)
        for_theirs = [
            {**member, "data": f"{member['data']} for theirs", "target": self.arns["sqs"]} for member in members
        ]
        self.stack.schedule({"token": "batch", "schedules": for_theirs})
        self.stack.client("dynamodb").put_item(
            TableName=self.stack.output("TableName"),
            Item={
                "partition": {"S": "0"},
                "sort": {"S": f"{(START_S + 1_000) * 1000:015d}#{'0' * 16}"},
                "odd": {"S": "x"},
            },
        )

    def _fill_early(self) -> None:
        """Make finished schedules, and deliveries that are retried."""
        once = {"retry": {"attempts": 1}, "target": {"url": DOWN}}
        self.stack.schedule({"delay": 5, "data": "failed", **once})
        self.stack.schedule({"delay": 5, "data": "failed by name", "name": "early/failed", **once})
        self.stack.schedule({"delay": 5, "data": "delivered by name", "name": "early/delivered"})
        many = {"retry": {"attempts": 20}, "target": {"url": DOWN}}
        self.stack.schedule({"delay": RECORDED_S - START_S - 50, "data": "tried again", **many})
        self.stack.schedule({"delay": RECORDED_S - START_S - 50, "data": "named, again", "name": "early/again", **many})

    def _fill_near(self) -> None:
        near = {"delay": 600}
        self.stack.schedule({**near, "data": "near"})
        self.stack.schedule({**near, "data": "near and named", "name": "near/1"})
        self.stack.schedule({**near, "data": "near, replaced", "name": "near/2"})
        self.stack.schedule({"delay": 800, "data": "near, replaced by this", "name": "near/2"})
        self.stack.schedule({**near, "data": "near, moved far", "name": "near/3"})
        self.stack.manage("move", name="near/3", timestamp=START_S + 100_000)
        self.stack.schedule({**near, "data": "near, cancelled", "name": "near/4"})
        self.stack.manage("cancel", name="near/4")
        for kind, arn in self.arns.items():
            self.stack.schedule({**near, "data": f"near for {kind}", "target": arn})
        self.stack.schedule({**near, "data": "near webhook", "target": {"url": UP}})
        self.stack.schedule({**near, "data": "near webhook by name", "target": {"url": UP}, "name": "near/hook"})
        self.queue("closed").closed = _not_there()
        waiting = {"delay": 10, "data": "waits for its queue", "target": _arn("closed")}
        self._send("InputQueueUrl", [waiting, {"delay": 70_000, "data": "its neighbour"}])

    def _send(self, output: str, request: Any) -> None:
        if isinstance(request, dict):
            request = {field: value for field, value in request.items() if value is not None}
        self.stack.client("sqs").send_message(QueueUrl=self.stack.output(output), MessageBody=json.dumps(request))

    @contextmanager
    def _input_queue_unread(self) -> Iterator[None]:
        """Keep the input queue unread, as if the function were throttled."""
        queue = self.queue_by_url(self.stack.output("InputQueueUrl"))
        arrivals, queue.arrivals = queue.arrivals, []
        yield
        queue.arrivals = arrivals

    # --------------------------------------------------------------------------------------------------------- seeing

    def queue(self, name: str) -> Any:
        return next(queue for url, queue in self.cloud.sqs.queues.items() if url.endswith(f"/{name}"))

    def queue_by_url(self, url: str) -> Any:
        return self.cloud.sqs.queues[url]

    def outcome(self) -> dict[str, Any]:
        """Return what was sent, to which target, and the final states."""
        queues = {name: self._bodies(name) for name in ("theirs", "closed", "reports")}
        queues["output"] = sorted(message.body for message in self._output().messages.values())
        names = [
            *(
                "far/1",
                "far/2",
                "far/cancelled",
                "far/hook",
                "early/failed",
                "early/delivered",
                "early/again",
                "by/topic",
            ),
            *(f"near/{name}" for name in (1, 2, 3, 4, "hook")),
            *(f"far/{kind}" for kind in TARGETS),
        ]
        states = {name: self.stack.manage("get", name=name)["state"] for name in names}
        failures = self.stack.manage("failures", limit=1_000)["failures"]
        reasons = sorted(f"{each['reason']} {each['name'] or ''}".strip() for each in failures)
        dead_letters = len(self.queue_by_url(self.stack.output("DeadLetterQueueUrl")).messages)
        return {
            "queues": queues,
            "delivered": sorted([each.target, each.data] for each in self.stack.delivered()),
            "states": states,
            "failures": reasons,
            "dead letters": dead_letters,
        }

    def _bodies(self, name: str) -> list[str]:
        return sorted(message.body for message in self.queue(name).messages.values())

    def _output(self) -> Any:
        return self.queue_by_url(self.stack.output("OutputQueueUrl"))

    # ------------------------------------------------------------------------------------------------ stored and queued

    def recorded(self) -> dict[str, Any]:
        """Return the content of the table and the queues. Wait until no function runs."""
        (table,) = self.cloud.dynamodb.tables.values()
        queues = {url.rpartition("/")[2]: queue for url, queue in self.cloud.sqs.queues.items()}
        return {
            "moment": self.cloud.timeline.now_us,
            "items": [item for rows in table.items.values() for item in rows.values()],
            "messages": {
                name: [_message_facts(message) for message in queue.messages.values()]
                for name, queue in queues.items()
                if queue.messages
            },
            "delivered": [[each.target, each.data] for each in self.stack.delivered()],
        }

    def lay_down(self, recording: dict[str, Any]) -> None:
        """Restore what an older version stored and queued, as an update leaves it."""
        (table,) = self.cloud.dynamodb.tables.values()
        now_us = self.cloud.timeline.now_us
        for item in recording["items"]:
            table.store(table.key(item), item, now_us)
        for name, messages in recording["messages"].items():
            queue = self.queue(name)
            for facts in messages:
                message = Message(**facts)
                queue.messages[message.id] = message
            queue.quiet_until_us = 0
            for arrived in queue.arrivals:
                for message in queue.messages.values():
                    self.cloud.timeline.at(max(now_us, message.visible_us), arrived)
        self.stack._watch.deliveries += [Delivery(target, data, now_us) for target, data in recording["delivered"]]


def replayed(recording: dict[str, Any]) -> UnderWay:
    """Return a stack with the table and the queues of the recording, as an update leaves them."""
    under_way = UnderWay(start_s=recording["moment"] / 1e6)
    under_way.lay_down(recording)
    under_way.host_answers(200)
    return under_way


def record() -> dict[str, Any]:
    under_way = UnderWay()
    under_way.fill()
    recording = under_way.recorded()
    under_way.stack.advance_to(LATER_S)
    return {**recording, "outcome": under_way.outcome()}


def written(recording: dict[str, Any]) -> str:
    return json.dumps(recording, default=lambda value: {"bytes": base64.b64encode(value).decode()}, indent=1)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        path.read_text(encoding="utf-8"),
        object_hook=lambda facts: base64.b64decode(facts["bytes"]) if set(facts) == {"bytes"} else facts,
    )
    return found


def _arn(name: str) -> str:
    return f"arn:aws:sqs:eu-central-1:123456789012:{name}"


def _not_there() -> Exception:
    code = "AWS.SimpleQueueService.NonExistentQueue"
    return ClientError({"Error": {"Code": code, "Message": "The specified queue does not exist."}}, "SendMessageBatch")


def _message_facts(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "body": message.body,
        "attributes": message.attributes,
        "sent_us": message.sent_us,
        "visible_us": message.visible_us,
        "receives": message.receives,
        "first_received_us": message.first_received_us,
    }


def main(arguments: list[str]) -> None:
    if not arguments:
        print(written(record()))
        return
    under_way = replayed(read(Path(arguments[0])))
    under_way.stack.advance_to(LATER_S)
    print(json.dumps(under_way.outcome()))


if __name__ == "__main__":
    main(sys.argv[1:])
