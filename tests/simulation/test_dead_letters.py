"""Dead letters on the virtual AWS: an operator redrives them, and the stack handles them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from punctual.testing import Stack

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
START = 1_893_456_000
ID = f"0-{START * 1000 + 60_000:015d}-0123456789abcdef"
JOB = {"id": ID, "due": START * 1000 + 60_000, "data": "x"}


@pytest.fixture
def stack():
    return Stack(start=START)


class Sqs:
    """The SQS client of the documented script. Like SQS, it shows the source queue of a dead letter."""

    def __init__(self, stack, sources):
        self._stack, self._sources = stack, sources
        self._dead = queue(stack, "DeadLetterQueueUrl")
        self._left = dict(self._dead.messages)

    def receive_message(self, QueueUrl, **wanted):  # noqa: N803
        assert (self._dead.url, ["All"], ["All"]) == (
            QueueUrl, wanted["AttributeNames"], wanted["MessageAttributeNames"],
        )  # fmt: skip
        found, self._left = list(self._left.values()), {}
        return {"Messages": [self._shown(each) for each in found]} if found else {}

    def _shown(self, message):
        source = {"DeadLetterQueueSourceArn": self._sources[message.id]} if message.id in self._sources else {}
        system = {"SentTimestamp": str(message.sent_us // 1000), **source}
        facts = {"MessageId": message.id, "ReceiptHandle": message.id, "Body": message.body, "Attributes": system}
        return {**facts, "MessageAttributes": message.attributes} if message.attributes else facts

    def send_message(self, **facts):
        return self._stack.client("sqs").send_message(**facts)

    def delete_message(self, QueueUrl, ReceiptHandle):  # noqa: N803
        assert self._dead.url == QueueUrl
        del self._dead.messages[ReceiptHandle]


def queue(stack, output):
    return stack._cloud.sqs.queues[stack.output(output)]


def post(stack, content, output="InputQueueUrl"):
    url = stack.output(output)
    return stack.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(content))["MessageId"]


def bury(stack, content, output, message_id=None):
    """Put a message into the dead-letter queue as SQS would, with its id and its source queue."""
    found = queue(stack, "DeadLetterQueueUrl").messages
    message = found.pop(post(stack, content, "DeadLetterQueueUrl"))
    message.id = message_id or message.id
    found[message.id] = message
    return {message.id: queue(stack, output).arn}


def move(stack, output):
    """Move all dead letters into a queue like a message move task, with new ids and times."""
    dead = queue(stack, "DeadLetterQueueUrl")
    for message in list(dead.messages.values()):
        attributes = {"MessageAttributes": message.attributes} if message.attributes else {}
        url = stack.output(output)
        stack.client("sqs").send_message(QueueUrl=url, MessageBody=message.body, **attributes)
        del dead.messages[message.id]


def run_documented(stack, sources, monkeypatch):
    (script,) = re.findall(r"```python\n(import json, os, boto3\n.*?)```", OPERATIONS, re.DOTALL)
    for name, output in (("DEAD_LETTER_QUEUE_URL", "DeadLetterQueueUrl"), ("INPUT_QUEUE_URL", "InputQueueUrl")):
        monkeypatch.setenv(name, stack.output(output))
    fake = SimpleNamespace(client=lambda service: Sqs(stack, sources))
    exec(script.replace(", boto3\n", "\n", 1), {"boto3": fake})


def out(stack):
    return [(released.data, released.due) for released in stack.released()]


def test_the_documented_script_returns_a_dead_letter_of_the_input_queue_unchanged(stack, monkeypatch):
    """Ids and delays are the first ones, and a later request for a name stays current."""
    content = [{"delay": 7200, "data": "delayed"}, {"timestamp": START + 7200, "data": "old", "name": "bill"}]
    sources = bury(stack, content, "InputQueueUrl")
    stack.advance(minutes=30)
    stack.schedule({"timestamp": START + 7300, "data": "new", "name": "bill"})
    post(stack, {"delay": 1}, "DeadLetterQueueUrl")  # A dead letter of another queue stays.
    run_documented(stack, sources, monkeypatch)
    stack.advance(hours=3)
    assert [("delayed", START + 7200), ("new", START + 7300)] == out(stack)
    assert 1 == len(queue(stack, "DeadLetterQueueUrl").messages)


def test_a_dead_letter_that_was_already_sent_has_the_same_id(stack, monkeypatch):
    """Its function crashed a hundred times after sending."""
    content = {"timestamp": START + 60, "data": "x"}
    message_id = post(stack, content)
    stack.advance(seconds=120)
    run_documented(stack, bury(stack, content, "InputQueueUrl", message_id), monkeypatch)
    stack.advance(seconds=120)
    ids = [released.id for released in stack.released()]
    assert (2, 1) == (len(ids), len(set(ids)))


def test_a_dead_letter_moved_by_sqs_is_a_new_message(stack):
    """The documentation says so. SQS gives it another id and another time."""
    bury(stack, {"delay": 7200, "data": "delayed"}, "InputQueueUrl")
    stack.advance(minutes=30)
    move(stack, "InputQueueUrl")
    stack.advance(hours=3)
    ((data, due),) = out(stack)
    assert ("delayed", True) == (data, START + 1800 + 7200 <= due < START + 1801 + 7200)


def test_a_dead_delivery_continues(stack):
    """It is delivered under its id, or reported as expired, because its body holds everything."""
    for job in (JOB, {**JOB, "data": "late", "expires_after": 600_000}):
        bury(stack, job, "DeliveryQueueUrl")
    stack.advance(minutes=30)
    move(stack, "DeliveryQueueUrl")
    stack.advance(minutes=1)
    assert [("x", ID)] == [(released.data, released.id) for released in stack.released()]
    assert ["expired"] == [failure["reason"] for failure in stack.failures()]


def test_a_dead_timer_of_a_finished_name_does_nothing(stack):
    """The timer of a pending name still delivers it."""
    for name in ("cancelled", "pending"):
        stack.schedule({"timestamp": START + 60, "data": name, "name": name})
    queue(stack, "DeadLetterQueueUrl").messages.update(queue(stack, "DeliveryQueueUrl").messages)
    queue(stack, "DeliveryQueueUrl").messages.clear()
    stack.manage("cancel", name="cancelled")
    stack.advance(minutes=30)
    move(stack, "DeliveryQueueUrl")
    stack.advance(minutes=1)
    assert ["pending"] == [released.data for released in stack.released()]


FUNCTION_FAILED = {
    "version": "1.0",
    "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
    "requestPayload": {"partition": "0"},
    "responsePayload": {"errorMessage": "x", "errorType": "NotConfirmed"},
}


@pytest.mark.parametrize("content", [JOB, {**JOB, "name": "bill"}, FUNCTION_FAILED, "some payload", {"order": 42}])
def test_a_message_moved_into_the_input_queue_by_mistake_is_refused(stack, content):
    """It schedules nothing, and the failure queue holds it unchanged."""
    post(stack, content, "DeadLetterQueueUrl")
    move(stack, "InputQueueUrl")
    stack.advance(hours=2)
    (failure,) = stack.failures()
    assert ("refused", content) == (failure["reason"], failure["schedule"])
    assert [] == stack.released()
