"""The loop and the worker against the local AWS, with real connections, threads and waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from punctual import Scheduler
from punctual.local.emulation.emulator import Emulator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sqs() -> Iterator[Any]:
    with Emulator() as emulator, pytest.MonkeyPatch.context() as environment:
        for name, value in {**emulator.environment(), "AWS_ENDPOINT_URL": emulator.endpoint_url}.items():
            if name.startswith("AWS_"):
                environment.setenv(name, value)
        yield emulator.client("sqs")


@pytest.fixture
def url(sqs) -> str:
    return str(sqs.create_queue(QueueName="output")["QueueUrl"])


def test_a_loop_and_a_worker_share_a_queue(sqs, url):
    """The loop deletes one message, leaves one, and releases the rest to the worker at once."""
    for number in range(12):
        parts = {
            "id": {"DataType": "String", "StringValue": f"id-{number}"},
            "due": {"DataType": "Number", "StringValue": "1893456000"},
        }
        sqs.send_message(QueueUrl=url, MessageBody=f"{number}", MessageAttributes=parts)
    with Scheduler.from_outputs({"OutputQueueUrl": url}) as scheduler:
        with scheduler.messages() as messages:
            first, second = next(messages), next(messages)
        handled = []
        scheduler.consume(lambda message: handled.append(message.id), workers=4, wait=False)
        assert {f"id-{number}" for number in range(12)} - {first.id, second.id} == set(handled)
        assert 10 == len(handled)
        second.delete()
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    assert {"0"} == set(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())
