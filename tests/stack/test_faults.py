"""Partial failures over ten thousand schedules, with our adapters on the deployed table and queue."""

import random
import time

import boto3
import pytest

from aws_faults import bend_batch
from fakes import scheduling_dependencies
from scheduler.accepting.scheduling import accept
from scheduler.aws.feed_table import FeedTable
from scheduler.aws.queues import Queues
from scheduler.execution.deadline import Deadline
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding import feed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("bundled", [False, True], ids=["plain", "bundled"])
def test_one_percent_of_partial_failures_loses_and_leaves_nothing(stack, table, output_queue, bundled):
    """Both batch calls fail, in the schedule function and in the feed. No schedule is sent twice."""
    chance = random.Random(1)
    dynamodb, sqs = fresh_client(stack, "dynamodb"), fresh_client(stack, "sqs")
    bend_batch(
        dynamodb,
        "dynamodb.BatchWriteItem",
        lambda params: params["RequestItems"][table.name],
        lambda request: chance.random() < 0.01,
        lambda parsed, held: parsed.update(UnprocessedItems={table.name: list(held)} if held else {}),
    )
    bend_batch(
        sqs,
        "sqs.SendMessageBatch",
        lambda params: params["Entries"],
        lambda entry: chance.random() < 0.01,
        lambda parsed, held: parsed.update(
            Failed=[{"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in held]
        ),
    )
    schedules, queues = FeedTable(dynamodb, table.name), Queues(sqs, output_queue.url)
    now_s = time.time()
    batch = [{"timestamp": int(now_s) + 1000, "data": str(number)} for number in range(10_000)]
    if not bundled:
        batch = [{**member, "token": member["data"]} for member in batch]
    taken_in = accept(batch, scheduling_dependencies(schedules, queues, partition_count=2), deadline(now_s))
    assert 10_000 == taken_in["accepted"]
    assert (20 if bundled else 10_000) == len(table.items())

    dependencies = feed.FeedDependencies(schedules, queues, SerialPool(), 900_000, lambda payload, _: None)
    for partition in "01":
        counts = feed.feed(feed.FeedEvent(partition), dependencies, deadline(now_s + 1000), partition)
        assert 0 == counts.left
    bodies = [message.body for message in output_queue.receive(10_000, within_s=900)]
    assert sorted(map(str, range(10_000))) == sorted(bodies)
    assert [] == table.items()


def deadline(now_s):
    """Return a deadline at that time, which never ends."""
    return Deadline(lambda: now_s, lambda pause_s: None, lambda: 0.5, now_s + 10_000)


def fresh_client(stack, service):
    """Return a new client, so that changes on its wire affect no other one."""
    variables = stack.emulator.environment()
    return boto3.client(
        service,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_DEFAULT_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
