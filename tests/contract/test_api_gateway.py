"""Our adapter of API Gateway, against the virtual and the local AWS. moto lacks a package for its API Gateway."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deviations import differs
from punctual.testing.api_keys import ApiKeys
from punctual.testing.calls import ExternalProcess, Network, Watcher
from punctual.testing.timeline import Timeline
from scheduler.aws.applications.gateway import Gateway
from scheduler.errors import NotConfirmed
from scheduler.model.application import new_key


@dataclass
class Backend:
    client: Any
    new_stage: Callable[[], str]


def virtual() -> Backend:
    timeline = Timeline(0, random.Random(0))
    network = Network(timeline, Watcher())
    keys, stages = ApiKeys(timeline, Watcher()), []
    network.services[keys.name] = keys

    def new_stage() -> str:
        stages.append(f"api{len(stages)}:v1")
        keys.deploy(stages)
        return stages[-1]

    return Backend(network.client(keys.name, ExternalProcess()), new_stage)


def local(client: Any) -> Backend:
    def new_stage() -> str:
        api = client.create_rest_api(name="api")["id"]
        (root,) = client.get_resources(restApiId=api)["items"]
        client.put_method(restApiId=api, resourceId=root["id"], httpMethod="GET", authorizationType="NONE")
        client.put_integration(restApiId=api, resourceId=root["id"], httpMethod="GET", type="MOCK")
        client.create_deployment(restApiId=api, stageName="v1")
        return f"{api}:v1"

    return Backend(client, new_stage)


@pytest.fixture(params=["virtual", "local"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    reason = getattr(request.function, "differs", {}).get(request.param)
    if reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    if request.param == "virtual":
        yield virtual()
    else:
        yield local(request.getfixturevalue("emulator").client("apigateway"))


@pytest.fixture
def stack() -> str:
    return f"s{uuid.uuid4().hex[:8]}"


@pytest.fixture
def gateway(backend: Backend, stack: str) -> Gateway:
    return Gateway(backend.client, backend.new_stage(), stack)


def key() -> str:
    return new_key(uuid.uuid4().int)


def test_a_key_is_known_by_its_id(gateway):
    gateway_id = gateway.create_key("1f2e3d4c-00000001", key())
    assert {"1f2e3d4c-00000001": gateway_id} == gateway.keys()

    gateway.delete_key(gateway_id)
    gateway.delete_key(gateway_id)
    assert {} == gateway.keys()


@differs(local='it makes a second key; API reference, CreateApiKey: "ConflictException"')
def test_a_repeat_finds_the_key_of_the_first_call(gateway):
    """The first answer may be lost."""
    text = key()
    first = gateway.create_key("1f2e3d4c-00000001", text)
    assert first == gateway.create_key("1f2e3d4c-00000001", text)
    with pytest.raises(NotConfirmed, match="does not list it"):
        gateway.create_key("1f2e3d4c-00000002", text)


def test_two_stacks_do_not_see_each_others_keys_and_plans(backend, gateway, stack):
    """Not even if one's name begins like the other's."""
    other = Gateway(backend.client, backend.new_stage(), f"{stack}-2")
    gateway.create_key("1f2e3d4c-00000001", key())
    other.create_key("00000000-00000001", key())
    plan = gateway.create_plan(20, 40)
    backend.client.create_usage_plan(name=f"{stack}.by-hand")

    assert {"1f2e3d4c-00000001"} == gateway.keys().keys()
    assert {"00000000-00000001"} == other.keys().keys()
    assert [plan] == gateway.plans()
    assert [] == other.plans()


def test_a_plan_has_the_limits_of_its_keys(backend, gateway):
    plan = gateway.create_plan(20, 40)
    assert [plan] == gateway.plans()
    assert (20, 40, True) == (plan.rate, plan.burst, plan.is_current)
    (found,) = [each for each in backend.client.get_usage_plans(limit=500)["items"] if each["id"] == plan.id]
    assert {"rateLimit": 20, "burstLimit": 40} == found["throttle"]

    gateway_id = gateway.create_key("1f2e3d4c-00000001", key())
    gateway.add(plan, gateway_id)
    assert {gateway_id} == gateway.members(plan)
    gateway.drop(plan, gateway_id)
    gateway.drop(plan, gateway_id)
    assert set() == gateway.members(plan)


def test_adding_a_key_again_changes_nothing(gateway):
    plan, gateway_id = gateway.create_plan(20, 40), gateway.create_key("1f2e3d4c-00000001", key())
    for _ in range(2):
        gateway.add(plan, gateway_id)
    assert {gateway_id} == gateway.members(plan)


@differs(local='it takes it; API reference, CreateUsagePlanKey: "ConflictException"')
def test_a_key_is_in_one_plan_of_a_stage(gateway):
    plan, other = gateway.create_plan(20, 40), gateway.create_plan(30, 60)
    gateway_id = gateway.create_key("1f2e3d4c-00000001", key())
    gateway.add(plan, gateway_id)
    with pytest.raises(ClientError, match="ConflictException"):
        gateway.add(other, gateway_id)


def test_a_plan_of_another_api_is_not_current(backend, gateway, stack):
    plan = gateway.create_plan(20, 40)
    (found,) = Gateway(backend.client, backend.new_stage(), stack).plans()
    assert (plan.id, plan.stages, False) == (found.id, found.stages, found.is_current)


def test_a_plan_leaves_its_stage_before_it_is_deleted(gateway):
    plan = gateway.create_plan(20, 40)
    gateway.delete_plan(plan)
    gateway.delete_plan(plan)
    assert [] == gateway.plans()


@differs(local='it deletes it; the SDK says "Cannot delete Usage Plan because there are API Stages associated with it"')
def test_a_plan_with_a_stage_is_not_deleted(backend, gateway):
    plan = gateway.create_plan(20, 40)
    with pytest.raises(ClientError, match="BadRequestException"):
        backend.client.delete_usage_plan(usagePlanId=plan.id)


def test_more_keys_than_a_page_holds(gateway, monkeypatch):
    monkeypatch.setattr("scheduler.aws.applications.gateway.PAGE_MAX", 2)
    plan = gateway.create_plan(20, 40)
    for number in range(5):
        gateway.add(plan, gateway.create_key(f"1f2e3d4c-0000000{number}", key()))
    assert 5 == len(gateway.keys()) == len(gateway.members(plan))


@differs(local='it takes any id; API reference, CreateUsagePlanKey: "NotFoundException"')
def test_an_unknown_key_is_not_added(gateway):
    with pytest.raises(ClientError, match="NotFoundException"):
        gateway.add(gateway.create_plan(20, 40), "unknown")
