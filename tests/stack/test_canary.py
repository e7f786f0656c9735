"""The canary on a local AWS that enforces the roles, and the other capacity mode of a table in use."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from punctual.local.deployment import deploy
from scheduler.aws.canary import STATE
from scheduler.canary.probes import NAMED, NEAR, State

pytestmark = pytest.mark.slow

TEMPLATE_PATH = Path(__file__).parents[2] / "template.yml"
WITHIN_S = 90.0
MINUTE = 31_557_600
"""The minute of the first run, which need not be the present one."""


def run(stack, name, minute):
    """Invoke the canary as its rule does in this minute, and return its answer."""
    moment = datetime.fromtimestamp(60 * minute, UTC).isoformat()
    payload = json.dumps({"time": moment}).encode()
    answer = stack.emulator.client("lambda").invoke(FunctionName=name, Payload=payload)
    assert "FunctionError" not in answer, answer["Payload"].read()
    return json.loads(answer["Payload"].read())


def state(stack):
    key = {"partition": {"S": "meta"}, "sort": {"S": STATE}}
    table_name = stack.outputs["TableName"]
    answer = stack.emulator.client("dynamodb").get_item(TableName=table_name, Key=key, ConsistentRead=True)
    return State.read(answer["Item"]["state"]["S"])


def far_items(table):
    return [item for item in table.items() if item["partition"]["S"].startswith("0#")]


def test_the_roles_admit_the_canary_and_the_table_stays_when_its_capacity_mode_changes(make_stack, table_of):
    stack = make_stack(Canary="true", PartitionCount=1)
    functions = stack.emulator.client("lambda").list_functions(MaxItems=50)["Functions"]
    (name,) = [each["FunctionName"] for each in functions if "CanaryFunction" in each["FunctionName"]]
    until_s, minute, came = time.time() + WITHIN_S, MINUTE, set()
    while came < {NEAR, NAMED} and time.time() < until_s:
        assert {"missed": 0} == run(stack, name, minute)
        came |= {each.kind for each in state(stack).probes if each.marks}
        minute += 1
        time.sleep(5)
    assert {NEAR, NAMED} == came

    before = far_items(table_of(stack))
    assert before
    parameters = stack.parameters | {"CapacityMode": "provisioned", "WriteCapacityMin": "7"}
    updated = deploy(stack.emulator, TEMPLATE_PATH, parameters=parameters)
    assert stack.outputs["TableName"] == updated.outputs["TableName"]
    assert before == far_items(table_of(updated))
    table = stack.emulator.client("dynamodb").describe_table(TableName=stack.outputs["TableName"])["Table"]
    assert ("PROVISIONED", 7) == (
        table["BillingModeSummary"]["BillingMode"],
        int(table["ProvisionedThroughput"]["WriteCapacityUnits"]),
    )
