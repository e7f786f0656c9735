"""The log has one line for every change that a person or an application makes: who, what, and how many.

The manage and the caller function, the HTTP API and the admin function write it.
"""

import json

import pytest

from punctual.testing import Refused, Stack
from punctual.testing.calls import CallFault
from punctual.testing.services.aws_errors import refusal
from scheduler.administering.request import FIELDS_OF_OPERATION as ADMINISTERED
from scheduler.managing import operations
from tests.api.virtual_api import Api

DAY_S = 86_400
NAME = "order/7"
CHANGES = {
    "cancel": {"name": NAME},
    "change": {"name": NAME, "data": "secret"},
    "move": {"name": NAME, "delay": 2 * DAY_S},
    "fire": {"name": NAME},
    "cancel_where": {"prefix": "order/", "dry_run": False},
}
LOOKS = {
    "get": {"name": NAME},
    "list": {"prefix": "order/"},
    "forecast": {"from": "2030-01-01", "to": "2030-01-02", "bucket": 3600},
    "failures": {},
    "deliveries": {"day": "2030-01-01"},
    "runs": {},
    "status": {},
}


@pytest.fixture
def stack():
    stack = Stack(PartitionCount=1, ApiEnabled=True)
    for name in (NAME, "order/8", "bill/1"):
        stack.schedule({"timestamp": stack.now + DAY_S, "data": "secret", "name": name, "token": f"token-{name}"})
    return stack


@pytest.fixture
def api(stack):
    return Api(stack)


def changes(stack):
    found = [line for line in stack.log() if line["outcome"] == "changed"]
    assert "secret" not in json.dumps(found)
    assert "token" not in json.dumps(found)
    return found


def last(stack):
    """Return the operation, whose schedules, who and how many of the newest line, and the rest."""
    line = changes(stack)[-1]
    return (line["operation"], line["application"], line["who"], line["count"]), line


def test_every_operation_is_a_change_or_a_look():
    """A new operation belongs to one of the two, and has a test here."""
    assert {*CHANGES, *LOOKS, "redrive"} == set(operations.OPERATIONS)


@pytest.mark.parametrize(("function", "who"), [("ManageFunction", "owner"), ("CallerFunction", "caller")])
@pytest.mark.parametrize("operation", CHANGES)
def test_a_change_by_a_direct_call_is_a_line(stack, function, who, operation):
    """IAM does not tell the function who called. CloudTrail does, by the id of the request."""
    stack._invoke(function, {"operation": operation, **CHANGES[operation]})
    told, line = last(stack)
    assert (operation, "owner", who, 2 if operation == "cancel_where" else 1) == told
    assert line["request"].startswith(f"virtual-{function}@")
    assert 1 == len(changes(stack))


@pytest.mark.parametrize("operation", LOOKS)
def test_a_look_is_no_change(stack, operation):
    stack.manage(operation, **LOOKS[operation])
    stack._invoke("ViewFunction", {"operation": operation, **LOOKS[operation]})
    assert [] == changes(stack)
    assert 2 == len([line for line in stack.log() if line["outcome"] == "managed" and line["operation"] == operation])


def test_a_count_of_what_would_be_cancelled_is_no_change(stack):
    stack.manage("cancel_where", prefix="", dry_run=True)
    assert [] == changes(stack)


def test_a_refused_request_is_no_change(stack):
    with pytest.raises(Refused):
        stack.manage("cancel", name="nobody")
    assert [] == changes(stack)


def test_a_line_says_for_which_application_the_owner_acted(stack):
    stack.administer("create", name="billing", default_target="output")
    stack.schedule({"delay": DAY_S, "data": "secret", "name": "a", "application": "billing"})
    stack.manage("cancel", name="a", application="billing")
    assert ("cancel", "billing", "owner", 1) == last(stack)[0]


def test_a_redrive_is_a_line_with_the_number_of_schedules():
    stack = Stack(PartitionCount=1, WebhookHosts="api.example.com")
    stack.answer("api.example.com", status=400)
    webhook = {"delay": 5, "data": "secret", "target": {"url": "https://api.example.com/"}}
    stack.schedule([webhook, webhook])
    stack.advance(minutes=1)
    stack.manage("redrive", **{"from": stack.now - 3600, "to": stack.now + 1})
    assert ("redrive", "owner", "owner", 2) == last(stack)[0]


def test_a_change_over_http_names_the_key(stack, api):
    before = len(changes(stack))
    api("PATCH", f"/names/{NAME}", {"data": "secret"})
    api("PATCH", f"/names/{NAME}", {"delay": 0})
    api("DELETE", "/names/order/8")
    api("POST", "/schedules/cancel", {"prefix": "bill/", "dry_run": False})
    found = changes(stack)[before:]
    assert [("change", 1), ("fire", 1), ("cancel", 1), ("cancel_where", 1)] == [
        (line["operation"], line["count"]) for line in found
    ]
    assert {("owner", api.control_id)} == {(line["application"], line["who"]) for line in found}
    assert len(found) == len({line["request"] for line in found})


def test_schedules_that_are_created_over_http_are_counted(stack, api):
    api("POST", "/schedules", {"delay": DAY_S, "data": "secret"})
    assert ("schedule", "owner", api.control_id, 1) == last(stack)[0]
    api("POST", "/schedules", [{"delay": DAY_S, "data": "secret"}, {"delay": DAY_S, "data": "secret"}, {"delay": -1}])
    assert ("schedule", "owner", api.control_id, 2) == last(stack)[0]
    api("PUT", "/names/new", {"delay": DAY_S, "data": "secret"})
    assert ("schedule", "owner", api.control_id, 1) == last(stack)[0]


def test_an_application_is_named_by_its_id_and_its_key(stack):
    made = stack.administer("create", name="billing", default_target="output")
    answer = stack.request("POST", "/schedules", {"delay": DAY_S, "data": "secret"}, key=made["data"]["key"])
    assert 201 == answer.status
    assert ("schedule", made["application"], made["data"]["id"], 1) == last(stack)[0]


def test_a_refused_request_over_http_is_no_change(stack, api):
    before = changes(stack)
    assert 400 == api("POST", "/schedules", {"delay": "secret"}).status
    assert 404 == api("DELETE", "/names/nobody").status
    assert before == changes(stack)


def test_every_change_of_applications_and_keys_is_a_line(stack):
    made = stack.administer("create", name="billing", default_target="output")
    stack.administer("change", name="billing", quota=5)
    stack.administer("rotate", id=made["data"]["id"])
    stack.administer("disable", id=made["control"]["id"])
    stack.administer("list")
    stack.administer("keys", name="billing")
    stack.administer("usage", name="billing")
    stack.administer("repair")
    stack.administer("delete", name="billing")
    told = [(line["operation"], line["application"], line["who"]) for line in changes(stack)]
    whose = made["application"]
    assert [
        ("create", whose, "owner"),
        ("change", whose, "owner"),
        ("rotate", whose, "owner"),
        ("disable", whose, "owner"),
        ("repair", "owner", "owner"),
        ("delete", whose, "owner"),
    ] == told
    assert {"list", "keys", "usage", *(operation for operation, *_ in told)} == set(ADMINISTERED)


class Silence:
    """DynamoDB fails for every function."""

    def call_fault(self, call):
        broken = call.service == "dynamodb" and call.process.name != "outside"
        return CallFault(0.0, 0.0, error_before=refusal("InternalServerError", "broken", 500) if broken else None)


def test_a_change_that_aws_did_not_confirm_is_a_line_that_says_so(stack):
    """It may have happened."""
    stack._cloud.network.faults = Silence()
    with pytest.raises(Refused, match="NotConfirmed"):
        stack.manage("cancel", name=NAME)
    told, line = last(stack)
    assert ("cancel", "owner", "owner", None) == told
    assert line["confirmed"] is False
