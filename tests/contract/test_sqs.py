"""Our assumptions about SQS, checked against the virtual AWS, moto and the local AWS.

Sources: the API reference of Amazon SQS, and "Amazon SQS message quotas" in its developer guide.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deviations import differs, refused


def entry(number: int, body: str = "x", **more: Any) -> dict[str, Any]:
    return {"Id": str(number), "MessageBody": body, **more}


def send(aws, url: str, *entries: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = aws.sqs.send_message_batch(QueueUrl=url, Entries=list(entries))
    return answer


def receive(aws, url: str, **more: Any) -> list[dict[str, Any]]:
    answer = aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], **more)
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    return sorted(message["Body"] for message in messages)


def arn_of(aws, url: str) -> str:
    answer = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(answer["Attributes"]["QueueArn"])


def test_a_batch_arrives_with_its_attributes(aws):
    """Bodies and attributes are unchanged."""
    url = aws.create_queue()
    attributes = {
        "id": {"DataType": "String", "StringValue": "3-x"},
        "due": {"DataType": "Number", "StringValue": "1564378340.123"},
    }
    answer = send(aws, url, entry(0, "grüße"), entry(1, "b", MessageAttributes=attributes))
    assert {"0", "1"} == {each["Id"] for each in answer["Successful"]}
    assert not answer.get("Failed")
    received = {message["Body"]: message.get("MessageAttributes", {}) for message in receive(aws, url)}
    assert {"grüße": {}, "b": attributes} == received


@pytest.mark.slow
def test_a_delayed_message_is_not_visible_yet(aws):
    url = aws.create_queue()
    send(aws, url, entry(0, "soon", DelaySeconds=1), entry(1, "now"))
    assert ["now"] == bodies(receive(aws, url))
    aws.wait(1.3)
    assert ["soon"] == bodies(receive(aws, url))


@differs(local='it takes it; API reference, SendMessageBatchRequestEntry: "Valid values: 0 to 900"')
def test_a_delay_over_900_s_fails_alone(aws):
    """It is under Failed as the sender's fault, and its neighbour is sent."""
    url = aws.create_queue()
    answer = send(aws, url, entry(0, DelaySeconds=900), entry(1, DelaySeconds=901))
    assert ["0"] == [each["Id"] for each in answer["Successful"]]
    assert [("1", "InvalidParameterValue", True)] == [
        (each["Id"], each["Code"].rpartition(".")[2], each["SenderFault"]) for each in answer["Failed"]
    ]


def test_a_batch_has_at_most_ten(aws):
    url = aws.create_queue()
    entries = [entry(number) for number in range(11)]
    refused("TooManyEntriesInBatchRequest", aws.sqs.send_message_batch, QueueUrl=url, Entries=entries)


def test_a_batch_is_not_empty(aws):
    refused("EmptyBatchRequest", aws.sqs.send_message_batch, QueueUrl=aws.create_queue(), Entries=[])


def test_ids_in_a_batch_differ(aws):
    url = aws.create_queue()
    refused("BatchEntryIdsNotDistinct", aws.sqs.send_message_batch, QueueUrl=url, Entries=[entry(0), entry(0)])


def test_a_batch_is_at_most_a_mebibyte(aws):
    """The limit is for all of its messages together. A single message may have the same size."""
    url = aws.create_queue()
    half = "x" * 524_288
    assert send(aws, url, entry(0, half), entry(1, half))["Successful"]
    entries = [entry(0, half), entry(1, half), entry(2)]
    refused("BatchRequestTooLong", aws.sqs.send_message_batch, QueueUrl=url, Entries=entries)


@differs(moto="it takes some of them; API reference, SendMessage, InvalidMessageContents")
def test_characters_outside_xml_are_refused(aws):
    """Only #x9, #xA, #xD, #x20 to #xD7FF, #xE000 to #xFFFD, and #x10000 to #x10FFFF are accepted."""
    url = aws.create_queue()
    refused("InvalidMessageContents", aws.sqs.send_message, QueueUrl=url, MessageBody="bell \x07")
    aws.sqs.send_message(QueueUrl=url, MessageBody="\t\n\r \ud7ff\ue000\ufffd\U00010000\U0010ffff")


def test_a_missing_queue_is_an_error(aws):
    url = aws.create_queue() + "-not"
    refused("NonExistentQueue", aws.sqs.send_message_batch, QueueUrl=url, Entries=[entry(0)])


@differs(
    moto="it does not look; developer guide, Amazon SQS message metadata, message attribute data types",
    local="it does not look; developer guide, Amazon SQS message metadata, message attribute data types",
)
def test_a_number_attribute_holds_a_number(aws):
    """Another value of the type Number is refused."""
    attributes = {"due": {"DataType": "Number", "StringValue": "tomorrow"}}
    with pytest.raises(ClientError, match="due"):
        aws.sqs.send_message(QueueUrl=aws.create_queue(), MessageBody="x", MessageAttributes=attributes)


@differs(
    moto="it does not look; developer guide, Amazon SQS message metadata, message attribute components",
    local="it does not look; developer guide, Amazon SQS message metadata, message attribute components",
)
def test_an_attribute_has_a_value(aws):
    attributes = {"user": {"DataType": "String", "StringValue": ""}}
    with pytest.raises(ClientError, match="user"):
        aws.sqs.send_message(QueueUrl=aws.create_queue(), MessageBody="x", MessageAttributes=attributes)


@pytest.mark.slow
def test_a_received_message_is_hidden_for_a_while(aws):
    """It comes again after its visibility timeout, with another receipt handle."""
    url = aws.create_queue(visibility_s=1)
    send(aws, url, entry(0))
    (first,) = receive(aws, url)
    assert [] == receive(aws, url)
    aws.wait(1.3)
    (second,) = receive(aws, url)
    assert first["MessageId"] == second["MessageId"]
    assert first["ReceiptHandle"] != second["ReceiptHandle"]


@differs(local='it refuses the second; API reference, DeleteMessage: with an old receipt handle "the request succeeds"')
def test_a_deleted_message_does_not_come_again(aws):
    """Deleting it twice is no error."""
    url = aws.create_queue(visibility_s=1)
    send(aws, url, entry(0))
    (message,) = receive(aws, url)
    aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    aws.wait(1.3)
    assert [] == receive(aws, url)


def test_a_message_can_be_made_visible_at_once(aws):
    """A visibility timeout of 0 does it."""
    url = aws.create_queue()
    send(aws, url, entry(0))
    (message,) = receive(aws, url)
    aws.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert ["x"] == bodies(receive(aws, url))


def test_the_visibility_of_several_messages_changes_in_one_request(aws):
    """Each entry has its own timeout."""
    url = aws.create_queue()
    send(aws, url, entry(0, "shown"), entry(1, "hidden"))
    receipts = {message["Body"]: message["ReceiptHandle"] for message in receive(aws, url)}
    entries = [
        {"Id": "0", "ReceiptHandle": receipts["shown"], "VisibilityTimeout": 0},
        {"Id": "1", "ReceiptHandle": receipts["hidden"], "VisibilityTimeout": 60},
    ]
    answer = aws.sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    assert ["0", "1"] == sorted(each["Id"] for each in answer["Successful"])
    assert ["shown"] == bodies(receive(aws, url))


@differs(local="it does not look; API reference, ChangeMessageVisibility, VisibilityTimeout: 0 to 43200")
def test_an_impossible_visibility_fails_alone(aws):
    url = aws.create_queue()
    send(aws, url, entry(0), entry(1))
    receipts = [message["ReceiptHandle"] for message in receive(aws, url)]
    entries = [
        {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": timeout_s}
        for number, (receipt, timeout_s) in enumerate(zip(receipts, (43_201, 0), strict=True))
    ]
    answer = aws.sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    assert (["0"], ["1"]) == tuple([each["Id"] for each in answer[part]] for part in ("Failed", "Successful"))


def test_a_message_tells_when_it_was_sent(aws):
    """In milliseconds since 1970, and only if the consumer asks."""
    url = aws.create_queue()
    send(aws, url, entry(0))
    (message,) = receive(aws, url, AttributeNames=["SentTimestamp"], VisibilityTimeout=0)
    assert re.fullmatch(r"\d{13}", message["Attributes"]["SentTimestamp"])
    (message,) = receive(aws, url)
    assert "Attributes" not in message


def test_a_message_received_too_often_moves_to_the_dead_letter_queue(aws):
    """It is gone at the receive after maxReceiveCount receives."""
    dead_letters = aws.create_queue()
    url = aws.create_queue(visibility_s=0, receives_max=2, dead_letter_arn=arn_of(aws, dead_letters))
    send(aws, url, entry(0))
    for _ in range(2):
        assert ["x"] == bodies(receive(aws, url))
        aws.wait(0.05)
    assert [] == receive(aws, url)
    assert ["x"] == bodies(receive(aws, dead_letters))


def test_a_receive_waits_for_a_message(aws):
    """Long polling returns as soon as there is one."""
    url = aws.create_queue()
    send(aws, url, entry(0, DelaySeconds=1))
    assert ["x"] == bodies(receive(aws, url, WaitTimeSeconds=5))


def test_a_queue_counts_its_messages(aws):
    url = aws.create_queue()
    send(aws, url, entry(0), entry(1), entry(2, DelaySeconds=60))
    aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)
    names = ["", "NotVisible", "Delayed"]
    wanted = [f"ApproximateNumberOfMessages{name}" for name in names]
    counted = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
    assert ["1", "1", "1"] == [counted[name] for name in wanted]


def test_a_batch_deletes_messages(aws):
    """Each entry has its own id."""
    url = aws.create_queue(visibility_s=1)
    send(aws, url, entry(0), entry(1))
    entries = [
        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
        for number, message in enumerate(receive(aws, url))
    ]
    answer = aws.sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    assert {"0", "1"} == {each["Id"] for each in answer["Successful"]}
    aws.wait(1.3)
    assert [] == receive(aws, url)
