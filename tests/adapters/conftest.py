"""The adapters against moto, which knows the rules of the services. Tests change calls and answers on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import moto.core.models
import pytest
from moto import mock_aws

from scheduler.aws.feed_table import FeedTable
from scheduler.aws.name_records import Records
from scheduler.aws.queues import Queues
from scheduler.wiring.clients import Clients

REGION = "eu-central-1"

# Moto catches the calls of botocore without these. It would add a thousand patterns for `requests` in each test.
moto.core.models.RESPONSES_METHODS.clear()
CLIENTS = Clients()
"""Makes the clients of all tests from one session. A new session takes as long as a short test."""


@dataclass
class Cloud:
    """A table and three queues in moto, and our adapters for them."""

    dynamodb: Any
    sqs: Any
    table: FeedTable
    queues: Queues
    output: str
    failure: str
    delivery: str
    records: Records

    def received(self, queue_url: str | None = None) -> list[dict[str, Any]]:
        """Take all visible messages out of the queue."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=queue_url or self.output, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            if "Messages" not in answer:
                return found
            found += answer["Messages"]
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(answer["Messages"])]
            self.sqs.delete_message_batch(QueueUrl=queue_url or self.output, Entries=entries)

    def items(self) -> list[dict[str, Any]]:
        pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName="schedules")
        return [item for page in pages for item in page["Items"]]


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws(config={"lambda": {"use_docker": False}}):
        dynamodb, sqs = CLIENTS.make("dynamodb", 4), CLIENTS.make("sqs", 4)
        dynamodb.create_table(
            TableName="schedules",
            KeySchema=[
                {"AttributeName": "partition", "KeyType": "HASH"},
                {"AttributeName": "sort", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "partition", "AttributeType": "S"},
                {"AttributeName": "sort", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        attributes = {"MaximumMessageSize": "1048576", "VisibilityTimeout": "180"}
        output = sqs.create_queue(QueueName="output", Attributes=attributes)["QueueUrl"]
        failure = sqs.create_queue(QueueName="failure", Attributes=attributes)["QueueUrl"]
        delivery = sqs.create_queue(QueueName="delivery", Attributes=attributes)["QueueUrl"]
        queues = Queues(sqs, output, failure, delivery, lead_ms=1000)
        table, records = FeedTable(dynamodb, "schedules"), Records(dynamodb, "schedules")
        yield Cloud(dynamodb, sqs, table, queues, output, failure, delivery, records)
