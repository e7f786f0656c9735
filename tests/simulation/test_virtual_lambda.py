"""The virtual Lambda. moto and the local AWS cannot show minutes of retries or crashes on demand.

Sources: AWS Lambda developer guide, "Error handling for asynchronous invocations", "Understanding the Lambda execution
environment lifecycle", "Using Lambda with Amazon SQS" and "Implementing partial batch responses".
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from punctual.stack_files import stack_file
from punctual.testing.calls import Call, CallFault, Watcher
from punctual.testing.cloud import Cloud
from punctual.testing.services.environments import Function
from punctual.testing.services.event_sources import EventSource
from punctual.testing.services.queues import Queue

START = 1_893_456_000
PROBE = """
from scheduler.wiring import runtime

its_runtime = runtime.current()
count = 0


def handler(event, context):
    global count
    count += 1
    print(f"{int(its_runtime.clock())} {count}")
    if "sleep" in event:
        its_runtime.sleep(event["sleep"])
    if event.get("raise"):
        raise RuntimeError("on purpose")
    if event.get("call"):
        its_runtime.client("sqs", 1).send_message(QueueUrl=event["call"], MessageBody="x")
    if "Records" in event:
        its_runtime.sleep(max(int(record["body"]) if record["body"].isdigit() else 0 for record in event["Records"]))
        failed = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}
    return {"count": count}
"""


class Crashing:
    """Faults that crash every call of a function."""

    def call_fault(self, call: Call) -> CallFault:
        return CallFault(crash="" if call.process.name == "outside" else "before")


@dataclass
class Bench:
    """A virtual AWS with a function that does what the event says."""

    cloud: Cloud
    lines: list[tuple[int, int]] = field(default_factory=list)

    def invoke(self, event: dict[str, Any], kind: str = "Event") -> Any:
        answer = self.cloud.client("lambda").invoke(
            FunctionName="probe", InvocationType=kind, Payload=json.dumps(event).encode()
        )
        return answer if kind == "Event" else (answer.get("FunctionError"), json.loads(answer["Payload"].read()))

    def pass_time(self, seconds: float) -> None:
        self.cloud.timeline.sleep(seconds)

    def queue(self, name: str, **settings: Any) -> Queue:
        return self.cloud.sqs.create_queue(
            Queue(url=f"https://sqs/{name}", arn=f"arn:aws:sqs:eu-central-1:123456789012:{name}", **settings)
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "functions"
    shutil.copytree(stack_file("functions"), folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "probe.py").write_text(PROBE)
    lines: list[tuple[int, int]] = []

    def write(line: str) -> None:
        moment, count = line.split()
        lines.append((int(moment) - START, int(count)))

    cloud = Cloud(START, random.Random(0), watcher=Watcher(), folder=folder, write=write)
    cloud.sqs.create_queue(Queue(url="https://sqs/failed", arn="arn:failed"))
    cloud.functions.deploy(Function("probe", "probe.handler", 10, {}, event_age_s=600, failure_queue_arn="arn:failed"))
    return Bench(cloud, lines)


def moments(bench: Bench) -> list[int]:
    return [moment for moment, _ in bench.lines]


def test_an_asynchronous_invocation_is_tried_three_times(bench):
    """It is tried at once, a minute later, and two minutes after that. Then its failure queue gets the event."""
    bench.invoke({"raise": True})
    bench.pass_time(3600)
    assert [0, 60, 180] == moments(bench)
    (message,) = bench.cloud.sqs.queues["https://sqs/failed"].messages.values()
    record = json.loads(message.body)
    assert "RetriesExhausted" == record["requestContext"]["condition"]
    assert {"raise": True} == record["requestPayload"]
    assert "RuntimeError" == record["responsePayload"]["errorType"]


def test_a_synchronous_invocation_is_tried_once(bench):
    """The caller gets its error."""
    kind, fault = bench.invoke({"raise": True}, "RequestResponse")
    assert ("Unhandled", "RuntimeError", "on purpose") == (kind, fault["errorType"], fault["errorMessage"])
    bench.pass_time(600)
    assert 1 == len(bench.lines)


def test_an_environment_is_used_again_and_keeps_its_state(bench):
    """It runs one invocation at a time. Two at once have an environment each."""
    assert 1 == bench.invoke({}, "RequestResponse")[1]["count"]
    assert 2 == bench.invoke({}, "RequestResponse")[1]["count"]
    bench.invoke({"sleep": 1})
    bench.invoke({"sleep": 1})
    bench.pass_time(5)
    assert [1, 1, 2, 3] == sorted(count for _, count in bench.lines)


def test_a_function_is_stopped_at_its_timeout(bench):
    """Its environment and its state are lost."""
    kind, fault = bench.invoke({"sleep": 30}, "RequestResponse")
    assert ("Unhandled", "Sandbox.Timedout") == (kind, fault["errorType"])
    assert 1 == bench.invoke({}, "RequestResponse")[1]["count"]


def test_a_crash_ends_the_environment_and_is_retried(bench):
    """Lambda treats a process that dies like any other error."""
    queue = bench.queue("calls")
    bench.cloud.network.faults = Crashing()
    bench.invoke({"call": queue.url})
    bench.pass_time(3600)
    assert [(0, 1), (60, 1), (180, 1)] == bench.lines
    assert not queue.messages


def test_a_new_version_gets_new_environments(bench):
    assert 1 == bench.invoke({}, "RequestResponse")[1]["count"]
    bench.cloud.functions.deploy(Function("probe", "probe.handler", 20, {"NEW": "yes"}))
    assert 1 == bench.invoke({}, "RequestResponse")[1]["count"]


def test_messages_of_a_batch_fail_one_by_one(bench):
    """A failed message comes again after the visibility timeout, and the others are deleted."""
    queue = bench.queue("source", visibility_s=60, receives_max=2, dead_letter_arn="arn:failed")
    bench.cloud.functions.add_mapping(EventSource("probe", queue.url, item_failures=True))
    client = bench.cloud.client("sqs")
    client.send_message(QueueUrl=queue.url, MessageBody="good")
    client.send_message(QueueUrl=queue.url, MessageBody="bad")
    bench.pass_time(30)
    assert ["bad"] == [message.body for message in queue.messages.values()]
    bench.pass_time(300)
    assert not queue.messages
    assert ["bad"] == [message.body for message in bench.cloud.sqs.queues["https://sqs/failed"].messages.values()]


def test_a_mapping_begins_with_two_batches_and_has_five_after_a_minute_of_work(bench):
    """Lambda polls with fewer connections after a quiet time."""
    queue = bench.queue("busy")
    bench.cloud.functions.deploy(Function("probe", "probe.handler", 60, {}))
    bench.cloud.functions.add_mapping(EventSource("probe", queue.url, batch_size=1))
    send = bench.cloud.client("sqs").send_message
    for _ in range(30):
        send(QueueUrl=queue.url, MessageBody="30")
    bench.pass_time(100)
    assert {0: 2, 30: 2, 60: 5, 90: 5} == Counter(moment // 30 * 30 for moment in moments(bench))
    bench.pass_time(3600)
    for _ in range(10):
        send(QueueUrl=queue.url, MessageBody="30")
    bench.pass_time(10)
    assert 2 == len([moment for moment in moments(bench) if moment >= 3700])


def test_a_delayed_message_reaches_its_function_when_it_is_due(bench):
    queue = bench.queue("delayed")
    bench.cloud.functions.add_mapping(EventSource("probe", queue.url))
    bench.cloud.client("sqs").send_message(QueueUrl=queue.url, MessageBody="x", DelaySeconds=42)
    bench.pass_time(100)
    assert [42] == moments(bench)


def test_the_package_behind_the_handlers_has_no_mutable_state(bench):
    """Environments of the virtual Lambda share it. State belongs into handlers, which each environment imports anew."""
    modules: dict[str, Any] = bench.cloud.functions.source.modules()
    changing = [
        f"{module}.{name}"
        for module, content in modules.items()
        for name, value in vars(content).items()
        if isinstance(value, list | dict | set) and not name.startswith("__")
    ]
    assert [] == changing
