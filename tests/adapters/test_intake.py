"""The delivery queue as the function reads it itself."""

import pytest
from botocore.exceptions import ClientError

from bending import lose_answer, refuse_call
from scheduler.aws.delivery_queue import DeliveryQueue
from scheduler.errors import NotConfirmed


@pytest.fixture
def delivery_queue(cloud):
    return DeliveryQueue(cloud.sqs, cloud.delivery)


def sent(cloud, *bodies):
    for body in bodies:
        cloud.sqs.send_message(QueueUrl=cloud.delivery, MessageBody=body)


def test_what_is_there_is_received_and_gone_when_it_is_deleted(cloud, delivery_queue):
    """Each with its id, its body as it was sent, and what it is deleted by."""
    sent(cloud, "Grüße 🎉", "b")
    first, second = delivery_queue.receive(10)
    assert ["Grüße 🎉", "b"] == [first.body, second.body]
    assert first.id != second.id
    delivery_queue.delete(first.receipt)
    cloud.sqs.change_message_visibility(QueueUrl=cloud.delivery, ReceiptHandle=second.receipt, VisibilityTimeout=0)
    assert [(second.id, "b")] == [(message.id, message.body) for message in delivery_queue.receive(10)]


def test_no_more_are_received_than_wanted_and_each_is_hidden_from_others(cloud, delivery_queue):
    """For as long as the queue says."""
    sent(cloud, "a", "b", "c")
    received = [message.body for most in (2, 10) for message in delivery_queue.receive(most)]
    assert ["a", "b", "c"] == sorted(received)
    attributes = cloud.sqs.get_queue_attributes(QueueUrl=cloud.delivery, AttributeNames=["All"])["Attributes"]
    assert "3" == attributes["ApproximateNumberOfMessagesNotVisible"]


def test_an_empty_queue_has_nothing(delivery_queue):
    """The answer of SQS has no list then. It was waited for, so that whoever asks again does not ask at once."""
    assert [] == delivery_queue.receive(10)


@pytest.mark.parametrize("operation", ["ReceiveMessage", "DeleteMessage"])
def test_what_is_not_known_is_not_confirmed(cloud, delivery_queue, operation):
    """A lost answer, and a no that passes."""
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
def test_a_no_for_good_is_said(cloud, delivery_queue, operation):
    """Such as one of the role."""
    cloud.sqs.meta.events.register_first(f"before-call.sqs.{operation}", refuse_call("AccessDenied", 403))
    with pytest.raises(ClientError, match="AccessDenied"):
        delivery_queue.receive(1) if operation == "ReceiveMessage" else delivery_queue.delete("any")
