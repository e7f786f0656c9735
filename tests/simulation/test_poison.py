"""Unreadable content, wherever it is stored, is quarantined or reported, and its neighbours are sent."""

from __future__ import annotations

import hashlib
import json
import zlib

import pytest

from punctual.testing import Stack

START = 1_893_456_000
DUE_MS = (START + 1_000) * 1000
ID = "0-000000000000001-0000000000000000"


@pytest.fixture
def stack():
    return Stack(start=START, PartitionCount=1)


def job(**facts):
    return json.dumps({"id": ID, "due": 1, "data": "x", **facts})


@pytest.mark.parametrize(
    "body",
    [
        '{"id": 5, "due": 1}',
        "null",
        "[" * 200_000,
        f'{{"id": "{ID}", "data": "x", "due": -1{"0" * 400}}}',
        job(retry=-(10**400)),
        job(target='{"url":"https://a.b/"}', terms="x"),
        job(data="\ud800"),
        "x" * 500_000,
    ],
    ids=["id", "null", "deep", "due", "retry", "terms", "surrogate", "large"],
)
def test_poison_in_the_delivery_queue_is_reported_and_delays_no_other(stack, body):
    """Messages of the same batch are on time, and the poison does not come again."""
    for number in range(9):
        stack.schedule({"timestamp": START + 30, "data": str(number), "name": f"n{number}"})
    queue_url = stack.output("DeliveryQueueUrl")
    stack.client("sqs").send_message(QueueUrl=queue_url, MessageBody=body, DelaySeconds=29)
    stack.advance(minutes=30)
    assert 9 == len(stack.released())
    assert all(each.at - each.due < 1 for each in stack.released())
    (failure,) = stack.failures()
    assert "unreadable" == failure["reason"]
    assert {"Messages": []} == {"Messages": [], **stack.client("sqs").receive_message(QueueUrl=queue_url)}


def bundle(*members):
    return {"members": {"N": str(len(members))}, "bundle": {"B": zlib.compress(json.dumps(members).encode())}}


@pytest.mark.parametrize(
    ("item", "neighbours"),
    [
        ({"x": {"S": "y"}}, 0),
        ({"data": {"S": "x"}, "target": {"S": '{"url":"https://["}'}}, 0),
        ({"data": {"S": "x"}, "terms": {"S": "x"}, "expires_after": {"N": "0"}}, 0),
        ({"data": {"S": "x" * 200_000}, "more": {"S": "x" * 200_000}, "user": {"S": "\ufffe"}}, 0),
        (bundle([0, DUE_MS, "x", 5], [1, DUE_MS, "member"]), 1),
        (bundle([0, DUE_MS, "x", None, None, "soon"], [1, DUE_MS, "member"], [1, DUE_MS, "twin"]), 1),
        ({"members": {"N": "1"}, "bundle": {"B": zlib.compress(b"[" * 200_000)}}, 0),
    ],
    ids=["nothing", "url", "terms", "full", "target", "expiry", "deep"],
)
def test_poison_in_the_table_is_quarantined_and_stops_no_feed(stack, item, neighbours):
    """No feed fails because of it. The schedules and members next to it are sent once."""
    table = stack.output("TableName")
    key = {"partition": {"S": "0"}, "sort": {"S": f"{DUE_MS:015d}#{'0' * 16}"}}
    stack.client("dynamodb").put_item(TableName=table, Item={**key, **item})
    for number in range(3):
        stack.schedule({"timestamp": START + 1_000 + number, "data": str(number)})
    stack.advance(hours=2)
    assert 3 + neighbours == len(stack.released())
    assert all(each.at - each.due < 1 for each in stack.released())
    assert any(line["outcome"] == "quarantined" for line in stack.log())
    dead = stack.client("sqs").receive_message(QueueUrl=stack.output("DeadLetterQueueUrl"))
    assert [] == dead.get("Messages", [])
    left = stack.client("dynamodb").get_item(TableName=table, Key=key)
    assert "Item" not in left
    shown = stack.manage("failures")["failures"]
    assert {"quarantined"} == {failure["reason"] for failure in shown}


def test_a_record_that_holds_no_schedule_is_reported_and_closed(stack):
    """Its timer wakes it only once."""
    stack.schedule({"timestamp": START + 30, "data": "x", "name": "bill"})
    record = {"partition": {"S": f"names#{hashlib.sha256(b'bill').hexdigest()[0]}"}, "sort": {"S": "bill"}}
    stack.client("dynamodb").update_item(
        TableName=stack.output("TableName"),
        Key=record,
        UpdateExpression="SET #target = :target",
        ExpressionAttributeNames={"#target": "target"},
        ExpressionAttributeValues={":target": {"S": "nowhere"}},
    )
    stack.advance(minutes=30)
    (failure,) = stack.failures()
    assert ("failed", "bill") == (failure["reason"], failure["schedule"]["name"])
    assert "its target" in failure["error"]
    assert [] == stack.released()
    assert "failed" == stack.manage("get", name="bill")["state"]
