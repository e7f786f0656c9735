"""Input messages from SNS and SQS, and reports to SQS."""

import json

import boto3
import pytest

from aws_faults import refuse_call
from fakes import NOON_MS
from scheduler.accepting.from_queue import input_message
from scheduler.accepting.from_queue.input_message import Remainder
from scheduler.aws.input_queue import InputQueue
from scheduler.errors import NotConfirmed
from scheduler.limits import SQS_MESSAGE_BYTES_MAX
from scheduler.model import failure_report, sqs_records


@pytest.mark.parametrize("raw", ["false", "true"])
def test_a_message_to_the_topic_arrives_as_one_input_message(cloud, raw):
    """It has SNS's envelope with id and time, or none with raw message delivery."""
    sns, message = boto3.client("sns"), '{"date": "2030-01-31", "payload": "Grüße \\"🎉\\""}'
    topic = sns.create_topic(Name="input")["TopicArn"]
    arn = cloud.sqs.get_queue_attributes(QueueUrl=cloud.output, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": raw})
    published = sns.publish(TopicArn=topic, Message=message)["MessageId"]

    (received,) = cloud.sqs.receive_message(QueueUrl=cloud.output, AttributeNames=["All"])["Messages"]
    record = {"messageId": received["MessageId"], "body": received["Body"], "attributes": received["Attributes"]}
    opened = input_message.opened(sqs_records.read(record))
    assert [json.loads(message)] == opened.requests
    assert (published if raw == "false" else received["MessageId"]) == opened.token_root
    assert abs(opened.sent_ms - int(received["Attributes"]["SentTimestamp"])) < 1000


def record_of(message):
    attributes = {
        name: {"dataType": each["DataType"], "stringValue": each["StringValue"]}
        for name, each in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "body": message["Body"],
        "attributes": {**message["Attributes"], "ApproximateReceiveCount": "1"},
        "messageAttributes": attributes,
    }


def received(cloud):
    answer = cloud.sqs.receive_message(QueueUrl=cloud.output, AttributeNames=["All"], MessageAttributeNames=["All"])
    return answer.get("Messages", [])


def test_a_message_put_back_keeps_its_content(cloud):
    """It is equal byte for byte. It has a new id and time of SQS, and keeps the first ones as well."""
    text = '[{"delay": 5,  "data": "Grüße \\u0007 🎉"}, {"delay": 1e1, "data": "x"}]'
    cloud.sqs.send_message(QueueUrl=cloud.output, MessageBody=text)
    (first,) = received(cloud)
    message = input_message.opened(sqs_records.read(record_of(first)))
    assert InputQueue(cloud.sqs, cloud.output).requeue(message.remainder([1]), 0)
    (second,) = received(cloud)
    part = input_message.opened(sqs_records.read(record_of(second)))
    assert first["MessageId"] != second["MessageId"]
    assert (first["Body"], [1]) == (second["Body"], part.indexes)
    assert (message.token_root, message.sent_ms, message.requests) == (part.token_root, part.sent_ms, part.requests)


def test_a_message_put_back_comes_after_a_pause(cloud):
    """AWS has just been tried several times."""
    assert InputQueue(cloud.sqs, cloud.output).requeue(Remainder("[]", "{}"), 60)
    assert [] == received(cloud)


def test_sqs_accepts_the_longest_message_to_put_back(cloud):
    """Its size is counted like SQS counts. A longer message is refused with an error."""
    postbox, again = InputQueue(cloud.sqs, cloud.output), '{"places":[0]}'
    body_bytes = SQS_MESSAGE_BYTES_MAX - Remainder("", again).size_bytes
    assert postbox.requeue(Remainder("x" * body_bytes, again), 0)
    assert not postbox.requeue(Remainder("x" * SQS_MESSAGE_BYTES_MAX + "x", again), 0)


@pytest.mark.parametrize("code", ["ServiceUnavailable", "ThrottlingException"])
def test_a_message_put_back_without_an_answer_may_be_stored(cloud, code):
    """The result is unknown, which differs from a failure."""
    cloud.sqs.meta.events.register("before-call.sqs.SendMessage", refuse_call(code, 503))
    with pytest.raises(NotConfirmed):
        InputQueue(cloud.sqs, cloud.output).requeue(Remainder("[]", "{}"), 0)


@pytest.mark.parametrize("character", ["x", '"', "🎉", "\uffff", "\ud800"])
def test_sqs_accepts_the_longest_report(cloud, character):
    """It is truncated to the exact byte."""
    report = failure_report.refused({"data": character * SQS_MESSAGE_BYTES_MAX}, "too long", NOON_MS)
    assert [report] == cloud.queues.report([report]).confirmed
    (received,) = cloud.received(cloud.failure)
    assert json.loads(received["Body"])["schedule_bytes"] > SQS_MESSAGE_BYTES_MAX
