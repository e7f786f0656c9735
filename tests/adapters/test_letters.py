"""Letters as SNS and SQS hand them over, and reports as SQS takes them."""

import json

import boto3
import pytest

from fakes import NOON_MS
from scheduler import failures, letters
from scheduler.limits import SQS_MESSAGE_BYTES_MAX


@pytest.mark.parametrize("raw", ["false", "true"])
def test_what_is_published_to_the_topic_arrives_as_one_letter(cloud, raw):
    """In SNS's envelope with its id and time; or without one, for a topic that is subscribed to like that."""
    sns, message = boto3.client("sns"), '{"date": "2030-01-31", "payload": "Grüße \\"🎉\\""}'
    topic = sns.create_topic(Name="input")["TopicArn"]
    arn = cloud.sqs.get_queue_attributes(QueueUrl=cloud.output, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": raw})
    published = sns.publish(TopicArn=topic, Message=message)["MessageId"]

    (received,) = cloud.sqs.receive_message(QueueUrl=cloud.output, AttributeNames=["All"])["Messages"]
    record = {"messageId": received["MessageId"], "body": received["Body"], "attributes": received["Attributes"]}
    letter = letters.opened(record)
    assert [json.loads(message)] == letter.requests
    assert (published if raw == "false" else received["MessageId"]) == letter.token_root
    assert abs(letter.sent_ms - int(received["Attributes"]["SentTimestamp"])) < 1000


@pytest.mark.parametrize("character", ["x", '"', "🎉", "\uffff", "\ud800"])
def test_the_longest_report_is_one_that_sqs_takes(cloud, character):
    """Cut to the byte."""
    report = failures.refused({"data": character * SQS_MESSAGE_BYTES_MAX}, "too long", NOON_MS)
    assert [report] == cloud.queues.report([report]).done
    (received,) = cloud.received(cloud.failure)
    assert json.loads(received["Body"])["schedule_bytes"] > SQS_MESSAGE_BYTES_MAX
