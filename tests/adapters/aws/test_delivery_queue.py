"""Errors of the delivery queue. tests/contract/ports/test_delivery_queue.py has what the use case relies on."""

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
