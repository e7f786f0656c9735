"""A client whose IAM policy allows only the view or the caller function uses that function by itself."""

import pytest

from punctual import AccessDenied, InvalidRequest
from punctual.client.calling import rights
from punctual.testing.calls import CallFault
from punctual.testing.services.aws_errors import refusal
from scheduler.managing import operations

DENIED = CallFault(0.0, 0.0, error_before=refusal("AccessDeniedException", "not authorized to perform", 403))


class Policy:
    """What IAM allows. It keeps the functions that were invoked, in order."""

    def __init__(self, *allowed):
        self.allowed, self.invoked = allowed, []

    def call_fault(self, call):
        if call.service != "lambda" or call.process.name != "outside":
            return CallFault(0.0, 0.0)
        function = call.parameters["FunctionName"].removeprefix("virtual-")
        self.invoked.append(function)
        return CallFault(0.0, 0.0) if function in self.allowed else DENIED


@pytest.fixture
def policy(stack):
    """Attach a policy to whoever uses the client."""

    def attached(*allowed):
        stack._cloud.network.faults = found = Policy(*allowed)
        return found

    return attached


def test_the_client_knows_the_operations_of_each_function():
    assert set(operations.VIEW) == set(rights.SMALLER_RIGHTS["ViewFunction"])
    assert set(operations.CALLER) == set(rights.SMALLER_RIGHTS["CallerFunction"])


def test_a_viewer_looks_and_asks_the_manage_function_once(scheduler, policy):
    scheduler.schedule("x", delay=3600, name="order/7")
    found = policy("ViewFunction")
    assert "order/7" == scheduler.get("order/7").name
    assert ["order/7"] == [each.name for each in scheduler.list()]
    assert ["ManageFunction", "ViewFunction", "ViewFunction"] == found.invoked


def test_a_caller_handles_its_schedules(scheduler, policy):
    found = policy("ScheduleFunction", "CallerFunction")
    scheduler.schedule("x", delay=3600, name="order/7")
    scheduler.move("order/7", delay=7200)
    assert "order/7" == scheduler.get("order/7").name
    assert "cancelled" == scheduler.cancel("order/7").state
    assert ["ScheduleFunction", "ManageFunction", "CallerFunction"] == found.invoked[:3]
    assert "ManageFunction" not in found.invoked[3:]


def test_a_caller_is_told_to_give_a_prefix(scheduler, policy):
    policy("CallerFunction")
    with pytest.raises(InvalidRequest, match="prefix is missing; wanted from this function"):
        list(scheduler.list())


def test_whoever_has_all_rights_invokes_the_manage_function(scheduler, policy):
    found = policy("ManageFunction")
    list(scheduler.list())
    assert ["ManageFunction"] == found.invoked


def test_the_error_without_any_right_names_the_policies(scheduler, policy):
    """Rights may be granted later, so the client tries again at the next call."""
    found = policy()
    for _ in range(2):
        with pytest.raises(AccessDenied, match=r"permission, which CallerPolicy and OperatorPolicy of the stack have$"):
            scheduler.cancel("order/7")
    assert ["ManageFunction", "CallerFunction"] * 2 == found.invoked


@pytest.mark.parametrize(
    ("function", "operation", "policies"),
    [
        ("ScheduleFunction", "", "CallerPolicy and OperatorPolicy"),
        ("ManageFunction", "get", "CallerPolicy, OperatorPolicy and ViewerPolicy"),
        ("ManageFunction", "runs", "OperatorPolicy and ViewerPolicy"),
        ("AdminFunction", "create", "OperatorPolicy"),
    ],
)
def test_the_advice_names_the_policies_that_allow_the_call(function, operation, policies):
    assert f", which {policies} of the stack ha" in rights.advice(function, operation)


def test_only_the_manage_function_redrives(scheduler, policy):
    found = policy("ViewFunction", "CallerFunction")
    with pytest.raises(AccessDenied, match=r"permission, which OperatorPolicy of the stack has$"):
        scheduler.redrive(id="0-001893542400000-0123456789abcdef")
    assert ["ManageFunction"] == found.invoked


def test_a_stack_without_the_smaller_functions_answers_with_the_denial(scripted):
    """The outputs of the script are those of an earlier version."""
    scheduler, script = scripted(DENIED.error_before)
    with pytest.raises(AccessDenied):
        scheduler.get("order/7")
    assert 1 == len(script.requests)
