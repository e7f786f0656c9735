"""The delivery queue, read by the deliver function itself."""

import pytest
from botocore.exceptions import ClientError

from aws_faults import lose_answer, refuse_call
from scheduler.aws.delivery_queue import DeliveryQueue
from scheduler.errors import NotConfirmed


@pytest.fixture
def delivery_queue(cloud):
    return DeliveryQueue(cloud.sqs, cloud.delivery)


def sent(cloud, *bodies):
    for body in bodies:
        cloud.sqs.send_message(QueueUrl=cloud.delivery, MessageBody=body)


def test_a_received_message_is_gone_after_its_delete(cloud, delivery_queue):
    """A received message has its id, its body and its receipt handle."""
    sent(cloud, "Grüße 🎉", "b")
    first, second = delivery_queue.receive(10)
    assert ["Grüße 🎉", "b"] == [first.body, second.body]
    assert first.id != second.id
    delivery_queue.delete(first.receipt)
    cloud.sqs.change_message_visibility(QueueUrl=cloud.delivery, ReceiptHandle=second.receipt, VisibilityTimeout=0)
    assert [(second.id, "b")] == [(message.id, message.body) for message in delivery_queue.receive(10)]


def test_no_more_messages_are_received_than_wanted(cloud, delivery_queue):
    """The queue's visibility timeout hides them from other receivers."""
    sent(cloud, "a", "b", "c")
    received = [message.body for most in (2, 10) for message in delivery_queue.receive(most)]
    assert ["a", "b", "c"] == sorted(received)
    attributes = cloud.sqs.get_queue_attributes(QueueUrl=cloud.delivery, AttributeNames=["All"])["Attributes"]
    assert "3" == attributes["ApproximateNumberOfMessagesNotVisible"]


def test_an_empty_queue_returns_no_messages(delivery_queue):
    """The answer of SQS then has no list. Long polling keeps the caller from asking again at once."""
    assert [] == delivery_queue.receive(10)


@pytest.mark.parametrize("operation", ["ReceiveMessage", "DeleteMessage"])
def test_an_unknown_result_is_not_confirmed(cloud, delivery_queue, operation):
    """A lost answer, and a temporary error."""
    sent(cloud, "a")
    call = {"ReceiveMessage": lambda: delivery_queue.receive(1), "DeleteMessage": lambda: delivery_queue.delete("any")}[
        operation
    ]
    event = f"before-call.sqs.{operation}"
    throttle = refuse_call("RequestThrottled")
    cloud.sqs.meta.events.register_first(event, throttle)
    with pytest.raises(NotConfirmed, match="RequestThrottled"):
        call()
    cloud.sqs.meta.events.unregister(event, throttle)
    if operation == "ReceiveMessage":
        lose_answer(cloud.sqs, "sqs.ReceiveMessage")
        with pytest.raises(NotConfirmed, match="ReadTimeoutError"):
            call()


@pytest.mark.parametrize("operation", ["ReceiveMessage", "DeleteMessage"])
def test_a_permanent_error_is_reported(cloud, delivery_queue, operation):
    """One example is a missing permission of the role."""
    cloud.sqs.meta.events.register_first(f"before-call.sqs.{operation}", refuse_call("AccessDenied", 403))
    with pytest.raises(ClientError, match="AccessDenied"):
        delivery_queue.receive(1) if operation == "ReceiveMessage" else delivery_queue.delete("any")
