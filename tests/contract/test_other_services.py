"""Our few assumptions about Lambda, SNS and EventBridge, on all stand-ins that have them."""

from __future__ import annotations

import json
import re

from deviations import refused


def test_a_missing_function_is_an_error(aws):
    invoke = aws.client("lambda").invoke
    refused("ResourceNotFoundException", invoke, FunctionName="nobody", InvocationType="Event", Payload=b"{}")


def test_a_missing_topic_is_an_error(aws):
    arn = "arn:aws:sns:us-east-1:123456789012:nowhere"
    error = refused("NotFound", aws.client("sns").publish, TopicArn=arn, Message="x")
    assert 404 == error.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_topic_sends_published_messages_to_a_queue_in_an_envelope(aws):
    """Every delivery has the same id, and the same date to the millisecond."""
    queue = aws.create_queue()
    topic = aws.create_topic(queue)
    message_id = aws.client("sns").publish(TopicArn=topic, Message='{"delay": 1}')["MessageId"]
    (message,) = aws.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2)["Messages"]
    envelope = json.loads(message["Body"])
    found = {part: envelope[part] for part in ("Type", "MessageId", "TopicArn", "Message")}
    wanted = {"Type": "Notification", "MessageId": message_id, "TopicArn": topic, "Message": '{"delay": 1}'}
    assert wanted == found
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", envelope["Timestamp"])


def test_events_are_accepted_one_by_one(aws):
    """The answer counts the failed events and has one entry per event."""
    events = [{"Source": "punctual", "DetailType": "Scheduled", "Detail": "{}"}] * 2
    answer = aws.client("events").put_events(Entries=events)
    assert 0 == answer["FailedEntryCount"]
    assert [True, True] == ["EventId" in entry for entry in answer["Entries"]]
