"""API Gateway knows the keys that are valid, each with its limits. `repair` brings it in line with the table."""

import pytest

from punctual.testing import Stack
from punctual.testing.calls import Fair
from punctual.testing.services.aws_errors import refusal
from punctual.testing.stack import Refused
from scheduler.limits import API_BURST_MAX, API_RATE_MAX

IN_LINE = {"api": True, "ended": 0, "changed": 0, "left": 0, "rotate": []}


@pytest.fixture
def stack():
    return Stack(ApiEnabled=True)


def admitted(stack):
    """Return the limits of each key that the current API lets through, as API Gateway has them."""
    service, found = stack._cloud.api_keys, {}
    for plan_id, plan in service.plans.items():
        for gateway_id in service.members[plan_id] if plan["apiStages"] else ():
            throttle = plan["throttle"]
            key_id = service.keys[gateway_id]["name"].removeprefix("virtual.")
            found[key_id] = (throttle["rateLimit"], throttle["burstLimit"])
    return found


def ids(made):
    return {made["control"]["id"], made["data"]["id"]}


class Trouble(Fair):
    """API Gateway fails, or is slow."""

    def __init__(self, error=None, there_s=0.0):
        super().__init__(there_s=0.0, back_s=0.0)
        self.error, self.there_s_of_gateway, self.calls = error, there_s, 0

    def call_fault(self, call):
        fault = super().call_fault(call)
        if call.service == "apigateway":
            self.calls += 1
            fault.error_before, fault.there_s = self.error, self.there_s_of_gateway
        return fault


def trouble(stack, **fault):
    stack._cloud.network.faults = Trouble(**fault)
    return stack._cloud.network.faults


def test_both_keys_of_an_application_have_its_limits(stack):
    billing = stack.administer("create", name="billing", rate=5, burst=8)
    shop = stack.administer("create", name="shop", rate=5, burst=8)
    other = stack.administer("create", name="other")

    wanted = dict.fromkeys(ids(billing) | ids(shop), (5, 8)) | dict.fromkeys(ids(other), (20, 40))
    assert wanted == admitted(stack)
    assert 2 == len(stack._cloud.api_keys.plans), "one for each pair of limits"
    known = {key["value"] for key in stack._cloud.api_keys.keys.values()}
    assert billing["control"]["key"] in known
    assert IN_LINE == stack.administer("repair")


def test_the_owner_has_the_limits_of_the_whole_api(stack):
    made = stack.administer("create", name="owner")
    assert dict.fromkeys(ids(made), (API_RATE_MAX, API_BURST_MAX)) == admitted(stack)


def test_a_key_is_known_from_its_creation_to_its_end(stack):
    made = stack.administer("create", name="billing")
    rotated = stack.administer("rotate", id=made["data"]["id"], grace=60)
    assert ids(made) | {rotated["id"]} == admitted(stack).keys()

    stack.administer("disable", id=made["control"]["id"])
    assert {made["data"]["id"], rotated["id"]} == admitted(stack).keys()

    stack.advance(seconds=60)
    assert IN_LINE | {"changed": 1} == stack.administer("repair")
    assert {rotated["id"]} == admitted(stack).keys()

    stack.administer("delete", name="billing")
    assert {} == stack._cloud.api_keys.keys
    assert IN_LINE | {"changed": 1} == stack.administer("repair"), "the plan that no key needs"
    assert {} == stack._cloud.api_keys.plans


def test_a_change_of_the_limits_moves_the_keys_to_their_plan(stack):
    """The keys of another application with the old limits stay where they are."""
    billing = stack.administer("create", name="billing", rate=5, burst=8)
    shop = stack.administer("create", name="shop", rate=5, burst=8)
    stack.administer("create", name="other", rate=7, burst=9)
    rotated = stack.administer("rotate", id=billing["data"]["id"])

    stack.administer("change", name="billing", rate=7, burst=9)
    moved = dict.fromkeys(ids(billing) | {rotated["id"]}, (7, 9))
    assert {**moved, **dict.fromkeys(ids(shop), (5, 8))}.items() <= admitted(stack).items()
    assert 2 == len(stack._cloud.api_keys.plans)
    assert IN_LINE == stack.administer("repair")

    stack.administer("change", name="shop", rate=50)
    assert dict.fromkeys(ids(shop), (50, 100)).items() <= admitted(stack).items()
    assert IN_LINE | {"changed": 1} == stack.administer("repair"), "the plan that no key needs"


def test_a_change_of_anything_else_calls_nothing_of_api_gateway(stack):
    stack.administer("create", name="billing")
    calls = trouble(stack)
    stack.administer("change", name="billing", default_target="output", quota=5)
    assert 0 == calls.calls


@pytest.mark.parametrize("again", ["change", "repair"])
def test_limits_that_api_gateway_did_not_confirm_are_set_by_a_repeat_or_a_repair(stack, again):
    """The table has them already."""
    made = stack.administer("create", name="billing", rate=5)
    trouble(stack, error=refusal("TooManyRequestsException", "", 429))
    with pytest.raises(Refused, match="NotConfirmed: billing is changed, and API Gateway did not confirm its limits"):
        stack.administer("change", name="billing", rate=7)
    trouble(stack)
    assert 7 == stack.administer("list")["applications"][0]["rate"]
    assert (5, 10) == admitted(stack)[made["data"]["id"]]
    stack.administer(again, **({"name": "billing", "rate": 7} if again == "change" else {}))
    assert dict.fromkeys(ids(made), (7, 14)) == admitted(stack)


def test_without_an_api_nothing_of_api_gateway_is_called():
    stack = Stack()
    calls = trouble(stack)
    made = stack.administer("create", name="billing")
    stack.administer("change", name="billing", rate=7)
    stack.administer("rotate", id=made["data"]["id"])
    stack.administer("disable", id=made["control"]["id"])
    stack.administer("delete", name="billing")
    assert {"api": False, "ended": 0, "changed": 0, "left": 0, "rotate": []} == stack.administer("repair")
    assert 0 == calls.calls


def test_repair_after_the_api_was_off_and_on_again(stack):
    """The new API has no plan. A key that was made meanwhile is unknown, and so is its text."""
    billing = stack.administer("create", name="billing", rate=5)
    disabled = stack.administer("create", name="shop")
    stack.update(ApiEnabled=False)
    late = stack.administer("create", name="late")
    stack.administer("disable", id=disabled["data"]["id"])
    stack.update(ApiEnabled=True)
    assert {} == admitted(stack)

    assert sorted(ids(late)) == stack.administer("repair")["rotate"]
    assert ids(billing) | {disabled["control"]["id"]} == admitted(stack).keys()
    assert (5, 10) == admitted(stack)[billing["data"]["id"]]
    assert 2 == len(stack._cloud.api_keys.plans), "those of the old API are gone"
    assert disabled["data"]["key"] not in {key["value"] for key in stack._cloud.api_keys.keys.values()}

    rotated = {stack.administer("rotate", id=key_id, grace=0)["id"] for key_id in ids(late)}
    assert rotated <= admitted(stack).keys()
    assert IN_LINE == stack.administer("repair")


def test_repair_leaves_what_others_have_in_api_gateway(stack):
    """Another stack of this account, or the owner by hand."""
    stack.administer("create", name="billing")
    client = stack.client("apigateway")
    client.create_api_key(name="virtual-2.1f2e3d4c-00000001", value="x" * 20, enabled=True)
    client.create_usage_plan(name="virtual-2.20.40")
    client.create_usage_plan(name="virtual.gold")
    assert IN_LINE == stack.administer("repair")
    assert (3, 3) == (len(stack._cloud.api_keys.keys), len(stack._cloud.api_keys.plans))


def test_keys_that_api_gateway_did_not_confirm_are_to_be_rotated(stack):
    """The table comes first, so the application exists. Nobody has seen its keys, and only their hashes are stored."""
    trouble(stack, error=refusal("TooManyRequestsException", "", 429))
    with pytest.raises(Refused, match=r"NotConfirmed: API Gateway did not confirm the new keys \S+ and \S+ .*; rotate"):
        stack.administer("create", name="billing")

    trouble(stack)
    keys = [key["id"] for key in stack.administer("keys", name="billing")["keys"]]
    assert sorted(keys) == stack.administer("repair")["rotate"]
    rotated = {stack.administer("rotate", id=key_id, grace=0)["id"] for key_id in keys}
    assert rotated == admitted(stack).keys()
    assert IN_LINE == stack.administer("repair")


@pytest.mark.parametrize("operation", ["disable", "delete"])
def test_a_key_ends_although_api_gateway_does_not_confirm_it(stack, operation):
    """The functions refuse it, and `repair` removes it from API Gateway."""
    made = stack.administer("create", name="billing")
    stack.administer("create", name="shop")
    trouble(stack, error=refusal("TooManyRequestsException", "", 429))
    which = {"id": made["data"]["id"]} if operation == "disable" else {"name": "billing"}
    stack.administer(operation, **which)
    assert "not confirmed" in {line["outcome"] for line in stack.log()}
    assert ids(made) <= admitted(stack).keys()

    trouble(stack)
    stack.administer("repair")
    assert made["data"]["id"] not in admitted(stack)
    assert IN_LINE == stack.administer("repair")


def test_a_repair_that_takes_longer_than_a_call_is_continued(stack):
    made = [stack.administer("create", name=f"app-{number}") for number in range(20)]
    stack.update(ApiEnabled=False)
    stack.update(ApiEnabled=True)
    trouble(stack, there_s=1.0)

    answers = [stack.administer("repair")]
    while answers[-1]["left"]:
        answers.append(stack.administer("repair"))
        assert answers[-1]["left"] < answers[-2]["left"]
    assert len(answers) > 2
    assert set().union(*map(ids, made)) == admitted(stack).keys()
    assert 1 == len(stack._cloud.api_keys.plans)


def test_a_repair_that_changes_nothing_is_an_error(stack):
    stack.administer("create", name="billing")
    stack.update(ApiEnabled=False)
    stack.update(ApiEnabled=True)
    trouble(stack, error=refusal("TooManyRequestsException", "", 429))
    with pytest.raises(Refused, match="NotConfirmed"):
        stack.administer("repair")


@pytest.mark.parametrize("moment", ["get_api_keys", "get_usage_plans", "query"])
def test_a_repair_leaves_keys_that_are_created_meanwhile(stack, moment):
    """An application with new limits is created before one of the calls of the repair."""
    stack.administer("create", name="early")
    network, made = stack._cloud.network, []
    call = network.call

    def called(service, operation, parameters, process):
        if operation == moment and not made:
            made.append({})
            made[0] |= stack.administer("create", name="late", rate=7, burst=9)
        return call(service, operation, parameters, process)

    network.call = called
    stack.administer("repair")
    network.call = call
    assert ids(made[0]) <= admitted(stack).keys()
    assert IN_LINE == stack.administer("repair")
