"""The feed reports and keeps expired schedules. With a failure target, the deliver function does."""

import json

from punctual.testing import Stack
from punctual.testing.timeline import US
from scheduler.model.targets import queue_url


def test_failure_queue_and_failure_target_get_one_report_of_an_expiry():
    """The schedule is deleted from the table."""
    stack = Stack(start="2030-01-01T00:00:00Z", PartitionCount=1)
    failure_target = stack.add_target("failures")
    database, table = stack.client("dynamodb"), stack.output("TableName")
    item = {
        "partition": {"S": "0"},
        "sort": {"S": f"{int(stack.now * 1000) - 60_000:015d}#0123456789abcdef"},
        "data": {"S": "too late"},
        "expires_after": {"N": "1000"},
        "terms": {"S": json.dumps({"failure_target": failure_target}, separators=(",", ":"))},
    }
    database.put_item(TableName=table, Item=item)
    stack.advance(seconds=1_300)
    assert ["expired"] == [failure["reason"] for failure in stack.failures()]
    url = queue_url(failure_target, stack.output("OutputQueueUrl"))
    messages = stack.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert ["expired"] == [json.loads(message["Body"])["reason"] for message in messages]
    assert ([], ["expired"]) == (stack.released(), [each["reason"] for each in stack.manage("failures")["failures"]])
    key = {name: item[name] for name in ("partition", "sort")}
    assert "Item" not in database.get_item(TableName=table, Key=key, ConsistentRead=True)


def test_an_expiry_in_the_feed_is_listed_by_failures_and_can_be_redriven():
    """Rule off, clock on: the feed comes too late for two schedules of a batch and for one alone."""
    stack = Stack(start="2030-01-01T00:00:00Z", PartitionCount=1)
    due = stack.now + 3_600
    batch = [{"timestamp": due + number, "data": f"x {number}", "expires_after": 60} for number in range(2)]
    alone = {"timestamp": due, "data": "alone", "expires_after": 60, "user": "u"}
    ids = [each["id"] for each in [*stack.schedule(batch)["results"], stack.schedule(alone)]]
    stack._cloud.functions.skip_ticks(round((due + 600) * US))
    stack.advance(seconds=6_000)
    assert [] == stack.released()
    listed = stack.manage("failures", **{"from": due, "to": due + 6_000})["failures"]
    assert sorted(ids) == sorted(each["id"] for each in listed)
    assert [("expired", 0)] * 3 == [(each["reason"], each["attempts"]) for each in listed]
    assert {(each["schedule"]["id"], each["at"]) for each in stack.failures()} == {
        (each["id"], each["failed"]) for each in listed
    }
    assert 1 == stack.manage("redrive", id=ids[0])["redriven"]
    assert 2 == stack.manage("redrive", **{"from": due, "to": stack.now})["redriven"]
    stack.advance(seconds=5)
    assert {("x 0", None), ("x 1", None), ("alone", "u")} == {(each.data, each.user) for each in stack.released()}
    assert [] == stack.manage("failures")["failures"]
