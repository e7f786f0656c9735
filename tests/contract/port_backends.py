"""Implementations of the ports: the fakes of the unit tests, and the adapters on two stand-ins for AWS."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from delivery_fakes import VISIBILITY_S, FakeDeliveryQueue
from fakes import DELIVERY, FAILURE, NOON_MS, OUTPUT, Clock, FakeQueues, FakeRecords, FakeTable
from manage_fakes import FakeCounts, FakeManageTable
from punctual.testing.cloud import Cloud
from punctual.testing.services.queues import Queue
from scheduler.aws.applications.counts import Counts
from scheduler.aws.delivery_queue import DeliveryQueue
from scheduler.aws.feed_table import FeedTable
from scheduler.aws.isolation.client import ApplicationClient
from scheduler.aws.manage_table import ManageTable
from scheduler.aws.name_records import Records
from scheduler.aws.queues import Queues
from scheduler.model import delivery_job
from scheduler.model.bundle import Bundle
from scheduler.model.failure_report import QUARANTINE, failed_partitions
from scheduler.model.feed_run import partition_of
from scheduler.model.schedule import Key, Schedule, sort_from
from scheduler.placing import near_names
from scheduler.placing.near_names import Row
from scheduler.timestamps import day_of

APPLICATION = "aaaaaaaa"
BACKENDS = ("fake", "virtual", "moto", "application")
"""The last one: the adapters of an application, on moto."""
EARLIEST, LATEST = " ", "~"
"""They sort before and after every sort key."""
REGION, ACCOUNT = "eu-central-1", "123456789012"


class FakePorts:
    """The fakes, and the ways to make them fail."""

    output, delivery, failure = OUTPUT, DELIVERY, FAILURE

    def __init__(self) -> None:
        self._down = False
        self.table, self.queues, self.counts = FakeTable(), FakeQueues(), FakeCounts()
        self.manage_table = self.runs_table = FakeManageTable(table=self.table)
        self.records = FakeRecords(down=lambda: self._down)
        self._clock = Clock()
        self.delivery_queue = FakeDeliveryQueue(self._clock, self._clock.sleep)

    def go_down(self) -> None:
        """From now on, AWS answers no call."""
        self._down = self.table.down = self.queues.down = self.counts.down = self.delivery_queue.down = True

    def leave_unprocessed(self, *keys: Key) -> None:
        """DynamoDB lists the writes of these keys as unprocessed."""
        self.table.undone = keys.__contains__

    def leave_unread(self, names_max: int) -> None:
        """DynamoDB answers a batch read for this many names."""
        self.records.batch_max = names_max

    def store(self, *things: Schedule | Bundle) -> None:
        assert not self.table.put(things).not_attempted

    def store_rows(self, *rows: Row) -> None:
        self.manage_table.add_rows(*rows)

    def page_records(self, items: int) -> None:
        """End a page of records after this many."""
        self.records.page_items = items

    def send_delivery(self, body: str) -> None:
        """Put a message into the delivery queue."""
        self.delivery_queue.add(uuid.uuid4().hex, body)

    def end_visibility(self) -> None:
        """End the time for which received messages of the delivery queue are hidden."""
        self._clock.sleep(VISIBILITY_S)

    # The stored items and the sent messages.

    def quarantined(self) -> list[tuple[str, str]]:
        """Return the data and the reason of each quarantined schedule, and nothing of other items."""
        return sorted((_data(each.content), each.reason) for each in self.table.quarantined)

    def failures(self) -> list[tuple[str, str]]:
        return sorted((_data(each.schedule), each.error) for each in self.table.kept)

    def runs(self) -> list[tuple[str, int]]:
        return [(run.partition, run.moved) for run in self.table.runs]

    def waited_s(self) -> float:
        """Return how long calls of the delivery queue have waited for a message."""
        return self._clock() - NOON_MS / 1000

    def near_names(self) -> list[str]:
        return sorted(entry.name for row in self.table.near_rows.values() for entry in row.entries)

    def messages(self, queue_url: str) -> list[tuple[str, int]]:
        """Return the data of each message in this queue, and the delay with which it was sent."""
        found = [(data, delay_s) for url, data, delay_s in self.queues.sent if url == queue_url]
        if queue_url == DELIVERY:
            found += [(job.schedule.data, delivery_job.delay_s(job, NOON_MS, 0)) for job in self.queues.jobs]
        if queue_url == FAILURE:
            found += [(_data(report.schedule), 0) for report in self.queues.reports]
        return sorted(found)

    # The ways in which SQS fails.

    def close(self, queue_url: str) -> None:
        """Delete the queue."""
        self.queues.closed.add(queue_url)

    def deny(self, queue_url: str) -> None:
        """The policy of the queue denies access."""
        self.queues.closed.add(queue_url)

    def refuse(self, data: str) -> None:
        """SQS never accepts this content."""
        self.queues.refused.add(data)

    def fail(self, data: str) -> None:
        """SQS fails for this message."""
        self.queues.failing[data] = 1_000


class FaultyClient:
    """A client of AWS whose calls fail as a test says. It notes the messages that it sends."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.down = False
        self.unprocessed: tuple[Key, ...] = ()
        self.names_max: int | None = None
        self.page_items: int | None = None
        self.refused: set[str] = set()
        self.denied: set[str] = set()
        self.failing: set[str] = set()
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.received: list[dict[str, Any]] = []
        self.waited_s = 0

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            if self.down:
                raise ReadTimeoutError(endpoint_url=operation)
            faulty = getattr(self, f"_{operation}", None)
            made = getattr(self._client, operation)
            return made(**parameters) if faulty is None else faulty(made, parameters)

        if operation.startswith("_"):
            raise AttributeError(operation)
        return call

    def _batch_write_item(self, made: Callable[..., Any], parameters: dict[str, Any]) -> Any:
        ((table, requests),) = parameters["RequestItems"].items()
        left = [each for each in requests if _written_key(each) in self.unprocessed]
        done = [each for each in requests if each not in left]
        if done:
            made(RequestItems={table: done})
        return {"UnprocessedItems": {table: left} if left else {}}

    def _batch_get_item(self, made: Callable[..., Any], parameters: dict[str, Any]) -> Any:
        ((table, request),) = parameters["RequestItems"].items()
        keys = request["Keys"]
        answer = made(RequestItems={table: {**request, "Keys": keys[: self.names_max]}})
        left = keys[self.names_max :] if self.names_max is not None else []
        return {**answer, "UnprocessedKeys": {table: {**request, "Keys": left}} if left else {}}

    def _query(self, made: Callable[..., Any], parameters: dict[str, Any]) -> Any:
        return made(**({"Limit": self.page_items} if self.page_items else {}) | parameters)

    def _receive_message(self, made: Callable[..., Any], parameters: dict[str, Any]) -> Any:
        """Receive without waiting, because moto waits in real time."""
        answer = made(**parameters | {"WaitTimeSeconds": 0})
        received = answer.get("Messages", [])
        self.waited_s += 0 if received else parameters["WaitTimeSeconds"]
        self.received += received
        return answer

    def _delete_message(self, made: Callable[..., Any], parameters: dict[str, Any]) -> Any:
        self.received = [each for each in self.received if each["ReceiptHandle"] != parameters["ReceiptHandle"]]
        return made(**parameters)

    def _send_message_batch(self, made: Callable[..., Any], parameters: dict[str, Any]) -> Any:
        url, entries = parameters["QueueUrl"], parameters["Entries"]
        if url in self.denied:
            raise _refusal("AccessDenied", 403)
        if any(_text(each["MessageBody"]) in self.refused for each in entries):
            raise _refusal("InvalidMessageContents", 400)  # SQS refuses the whole batch for one such message.
        left = [each for each in entries if _text(each["MessageBody"]) in self.failing]
        done = [each for each in entries if each not in left]
        answer = dict(made(QueueUrl=url, Entries=done)) if done else {}
        ids = {each["Id"] for each in answer.get("Successful", [])}
        self.sent += [(url, each) for each in done if each["Id"] in ids]
        own = [{"Id": each["Id"], "Code": "InternalError", "SenderFault": False} for each in left]
        return {**answer, "Failed": [*answer.get("Failed", []), *own]}


class _ApplicationFeedTable(FeedTable):
    """The table of an application, with the calls about the whole stack on the table of the stack."""

    def __init__(self, client: Any, name: str, of_stack: FeedTable) -> None:
        super().__init__(client, name)
        for call in (
            "take_lease",
            "end_lease",
            "mark_fed",
            "fed_times",
            "put_run",
            "remember_partitions",
            "recall_fed",
        ):
            setattr(self, call, getattr(of_stack, call))


class AwsPorts:
    """The adapters on a stand-in for AWS, with a table and queues of their own."""

    def __init__(
        self,
        dynamodb: Any,
        sqs: Any,
        table: str,
        urls: tuple[str, str, str],
        delete: Callable[[str], Any],
        application: str = "",
    ):
        self._of_stack, self._sqs, self._delete_queue = FaultyClient(dynamodb), FaultyClient(sqs), delete
        self.output, self.delivery, self.failure = urls
        self.table = FeedTable(self._of_stack, table)
        self.queues = Queues(self._sqs, self.output, self.failure, self.delivery)
        self._dynamodb, self.runs_table = self._of_stack, ManageTable(self._of_stack, table)
        self.counts, self.delivery_queue = Counts(self._of_stack, table), DeliveryQueue(self._sqs, self.delivery)
        if application:
            self._dynamodb = FaultyClient(ApplicationClient(dynamodb, application))
            self.table = _ApplicationFeedTable(self._dynamodb, table, self.table)
            self.queues = self.queues.of(application)
        self.records, self.manage_table = Records(self._dynamodb, table), ManageTable(self._dynamodb, table)

    def go_down(self) -> None:
        self._dynamodb.down = self._of_stack.down = self._sqs.down = True

    def leave_unprocessed(self, *keys: Key) -> None:
        self._dynamodb.unprocessed = keys

    def leave_unread(self, names_max: int) -> None:
        self._dynamodb.names_max = names_max

    def store(self, *things: Schedule | Bundle) -> None:
        assert not self.table.put(things).not_attempted

    def store_rows(self, *rows: Row) -> None:
        assert not self.table.put_near_names(rows).not_attempted

    def page_records(self, items: int) -> None:
        self._dynamodb.page_items = items

    def send_delivery(self, body: str) -> None:
        self._sqs.send_message(QueueUrl=self.delivery, MessageBody=body)

    def end_visibility(self) -> None:
        for each in self._sqs.received:
            self._sqs.change_message_visibility(
                QueueUrl=self.delivery, ReceiptHandle=each["ReceiptHandle"], VisibilityTimeout=0
            )
        self._sqs.received.clear()

    def waited_s(self) -> float:
        return self._sqs.waited_s

    def quarantined(self) -> list[tuple[str, str]]:
        found = self.manage_table.failures(QUARANTINE, EARLIEST, LATEST, None).failures
        return sorted((_data(each.schedule), each.reason) for each in found)

    def failures(self) -> list[tuple[str, str]]:
        partitions = failed_partitions(day_of(NOON_MS))
        pages = [self.manage_table.failures(partition, EARLIEST, LATEST, None) for partition in partitions]
        return sorted((_data(each.schedule), each.error) for page in pages for each in page.failures)

    def runs(self) -> list[tuple[str, int]]:
        page = self.runs_table.runs(partition_of(day_of(NOON_MS)), EARLIEST, LATEST, 100, None)
        return [(run.partition, run.moved) for run in page.runs]

    def near_names(self) -> list[str]:
        ends_ms = 2 * NOON_MS
        pages = [
            self.manage_table.near_names(partition, EARLIEST, sort_from(ends_ms), ends_ms, None)
            for partition in near_names.NEAR_NAME_PARTITIONS
        ]
        return sorted(entry.name for page in pages for row in page.rows for entry in row.entries)

    def messages(self, queue_url: str) -> list[tuple[str, int]]:
        sent = [entry for url, entry in self._sqs.sent if url == queue_url]
        return sorted((_text(entry["MessageBody"]), entry.get("DelaySeconds", 0)) for entry in sent)

    def close(self, queue_url: str) -> None:
        self._delete_queue(queue_url)

    def deny(self, queue_url: str) -> None:
        self._sqs.denied.add(queue_url)

    def refuse(self, data: str) -> None:
        self._sqs.refused.add(data)

    def fail(self, data: str) -> None:
        self._sqs.failing.add(data)


def on_virtual_aws() -> AwsPorts:
    cloud = Cloud(NOON_MS / 1000, random.Random(0))
    cloud.dynamodb.create_table("schedules", "partition", "sort", "ttl")
    made = [
        cloud.sqs.create_queue(
            Queue(
                url=f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}", arn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
            )
        )
        for name in ("output", "delivery", "failure")
    ]
    output, delivery, failure = (queue.url for queue in made)
    clients = cloud.client("dynamodb"), cloud.client("sqs")
    return AwsPorts(*clients, "schedules", (output, delivery, failure), cloud.sqs.queues.pop)


def on_moto(dynamodb: Any, sqs: Any, application: str = "") -> AwsPorts:
    """Return the adapters on new resources of an account in moto."""
    table = f"schedules-{uuid.uuid4().hex}"
    keys = (("partition", "HASH"), ("sort", "RANGE"))
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    output, delivery, failure = (
        sqs.create_queue(
            QueueName=f"{name}-{uuid.uuid4().hex}",
            Attributes={"MaximumMessageSize": "1048576"},
        )["QueueUrl"]
        for name in ("output", "delivery", "failure")
    )
    urls = output, delivery, failure
    return AwsPorts(dynamodb, sqs, table, urls, lambda url: sqs.delete_queue(QueueUrl=url), application)


def _refusal(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "SendMessageBatch")


def _data(content: Any) -> str:
    return content.data if isinstance(content, Schedule) else ""


def _text(body: str) -> str:
    """Return the data in a message: in its body, in a delivery job, or in a report."""
    if not body.startswith("{"):
        return body
    facts = json.loads(body)
    return str(facts.get("schedule", facts).get("data", ""))


def _written_key(request: dict[str, Any]) -> Key:
    """Return the key of a request of BatchWriteItem."""
    item = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
    return Key(item["partition"]["S"], item["sort"]["S"])
