"""Redrive on the virtual stack: an unconfirmed call, and the calls after it."""

import pytest

from punctual.testing import Refused, Stack
from punctual.testing.calls import CallFault
from punctual.testing.services.aws_errors import refusal

TARGET = {"url": "https://api.example.com/"}
EVERYTHING = {"from": 0, "to": "2031-01-01"}


class NoSending:
    """An SQS that confirms nothing."""

    def call_fault(self, call):
        closed = call.service == "sqs" and call.operation == "send_message_batch"
        return CallFault(0, 0, error_before=refusal("ServiceUnavailable", "down", 503) if closed else None)


@pytest.fixture
def stack():
    """A stack with a failed delivery of a name, and a target that works again."""
    stack = Stack(WebhookHosts="api.example.com")
    stack.answer("api.example.com", status=400)
    stack.schedule({"delay": 5, "data": "pay", "name": "bill", "target": TARGET})
    stack.advance(minutes=1)
    assert "failed" == stack.manage("get", name="bill")["state"]
    stack.answer("api.example.com", status=200)
    return stack


def paid(stack):
    return [each.id for each in stack.delivered()]


@pytest.mark.slow
def test_a_name_whose_timer_was_not_confirmed_is_redriven_under_one_id(stack):
    """The next call continues the first one. The schedule is delivered once, and no failure is left."""
    fair, stack._cloud.network.faults = stack._cloud.network.faults, NoSending()
    with pytest.raises(Refused, match="NotConfirmed"):
        stack.manage("redrive", **EVERYTHING)
    stack._cloud.network.faults = fair
    begun = stack.manage("get", name="bill")["id"]
    assert {"redriven": 1, "left": 0, "next": None} == stack.manage("redrive", **EVERYTHING)
    for _ in range(2):
        stack.advance(minutes=2)
        assert [begun] == paid(stack)
        assert "delivered" == stack.manage("get", name="bill")["state"]
        assert 0 == stack.manage("redrive", **EVERYTHING)["redriven"]
