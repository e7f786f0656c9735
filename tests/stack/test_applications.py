"""Applications and keys on the local AWS: API Gateway lets their keys through, and the roles of the functions hold."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from punctual.local.deployment import deploy

pytestmark = pytest.mark.slow

TEMPLATE_PATH = Path(__file__).parents[2] / "template.yml"
PARAMETERS = {"FeedIntervalMinutes": 10, "DeliveryLeadSeconds": 3, "ApiEnabled": True}
OWN = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""It asks no proxy: the local AWS is on loopback."""


@pytest.fixture(scope="module")
def stack(emulator):
    stack = deploy(emulator, TEMPLATE_PATH, "with-keys", PARAMETERS)
    yield stack
    stack.delete()


@pytest.fixture
def administer(stack):
    return lambda operation, **fields: stack.invoke("AdminFunction", {"operation": operation, **fields})


@pytest.fixture
def status_of(stack):
    """Return a function that asks the API with a key, and returns the status of the answer."""

    def asked(key):
        request = urllib.request.Request(stack.outputs["ApiUrl"] + "/status", headers={"X-Api-Key": key})
        try:
            with OWN.open(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as failure:
            with failure:
                return failure.code, json.loads(failure.read())

    return asked


def test_api_gateway_lets_valid_keys_through_and_no_other(administer, status_of):
    """From the creation of a key to its replacement and its end."""
    made = administer("create", name="billing", default_target="output")
    assert [made["application"]] == [each["application"] for each in administer("list")["applications"]]
    status, content = status_of(made["control"]["key"])
    assert (200, made["application"]) == (status, content["application"])
    assert 403 == status_of(made["data"]["key"])[0], "it may create schedules and nothing else"

    rotated = administer("rotate", id=made["control"]["id"])
    assert [200, 200] == [status_of(key)[0] for key in (made["control"]["key"], rotated["key"])]

    administer("disable", id=made["control"]["id"])
    assert [403, 200] == [status_of(key)[0] for key in (made["control"]["key"], rotated["key"])]

    assert "deleted" == administer("delete", name="billing")["state"]
    assert 403 == status_of(rotated["key"])[0]


def test_repair_after_the_plan_of_a_key_is_gone(stack, administer, status_of):
    """As after the API was off and on again. What others have in API Gateway stays."""
    made = administer("create", name="shop", rate=7)
    gateway = stack.emulator.client("apigateway")
    (plan,) = [each for each in gateway.get_usage_plans(limit=500)["items"] if each["name"] == "with-keys.7.14"]
    gateway.create_usage_plan(name="with-keys.by-hand")
    gateway.delete_usage_plan(usagePlanId=plan["id"])
    assert 403 == status_of(made["control"]["key"])[0]

    repaired = administer("repair")
    assert (0, []) == (repaired["left"], repaired["rotate"])
    assert 200 == status_of(made["control"]["key"])[0]
    assert 0 == administer("repair")["changed"]
    names = [each["name"] for each in gateway.get_usage_plans(limit=500)["items"]]
    assert {"with-keys.by-hand", "with-keys.7.14"} <= set(names)


def test_a_changed_rate_moves_the_keys_to_another_plan(stack, administer, status_of):
    """They stay valid, and nothing is left for a repair but the plan without keys."""
    administer("repair")
    made = administer("create", name="growing", rate=11)
    changed = administer("change", name="growing", rate=12, default_target="output")
    assert (12, 24, "output") == (changed["rate"], changed["burst"], changed["default_target"])
    assert 200 == status_of(made["control"]["key"])[0]
    gateway = stack.emulator.client("apigateway")
    plans = {each["name"]: each["id"] for each in gateway.get_usage_plans(limit=500)["items"]}
    assert 2 == len(gateway.get_usage_plan_keys(usagePlanId=plans["with-keys.12.24"])["items"])
    assert [] == gateway.get_usage_plan_keys(usagePlanId=plans["with-keys.11.22"])["items"]
    assert (1, 0) == tuple(administer("repair")[count] for count in ("changed", "left"))
    assert 200 == status_of(made["control"]["key"])[0]


def test_an_application_with_a_far_schedule_is_not_deleted(stack, administer):
    made = administer("create", name="busy")
    item = {"partition": {"S": f"0#{made['application']}"}, "sort": {"S": "001893456000000#0123456789abcdef"}}
    dynamodb = stack.emulator.client("dynamodb")
    dynamodb.put_item(TableName=stack.outputs["TableName"], Item=item)
    with pytest.raises(Exception, match="schedules of busy are pending"):
        administer("delete", name="busy")

    dynamodb.delete_item(TableName=stack.outputs["TableName"], Key=item)
    assert "deleted" == administer("delete", name="busy")["state"]
