"""An expired schedule with a failure target: the feed finds it, and the deliver function reports it."""

import json

from punctual.testing import Stack
from scheduler.model.targets import queue_url


def test_failure_queue_and_failure_target_get_one_report_of_an_expiry():
    """The schedule is deleted from the table."""
    stack = Stack(start="2030-01-01T00:00:00Z", PartitionCount=1)
    failure_target = stack.add_target("hearer")
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
    assert [] == stack.released()
    key = {name: item[name] for name in ("partition", "sort")}
    assert "Item" not in database.get_item(TableName=table, Key=key, ConsistentRead=True)
