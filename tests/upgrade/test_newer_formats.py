"""Data in a newer format, as newer code leaves it when an update is taken back, is neither lost nor misread."""

from __future__ import annotations

import json

import pytest

import under_way
from punctual.testing import Stack
from punctual.testing.outcomes import Refused

START = 1_893_456_000
WITHIN_REACH_S = START + 1_190
"""Between two ticks, and within reach at the first of them."""
NEWER = "newer code stored it in format 2, and this version of Punctual reads formats up to 1; update the stack"


@pytest.fixture
def stack():
    return Stack(start=START, PartitionCount=1)


def stored(stack, partition="0"):
    """Return the items under a hash key."""
    (table,) = stack._cloud.dynamodb.tables.values()
    return list(table.items.get(partition, {}).values())


def write(stack, item):
    stack.client("dynamodb").put_item(TableName=stack.output("TableName"), Item=item)


def in_format(stack, version, partition="0"):
    """Store the items under a hash key again with this version, or with none."""
    for item in stored(stack, partition):
        rest = {name: value for name, value in item.items() if name != "v"}
        write(stack, rest if version is None else {**rest, "v": {"N": str(version)}})


def lines(stack, outcome):
    return [line for line in stack.log() if line.get("outcome") == outcome]


def far(stack, **fields):
    return stack.schedule({"timestamp": WITHIN_REACH_S, "data": "x", **fields})


def bundle(stack):
    stack.schedule([{"timestamp": WITHIN_REACH_S, "data": f"{number}"} for number in range(3)])


def test_present_formats_carry_no_version():
    """They cost no byte, and code from before the version existed reads them."""
    recording = under_way.record()
    assert not any("v" in item for item in recording["items"])
    bodies = [message["body"] for message in recording["messages"]["virtual-DeliveryQueue"]]
    assert bodies
    assert not any("v" in json.loads(body) for body in bodies)


@pytest.mark.parametrize("fill", [far, bundle])
def test_a_newer_item_is_sent_on_time_if_the_update_comes_before_it_is_due(stack, fill):
    """The feed leaves the item, and Lambda retries the feed, which may be updated by then."""
    fill(stack)
    in_format(stack, 2)
    stack.advance(seconds=630)
    assert (1, []) == (len(stored(stack)), stored(stack, "quarantine"))
    assert [1, 0] == [lines(stack, "fed")[-1]["held"], lines(stack, "fed")[-1]["quarantined"]]
    in_format(stack, None)
    stack.advance(seconds=600)
    assert {each.due for each in stack.released()} == {WITHIN_REACH_S}
    assert all(each.at - each.due < 1 for each in stack.released())


@pytest.mark.parametrize("fill", [far, bundle])
def test_an_overdue_newer_item_waits_for_an_update_and_delays_no_other(stack, fill):
    """Each feed fails, which the alarm of the dead-letter queue tells. The update sends the item at once."""
    fill(stack)
    before = stored(stack)
    in_format(stack, 2)
    stack.schedule({"timestamp": WITHIN_REACH_S + 1, "data": "neighbour"})
    stack.advance(hours=3)
    assert ["neighbour"] == [each.data for each in stack.released()]
    assert stack.released()[0].at - stack.released()[0].due < 1
    assert [] == stored(stack, "quarantine")
    assert stack._cloud.sqs.queues[stack.output("DeadLetterQueueUrl")].messages
    in_format(stack, None)
    assert before == stored(stack)
    stack.advance(minutes=11)
    assert {WITHIN_REACH_S, WITHIN_REACH_S + 1} == {each.due for each in stack.released()}
    assert [] == stored(stack)


@pytest.mark.parametrize("fill", [far, bundle])
def test_a_newer_item_that_is_a_day_overdue_is_quarantined_unchanged(stack, fill):
    """The log says what to do, and newer code finds it by its id."""
    fill(stack)
    (item,) = stored(stack)
    in_format(stack, 2)
    stack.advance(days=1, minutes=40)
    (quarantined,) = stored(stack, "quarantine")
    unchanged = {name: value for name, value in item.items() if name != "partition"}
    assert unchanged == {name: quarantined[name] for name in unchanged}
    assert {"N": "2"} == quarantined["v"]
    assert f"0-{item['sort']['S'].replace('#', '-')}" == quarantined["id"]["S"]
    assert NEWER in lines(stack, "quarantined")[0]["reason"]


def test_a_redrive_leaves_what_only_newer_code_can_send(stack):
    scheduled = far(stack)
    in_format(stack, 2)
    stack.advance(days=1, minutes=40)
    (failure,) = stack.manage("failures")["failures"]
    assert NEWER in failure["reason"] + failure["error"]
    with pytest.raises(Refused):
        stack.manage("redrive", id=scheduled["id"])
    assert 1 == len(stored(stack, "quarantine"))
    in_format(stack, None, "quarantine")
    stack.manage("redrive", id=scheduled["id"])
    stack.advance(minutes=1)
    assert ["x"] == [each.data for each in stack.released()]


def test_a_newer_item_is_shown_and_changed_by_newer_code_only(stack):
    """A list shows the others, and its log names what is missing."""
    scheduled = stack.schedule({"delay": 90_000, "data": "x"})
    in_format(stack, 2)
    stack.schedule({"delay": 90_000, "data": "neighbour"})
    for operation in ({"operation": "get"}, {"operation": "cancel"}, {"operation": "move", "delay": 80_000}):
        with pytest.raises(Refused, match=NEWER) as refusal:
            stack.manage(**operation, id=scheduled["id"])
        assert "NotConfirmed" == refusal.value.kind
    assert ["neighbour"] == [each["data"] for each in stack.manage("list")["schedules"]]
    assert NEWER in lines(stack, "not read")[0]["why"]
    assert 2 == len(stored(stack))


def test_a_newer_record_keeps_its_name(stack):
    """A request for the name, a cancel and a look are refused, and its timer comes again until newer code reads it."""
    stack.schedule({"delay": 60, "data": "x", "name": "order/7"})
    (partition,) = [each["partition"]["S"] for each in under_names(stack)]
    in_format(stack, 2, partition)
    before = stored(stack, partition)
    for ask in (
        lambda: stack.manage("get", name="order/7"),
        lambda: stack.manage("cancel", name="order/7"),
        lambda: stack.schedule({"delay": 60, "data": "y", "name": "order/7"}),
    ):
        with pytest.raises(Refused, match=NEWER) as refusal:
            ask()
        assert "NotConfirmed" == refusal.value.kind
    (_, denied) = stack.schedule(
        [{"delay": 60, "data": "z", "name": "order/8"}, {"delay": 60, "data": "y", "name": "order/7"}]
    )["results"]
    assert ("NotConfirmed", True) == (denied["error"], NEWER in denied["message"])
    assert ["order/8"] == [each["name"] for each in stack.manage("list", prefix="order/")["schedules"]]
    assert "order/7" in [line["sort"] for line in lines(stack, "not read")]
    stack.advance(minutes=20)
    assert before == stored(stack, partition)
    assert ["z"] == [each.data for each in stack.released()]
    in_format(stack, None, partition)
    stack.advance(minutes=6)
    assert ["z", "x"] == [each.data for each in stack.released()]


def test_a_newer_delivery_comes_again_until_newer_code_reads_it(stack):
    """Its neighbours in the batch are delivered, and nothing is reported as unreadable."""
    id = "0-000000000000001-0000000000000000"
    body = json.dumps({"id": id, "due": 1, "data": "x", "name": "n", "v": 2})
    stack.client("sqs").send_message(QueueUrl=stack.output("DeliveryQueueUrl"), MessageBody=body)
    stack.schedule({"delay": 1, "data": "neighbour", "name": "neighbour"})
    stack.advance(minutes=20)
    assert ["neighbour"] == [each.data for each in stack.released()]
    assert [] == stack.failures()
    assert 1 == len(stack._cloud.sqs.queues[stack.output("DeliveryQueueUrl")].messages)
    assert NEWER in lines(stack, "not confirmed")[0]["error"]


def under_names(stack):
    (table,) = stack._cloud.dynamodb.tables.values()
    return [item for key, rows in table.items.items() if key.startswith("names#") for item in rows.values()]
