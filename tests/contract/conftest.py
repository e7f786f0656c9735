"""Three stand-ins for AWS with one interface: the simulator's virtual AWS, moto, and the local AWS."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from punctual.local.emulation.emulator import Emulator
from punctual.testing.cloud import Cloud
from punctual.testing.services.queues import Queue

REGION = "us-east-1"
BACKENDS = ("virtual", "moto", "local")


@dataclass
class Aws:
    """One stand-in, with a table and queues for this test."""

    name: str
    client: Callable[[str], Any]
    wait: Callable[[float], None]
    create_queue: Callable[..., str]
    create_topic: Callable[[str], str]
    """Create a topic that feeds this queue, and return its ARN."""
    table: str

    @property
    def dynamodb(self) -> Any:
        return self.client("dynamodb")

    @property
    def sqs(self) -> Any:
        return self.client("sqs")


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(params=BACKENDS)
def aws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Run the test on all three stand-ins. A test must fail on a stand-in that is known to differ: see `differs`."""
    reason = getattr(request.function, "differs", {}).get(request.param)
    if reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    if request.param == "virtual":
        yield _virtual()
    elif request.param == "moto":
        for name, value in (("AWS_DEFAULT_REGION", REGION), ("AWS_ACCESS_KEY_ID", "t"), ("AWS_SECRET_ACCESS_KEY", "t")):
            monkeypatch.setenv(name, value)
        with mock_aws():
            yield _real("moto", boto3.client)
    else:
        yield _real("local", request.getfixturevalue("emulator").client)


def _virtual() -> Aws:
    cloud = Cloud(1_893_456_000, random.Random(0))
    cloud.dynamodb.create_table("contract", "partition", "sort")

    def create_queue(**settings: Any) -> str:
        name = f"queue-{len(cloud.sqs.queues)}"
        queue = Queue(url=f"https://sqs.virtual/{name}", arn=f"arn:aws:sqs:{REGION}:123456789012:{name}", **settings)
        return cloud.sqs.create_queue(queue).url

    def create_topic(queue_url: str) -> str:
        arn = f"arn:aws:sns:{REGION}:123456789012:topic-{len(cloud.sns.topics)}"
        cloud.sns.topics.add(arn)
        cloud.sns.queues[arn] = [cloud.sqs.queues[queue_url]]
        return arn

    return Aws("virtual", cloud.client, cloud.timeline.sleep, create_queue, create_topic, "contract")


def _real(name: str, client: Callable[[str], Any]) -> Aws:
    table = f"contract-{uuid.uuid4().hex}"
    keys = (("partition", "HASH"), ("sort", "RANGE"))
    client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    sqs = client("sqs")

    def create_queue(
        visibility_s: int = 30, receives_max: int = 0, dead_letter_arn: str = "", bytes_max: int = 1_048_576
    ) -> str:
        attributes = {"VisibilityTimeout": str(visibility_s), "MaximumMessageSize": str(bytes_max)}
        if receives_max:
            policy = f'{{"deadLetterTargetArn": "{dead_letter_arn}", "maxReceiveCount": {receives_max}}}'
            attributes["RedrivePolicy"] = policy
        return str(sqs.create_queue(QueueName=f"contract-{uuid.uuid4().hex}", Attributes=attributes)["QueueUrl"])

    def create_topic(queue_url: str) -> str:
        sns = client("sns")
        arn = str(sns.create_topic(Name=f"contract-{uuid.uuid4().hex}")["TopicArn"])
        queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
        return arn

    return Aws(name, client, time.sleep, create_queue, create_topic, table)
