"""The view function only looks. The caller function handles what its caller knows. Each refuses everything else."""

import json

import pytest

from punctual.testing import Stack
from punctual.testing.stack import Refused
from scheduler.managing import operations

DAY_S = 86_400
WHICH = {"name": "order/7"}


@pytest.fixture
def stack():
    stack = Stack(PartitionCount=1)
    stack.schedule([{"delay": DAY_S, "data": "x", "name": name} for name in ("order/7", "bill/1")])
    return stack


def ask(stack, function, operation, **fields):
    return stack._invoke(function, {"operation": operation, **fields})


def test_every_operation_is_decided(stack):
    """A new operation belongs to one of the sets, or to the manage function alone."""
    assert operations.VIEW.keys() | operations.CALLER.keys() | {"redrive"} == operations.OPERATIONS.keys()


def test_the_view_function_shows_what_the_manage_function_shows(stack):
    bucket = {"from": stack.now, "to": stack.now + 2 * DAY_S, "bucket": DAY_S}
    for operation, fields in (("get", WHICH), ("list", {}), ("forecast", bucket), ("failures", {}), ("runs", {})):
        assert stack.manage(operation, **fields) == ask(stack, "ViewFunction", operation, **fields)
    assert {"now", "overdue"} < ask(stack, "ViewFunction", "status").keys() == stack.manage("status").keys()


@pytest.mark.parametrize("operation", sorted(operations.OPERATIONS.keys() - operations.VIEW.keys()))
def test_the_view_function_changes_nothing(stack, operation):
    with pytest.raises(Refused, match=f"^InvalidRequest: operation is '{operation}'.*; wanted: one of get, list, fore"):
        ask(stack, "ViewFunction", operation, **WHICH)
    assert 2 == len(stack.manage("list")["schedules"])


def test_the_caller_function_handles_a_schedule_by_its_name_or_id(stack):
    found = ask(stack, "CallerFunction", "get", **WHICH)
    assert found["id"] == ask(stack, "CallerFunction", "get", id=found["id"])["id"]
    assert "replaced" == ask(stack, "CallerFunction", "change", **WHICH, data="y")["result"]
    ask(stack, "CallerFunction", "move", **WHICH, delay=2 * DAY_S)
    assert "cancelled" == ask(stack, "CallerFunction", "cancel", **WHICH)["state"]
    ask(stack, "CallerFunction", "fire", name="bill/1")
    stack.advance(seconds=30)
    assert ["bill/1"] == [message.name for message in stack.released()]


def test_the_caller_function_takes_a_prefix_and_not_all_names(stack):
    assert ["order/7"] == [each["name"] for each in ask(stack, "CallerFunction", "list", prefix="order/")["schedules"]]
    for operation, more in (("list", {}), ("cancel_where", {"dry_run": False})):
        for fields, state in (({}, "missing"), ({"prefix": ""}, "empty")):
            with pytest.raises(Refused, match=f"^InvalidRequest: prefix is {state}; wanted from this function"):
                ask(stack, "CallerFunction", operation, **more, **fields)
    assert 2 == len(stack.manage("list")["schedules"])
    assert 1 == ask(stack, "CallerFunction", "cancel_where", prefix="order/", dry_run=False)["cancelled"]


@pytest.mark.parametrize("operation", sorted(operations.OPERATIONS.keys() - operations.CALLER.keys()))
def test_the_caller_function_refuses_what_is_about_everything(stack, operation):
    with pytest.raises(Refused, match=f"^InvalidRequest: operation is '{operation}'"):
        ask(stack, "CallerFunction", operation)


def test_the_caller_function_acts_in_no_application(stack):
    """The view function may look into each."""
    made = stack.administer("create", name="billing")
    with pytest.raises(Refused, match="'application' is not a field of get"):
        ask(stack, "CallerFunction", "get", **WHICH, application="billing")
    assert [] == ask(stack, "ViewFunction", "list", application=made["application"])["schedules"]


def test_a_strange_event_is_refused_by_both(stack):
    for function in ("ViewFunction", "CallerFunction"):
        for event in (None, [], "get", {"delay": 5, "data": "x"}):
            answer = stack.client("lambda").invoke(
                FunctionName=stack.output(function), Payload=json.dumps(event).encode()
            )
            assert "InvalidRequest" == json.loads(answer["Payload"].read())["errorType"]
