"""Letters on the virtual AWS: the input queue, the schedule function that reads it, and what comes of both."""

from __future__ import annotations

import json

import pytest

from punctual.testing import Stack

START = 1_893_456_000


@pytest.fixture
def stack():
    return Stack(start=START)


@pytest.fixture
def post(stack):
    """Something into the input queue, as who may send there."""

    def send(content, **fields):
        url = stack.output("InputQueueUrl")
        stack.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(content), **fields)

    return send


@pytest.fixture
def received(stack):
    """The log's lines about letters."""
    return lambda: [line for line in stack.log() if line["outcome"] == "received"]


def out(stack):
    return [released.data for released in stack.released()]


def test_a_letter_dated_in_the_future_makes_no_name_deaf(stack, post):
    """What comes after it stands, whatever its envelope says."""
    forged = {"timestamp": START + 60, "data": "forged", "name": "bill"}
    envelope = {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Timestamp": "9990-01-01T00:00:00Z"}
    post({**envelope, "Message": json.dumps(forged)})
    stack.advance(seconds=120)
    post({"timestamp": START + 180, "data": "honest", "name": "bill"})
    stack.advance(seconds=120)
    assert ["forged", "honest"] == out(stack)


def test_a_letter_that_is_older_than_what_stands_is_told_as_that(stack, post, received):
    """It changes nothing, and the log says so; nothing else is wrong with it."""
    stack.schedule({"timestamp": START + 60, "data": "stands", "name": "bill"})
    old = {"timestamp": START + 60, "data": "older", "name": "bill"}
    envelope = {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Timestamp": "2029-12-31T23:59:59Z"}
    post({**envelope, "Message": json.dumps(old)})
    stack.advance(seconds=120)
    assert (["stands"], []) == (out(stack), stack.failures())
    assert [(0, 1)] == [(line["accepted"], line["older"]) for line in received()]
