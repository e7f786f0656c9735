"""An output queue for the tests: in moto, for consumers with threads, or in the virtual stack."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto import mock_aws

NOW = 1_893_456_000.0


@dataclass
class World:
    """A backend with AWS by moto, and a clock that the test moves, or sets to another time.

    A test may put a function before a call of SQS.
    """

    sqs: Any
    time: float = NOW
    clock_set_by: float = 0.0
    parallel: bool = True
    slept: list[float] = field(default_factory=list)
    before: dict[str, Callable[..., None]] = field(default_factory=dict)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    """moto changes its queues without a lock of its own."""

    def client(self, service: str) -> Any:
        assert service == "sqs"
        return _Watched(self)

    def now(self) -> float:
        return self.time + self.clock_set_by

    def steady(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def close(self) -> None:
        pass


class _Watched:
    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            self._world.before.get(operation, lambda **_: None)(**parameters)
            if "WaitTimeSeconds" in parameters:
                parameters["WaitTimeSeconds"] = 0  # Nothing else comes, and moto would wait in real time.
            with self._world.one_at_a_time:
                return getattr(self._world.sqs, operation)(**parameters)

        return call


@dataclass
class OutputQueue:
    """A queue with messages as Punctual sends them."""

    world: World
    url: str

    def send(self, *ids: str, due: float = NOW, data: str = '{"order": 7}', **attributes: str) -> None:
        for id in ids:
            texts = {"id": id, **attributes}
            parts = {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()}
            parts["due"] = {"DataType": "Number", "StringValue": f"{due}"}
            self.world.sqs.send_message(QueueUrl=self.url, MessageBody=data, MessageAttributes=parts)

    def counts(self) -> tuple[int, int]:
        """Return how many messages are visible, and how many a consumer holds."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.world.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        visible, held = (int(answer[name]) for name in names)
        return visible, held


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    """Put moto in place of AWS for one file: other files of the same run speak to the local AWS."""
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        yield


@pytest.fixture(scope="module")
def sqs(aws: None) -> Any:
    return boto3.client("sqs")


@pytest.fixture
def world(sqs: Any) -> World:
    return World(sqs)


@pytest.fixture
def output(world: World) -> OutputQueue:
    return OutputQueue(world, world.sqs.create_queue(QueueName=f"output-{uuid.uuid4().hex}")["QueueUrl"])


def event_of(*ids: str, data: str = '{"order": 7}', due: float = NOW, **attributes: str) -> dict[str, Any]:
    """Return an event of SQS, as Lambda passes it to a function."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": data,
                "attributes": {"SentTimestamp": str(int(due * 1000)), "ApproximateReceiveCount": "1"},
                "messageAttributes": {
                    name: {"dataType": "String", "stringValue": text}
                    for name, text in {"id": id, "due": f"{due}", **attributes}.items()
                },
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:output",
            }
            for number, id in enumerate(ids)
        ]
    }


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    return lambda *ids, **more: json.loads(json.dumps(event_of(*ids, **more)))
