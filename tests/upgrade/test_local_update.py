"""Update the local AWS from the template and functions of each earlier version, with schedules under way."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest

import versions
from punctual.local.deployment import deploy
from punctual.local.emulation.emulator import Emulator
from receiver import Receiver, answer

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
REACH_S = 30
DEPLOYMENTS = 4
"""A schedule is due after as long as so many deployments take, so that it is far before and after the update."""
WITHIN_S = 90.0
PARAMETERS = {"ReachSeconds": REACH_S, "FeedIntervalMinutes": 10, "DeliveryLeadSeconds": 3, "PartitionCount": 2}


@pytest.fixture(params=versions.known())
def earlier(request, tmp_path):
    """Return the folder of an earlier version."""
    return versions.unpacked(request.param, tmp_path)


def test_an_updated_stack_sends_everything_once(earlier):
    with contextlib.closing(Receiver([answer(200)])) as server, Emulator(auth=True) as emulator:
        url = f"http://127.0.0.1:{server.port}"
        parameters = PARAMETERS | {"WebhookHosts": url, "WebhookAllowPrivate": "true"}
        begun_s = time.time()
        stack = deploy(emulator, earlier / "template.yml", parameters=parameters)
        due = round(time.time() + REACH_S + DEPLOYMENTS * (time.time() - begun_s))
        expected = _fill(stack, due, url)

        stack = deploy(emulator, REPOSITORY / "template.yml", parameters=parameters)
        assert time.time() < due - REACH_S, "the update took so long that nothing was far any more"
        pending = {each["name"] for each in stack.invoke("ManageFunction", {"operation": "list"})["schedules"]}
        assert "far" in pending
        time.sleep(max(0.0, due - REACH_S + 1 - time.time()))
        stack.invoke("TriggerFunction", {})

        assert expected == _received(stack, len(expected), due + WITHIN_S)
        assert {"named hook", "hook"} == {request.body.decode() for request in server.requests}
        assert 2 == len(server.requests)
        assert [] == _received(stack, 1, time.time() + 3)


def _fill(stack, due, url):
    """Schedule every kind and return what the output queue will get.

    Far and near, with and without a name, single, in a bundle and through the input topic.
    """
    stack.invoke("ScheduleFunction", {"timestamp": due, "data": "far"})
    stack.invoke("ScheduleFunction", {"timestamp": due, "data": "far named", "name": "far"})
    members = [{"timestamp": due, "data": f"bundled {number}"} for number in range(20)]
    stack.invoke("ScheduleFunction", members)
    stack.invoke("ScheduleFunction", {"timestamp": due, "data": "named hook", "name": "hook", "target": {"url": url}})
    stack.invoke("ScheduleFunction", {"timestamp": due, "data": "hook", "target": {"url": url}})
    near = {"delay": REACH_S - 1}
    stack.invoke("ScheduleFunction", {**near, "data": "near"})
    stack.invoke("ScheduleFunction", {**near, "data": "near named", "name": "near"})
    stack.invoke("ScheduleFunction", {**near, "data": "replaced", "name": "replaced"})
    stack.invoke("ScheduleFunction", {"timestamp": due, "data": "replaced by this", "name": "replaced"})
    message = json.dumps({"timestamp": due, "data": "by topic", "token": "t"})
    sns = stack.emulator.client("sns")
    sns.publish(TopicArn=stack.outputs["InputTopicArn"], Message=message)
    named = ["far named", "near", "near named", "replaced by this", "by topic"]
    return sorted(["far", *named, *(member["data"] for member in members)])


def _received(stack, count, until_s):
    """Return bodies from the output queue once there are `count` of them, or time is over."""
    sqs, found = stack.emulator.client("sqs"), []
    while len(found) < count and time.time() < until_s:
        queue_url = stack.outputs["OutputQueueUrl"]
        got = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        for message in got:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            found.append(message["Body"])
    return sorted(found)
