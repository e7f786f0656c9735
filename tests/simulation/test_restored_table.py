"""A stack goes on with a table that DynamoDB restored under another name, and loses nothing."""

import copy
import os
import re
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from punctual.testing import Stack
from punctual.testing.template import Template

ROOT = Path(__file__).parents[2]
START = 1_893_456_000
HOUR = 3_600
RESTORED = "punctual-restored"


@pytest.fixture
def stack():
    return Stack(start=START, PartitionCount=2)


def table(stack, name):
    return stack._cloud.dynamodb.tables[name]


def items(stack, name):
    return [item for rows in table(stack, name).items.values() for item in rows.values()]


def restore(stack, backup):
    """Make a table of the items of a backup, as DynamoDB does, and let the stack use it."""
    stack._cloud.dynamodb.create_table(RESTORED, "partition", "sort", "ttl")
    for item in backup:
        stack.client("dynamodb").put_item(TableName=RESTORED, Item=item)
    stack.update(RestoredTableName=RESTORED)


def run_the_script_of_the_page(stack, old):
    """Run it with clients of the virtual AWS, which has no scan."""
    page = (ROOT / "docs" / "scaling.md").read_text()
    (script,) = re.findall(r"^```python\n(import os, boto3.*?)^```", page, re.MULTILINE | re.DOTALL)
    client = stack.client("dynamodb")
    names = {
        "get_paginator": lambda name: SimpleNamespace(paginate=lambda **_: [{"Items": items(stack, old)}]),
        "put_item": client.put_item,
        "exceptions": SimpleNamespace(ConditionalCheckFailedException=ClientError),
    }
    fake = SimpleNamespace(client=lambda service: SimpleNamespace(**names))
    with patch.dict(os.environ, {"OLD_TABLE": old, "NEW_TABLE": RESTORED}):
        exec(script.replace(", boto3\n", "\n", 1), {"boto3": fake})


def test_everything_comes_out_and_what_was_sent_since_the_backup_comes_twice(stack):
    old = stack.output("TableName")
    for data, hours in (("sent since", 1), ("deleted by the fault", 5), ("deleted, too", 7)):
        stack.schedule({"timestamp": START + hours * HOUR, "data": data})
    stack.schedule({"timestamp": START + HOUR, "data": "named, sent since", "name": "sent"})
    stack.schedule({"timestamp": START + 6 * HOUR, "data": "moved since", "name": "moved"})
    stack.schedule({"timestamp": START + 6 * HOUR, "data": "cancelled since", "name": "cancelled"})
    stack.advance(minutes=30)
    backup = copy.deepcopy(items(stack, old))
    stack.advance(minutes=90)
    stack.schedule({"timestamp": START + 8 * HOUR, "data": "accepted since"})
    stack.schedule({"timestamp": START + 8 * HOUR, "data": "named, accepted since", "name": "accepted"})
    stack.manage("move", name="moved", timestamp=START + 9 * HOUR)
    stack.manage("cancel", name="cancelled")
    stack.administer("create", name="billing", default_target="output")
    for item in items(stack, old):
        if "deleted" in item.get("data", {}).get("S", ""):
            key = {name: item[name] for name in ("partition", "sort")}
            stack.client("dynamodb").delete_item(TableName=old, Key=key)

    restore(stack, backup)
    run_the_script_of_the_page(stack, old)
    stack.advance(hours=10)

    once = ["named, sent since", "deleted by the fault", "deleted, too", "moved since", "accepted since"]
    came = [each.data for each in stack.released()]
    assert sorted([*once, "named, accepted since", "sent since", "sent since"]) == sorted(came)
    assert 1 == len({each.id for each in stack.released() if each.data == "sent since"})
    (moved,) = [each for each in stack.released() if each.data == "moved since"]
    assert moved.at - (START + 9 * HOUR) < 1
    assert ["billing"] == [each["name"] for each in stack.administer("list")["applications"]]


def test_new_schedules_go_to_the_restored_table(stack):
    old = stack.output("TableName")
    restore(stack, [])
    assert (RESTORED, f"arn:aws:dynamodb:eu-central-1:123456789012:table/{RESTORED}") == (
        stack.output("TableName"),
        stack.output("TableArn"),
    )
    scheduled = stack.schedule({"delay": 3 * HOUR, "data": "x"})
    stack.advance(hours=4)
    assert [scheduled["id"]] == [each.id for each in stack.released()]
    assert [] == items(stack, old)


def test_every_function_and_every_role_uses_the_restored_table():
    """A function that were left out would go on with the old one. Every optional part of the stack is there."""
    declared = Template(ROOT / "template.yml", {})._document["Parameters"]
    switches = {name: "true" for name, each in declared.items() if each.get("AllowedValues") == ["true", "false"]}
    assert {"ApiEnabled", "Canary", "ConsumerEnabled"} <= set(switches)
    parameters = {**switches, "CapacityMode": "provisioned", "RestoredTableName": RESTORED}
    template = Template(ROOT / "template.yml", parameters)
    used = {name: each for name, each in template.resources.items() if name != "Table"}
    own = re.compile(rf"{template.name('Table')}(?!\w)")
    assert not own.search(f"{used} {template.outputs}")
    assert f"table/{RESTORED}" == template.resources["WriteCapacity"]["Properties"]["ResourceId"]
    assert "Table" in template.resources


def test_without_the_parameter_nothing_but_the_own_table_is_used():
    template = Template(ROOT / "template.yml", {})
    assert template.name("Table") == template.outputs["TableName"]
    assert RESTORED not in str(template.resources)


@pytest.mark.parametrize("name", ["ab", "a b", "arn:aws:dynamodb:eu-central-1:1:table/x", "x" * 256])
def test_a_name_that_no_table_has_is_refused_before_the_deployment(name):
    with pytest.raises(ValueError, match="the name of a table with at most 148 characters, or nothing"):
        Template(ROOT / "template.yml", {"RestoredTableName": name})
