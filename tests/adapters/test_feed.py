"""The whole feed on the real adapters, with the faults that lose schedules elsewhere."""

import random

import pytest

from fakes import NOON_MS, Clock, schedule, scheduling_dependencies
from scheduler.accepting.scheduling import accept
from scheduler.execution.deadline import retry_batch
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding import feed as feeding


class Crash(BaseException):
    """The process crashes here."""


def feed(cloud, clock, partition="0"):
    dependencies = feeding.FeedDependencies(cloud.table, cloud.queues, SerialPool(), 900_000, lambda payload, _: None)
    order = feeding.FeedEvent.read({"partition": partition})
    return feeding.feed(order, dependencies, clock.deadline(10_000), f"{random.random()}")


def test_a_feed_killed_between_send_and_delete_repeats_and_loses_nothing(cloud):
    """The next feed sends again: at-least-once delivery."""
    retry_batch(cloud.table.put, [schedule(number) for number in range(30)], Clock().deadline())

    def crash(**_):
        raise Crash

    cloud.dynamodb.meta.events.register("before-call.dynamodb.BatchWriteItem", crash, unique_id="crash")
    with pytest.raises(Crash):
        feed(cloud, Clock())
    cloud.dynamodb.meta.events.unregister("before-call.dynamodb.BatchWriteItem", unique_id="crash")
    assert 30 == len(cloud.received())
    assert 30 == len([item for item in cloud.items() if item["partition"]["S"] == "0"])

    feed(cloud, Clock(NOON_MS + 60_000))
    assert {f"data {number}" for number in range(30)} == {message["Body"] for message in cloud.received()}
    assert [] == [item for item in cloud.items() if item["partition"]["S"] == "0"]


def test_ten_of_256_kib_in_one_page_are_sent_unchanged(cloud):
    """One SQS call cannot hold them, so the feed counts bytes."""
    batch = [{"timestamp": NOON_MS // 1000 + 1000, "data": f"{number}\n🎉" + "ü" * 131_000} for number in range(10)]
    accept(batch, scheduling_dependencies(cloud.table, cloud.queues, partition_count=1), Clock().deadline())
    feed(cloud, Clock(NOON_MS + 1_000_000))
    assert sorted(member["data"] for member in batch) == sorted(message["Body"] for message in cloud.received())
