"""Receiving on moto: a crash at each call for an input message, what remains of it, and what both runs send."""

import json
import random
from collections import Counter, defaultdict
from dataclasses import replace
from functools import partial

import pytest

from fakes import OTHER_ARN, scheduling_dependencies
from scheduler.accepting.from_queue import receiving
from scheduler.accepting.request import AcceptRules
from scheduler.accepting.scheduling import accept_message
from scheduler.aws.input_queue import InputQueue
from scheduler.execution.worker_pool import SerialPool
from scheduler.model.schedule import Key
from scheduler.model.targets import AllowedTargets
from scheduler.placing.keys import KeyGenerator
from whole_stack import NOON_S, Crash, WholeStack

CALLS_MAX = 10
"""More than receiving needs, so that a crash hits each of its calls."""
TURNS_MAX = 10

MEMBERS = [
    *({"timestamp": NOON_S - 2 + number, "data": f"near {number}"} for number in range(3)),
    {"timestamp": NOON_S, "data": "gone", "target": OTHER_ARN},
    *({"timestamp": NOON_S + 5000 + number, "data": f"far {number}"} for number in range(3)),
    {"timestamp": NOON_S + 60, "data": "named", "name": "bill"},
    {"data": "refused"},
]


class Room:
    """The schedule function's dependencies, and a queue for messages that it puts back."""

    def __init__(self, cloud):
        self.stack, self.cloud = WholeStack(cloud), cloud
        self.url = cloud.sqs.create_queue(QueueName="input")["QueueUrl"]
        self.tried: Counter[str] = Counter()

    def receive(self, message):
        """Return whether the message is finished.

        The message was sent some time ago. At the third try, members for a closed queue are refused.
        """
        self.tried[message["messageId"]] += 1
        facts = {
            "SentTimestamp": str(NOON_S * 1000 - receiving.UNAVAILABLE_MS_MAX),
            "ApproximateReceiveCount": str(2 * self.tried[message["messageId"]]),
        }
        own = scheduling_dependencies(
            self.cloud.table, self.cloud.queues, AcceptRules(AllowedTargets(frozenset({OTHER_ARN}), "eu-central-1"))
        )
        own = replace(own, records=lambda: self.cloud.records, key_generator=KeyGenerator(4, random.Random(), 60_000))
        dependencies = receiving.InputQueueDependencies(
            accept=partial(accept_message, dependencies=own),
            requeue=lambda part, _: InputQueue(self.cloud.sqs, self.url).requeue(part, 0),
            report=self.cloud.queues.report,
            notify=lambda *_: None,
            allows=lambda _: False,
            pool=SerialPool(),
        )
        record = {**message, "attributes": facts}
        return [] == receiving.receive([record], self.stack.clock.deadline(20), dependencies)["batchItemFailures"]

    def requeue(self):
        return [
            {
                "messageId": each["MessageId"],
                "body": each["Body"],
                "messageAttributes": {
                    name: {"stringValue": value["StringValue"]} for name, value in each["MessageAttributes"].items()
                },
            }
            for each in self.cloud.received(self.url)
        ]

    def come_out(self):
        """Return the ids under which the members are in their queues and in the table, by their data."""
        ids = defaultdict(set)
        for message in self.cloud.received():
            ids[message["Body"]].add(message["MessageAttributes"]["id"]["StringValue"])
        for item in self.stack.waiting():
            stored = self.stack.manage_dependencies.manage_table.get(Key(item["partition"]["S"], item["sort"]["S"]))
            for each in stored.members() if "bundle" in item else [stored]:
                ids[each.data].add(each.id)
        return ids


@pytest.mark.slow
@pytest.mark.parametrize("number", range(CALLS_MAX))
def test_a_crash_loses_no_member_and_makes_no_second_one(cloud, number):
    """After a crash at any call, an accepted member has one id, a refused one is reported, and the message ends."""
    room = Room(cloud)
    waiting = [{"messageId": "first", "body": json.dumps(MEMBERS)}]
    for turn in range(TURNS_MAX):
        again = []
        for message in waiting:
            with room.stack.before_call(number if turn == 0 else -2, crash):
                again += [] if survived(room, message) else [message]
        waiting = again + room.requeue()
        if not waiting:
            break
    assert [] == waiting
    ids = room.come_out()
    assert {f"{where} {number}" for where in ("near", "far") for number in range(3)} == set(ids)
    assert {1} == {len(each) for each in ids.values()}
    assert "bill" == cloud.records.get("bill").name
    notified = {json.loads(message["Body"])["schedule"]["data"] for message in cloud.received(cloud.failure)}
    assert {"gone", "refused"} == notified


def crash():
    raise Crash


def survived(room, message):
    try:
        return room.receive(message)
    except Crash:
        return False
