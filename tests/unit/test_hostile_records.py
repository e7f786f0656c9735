"""No message fails another one, attributes included: input queue, delivery queue and consumer."""

from __future__ import annotations

import functools
import json
from contextlib import redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings

import hostile_records as hostile
from fakes import (
    DELIVERY,
    NOON_MS,
    OTHER_ARN,
    OUTPUT,
    Clock,
    FakeQueues,
    FakeRecords,
    FakeTable,
    scheduling_dependencies,
)
from scheduler.accepting import request, scheduling
from scheduler.accepting.from_queue import receiving
from scheduler.accepting.from_queue.input_message import REQUEUE_ATTRIBUTE
from scheduler.aws import failure_targets
from scheduler.aws.queues import Queues
from scheduler.delivering import consuming, delivery
from scheduler.delivering.circuit_breaker import CircuitBreaker
from scheduler.delivering.dependencies import DeliveryDependencies
from scheduler.delivering.next_messages import NextMessages
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.worker_pool import SerialPool
from scheduler.limits import SNS_MESSAGE_BYTES_MAX, SQS_MESSAGE_BYTES_MAX
from scheduler.model import sqs_records
from scheduler.placing.partitions import PartitionCount
from scheduler.wiring import config

SYSTEM = {"SentTimestamp": str(NOON_MS), "ApproximateReceiveCount": "1"}
ENVIRONMENT = {"WEBHOOK_HOSTS": "*", "AWS_REGION": "eu-central-1", "TARGET_ARNS": f"{OTHER_ARN},{hostile.TOPIC_ARN}"}
LISTED = config.from_environment(environment=ENVIRONMENT).listed

widely = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


class Aws:
    """A fake of AWS that accepts exactly what SQS and SNS accept."""

    def __init__(self):
        self.sent = []

    def send_message_batch(self, QueueUrl, Entries):  # noqa: N803
        return {"Successful": [{"Id": each["Id"]} for each in Entries if self.send_message(QueueUrl, **each) == {}]}

    def send_message(self, QueueUrl, MessageBody, **facts):  # noqa: N803
        assert 1 <= len(MessageBody.encode()) <= SQS_MESSAGE_BYTES_MAX
        json.dumps(facts).encode()
        self.sent.append((QueueUrl, MessageBody))
        return {}

    def publish(self, TopicArn, Message):  # noqa: N803
        assert len(Message.encode()) <= SNS_MESSAGE_BYTES_MAX
        return {}


def run(work):
    """Return the ids of failed messages, and the log lines. No line may show an exception of ours."""
    printed = StringIO()
    with redirect_stdout(printed):
        answer = work()
    lines = [json.loads(line) for line in printed.getvalue().splitlines()]
    assert not [line for line in lines if "where" in line or str(line.get("error", "")).endswith("Error")]
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]], lines


MESSAGE = {"body": json.dumps({"delay": 5, "data": "good"}), "attributes": SYSTEM, "messageAttributes": {}}


POISON = json.dumps({"id": "a", "sent": NOON_MS, "tries": 0, "places": [0]}).replace(": 0,", f": {'9' * 4_300},")


@widely
@example(
    [
        {**MESSAGE, "messageId": "good"},
        {**MESSAGE, "messageId": "bad", "body": "5", "messageAttributes": {REQUEUE_ATTRIBUTE: {"stringValue": POISON}}},
    ]
)
@given(hostile.batches(MESSAGE))
def test_no_record_of_the_input_queue_fails_another(records):
    """The good message is sent. Each other message is sent, put back, or reported."""
    clock, queues, aws = Clock(), FakeQueues(), Aws()
    real = Queues(aws, OUTPUT, "https://failure", DELIVERY, 1000)
    dependencies = receiving.InputQueueDependencies(
        accept=functools.partial(
            scheduling.accept_message,
            dependencies=scheduling_dependencies(FakeTable(), queues, request.AcceptRules(LISTED)),
        ),
        requeue=lambda part, pause_s: part.body.encode() and part.again.encode() != b"",
        report=real.report,
        notify=failure_targets.FailureTargets(lambda service: aws, OUTPUT).notify,
        allows=LISTED.arns.__contains__,
        pool=SerialPool(),
    )
    failed, lines = run(lambda: receiving.receive(records, clock.deadline(24), dependencies))
    assert [] == failed
    assert ["good"] == [data for _, data, _ in queues.sent if data == "good"]
    assert len(records) == len(lines) - sum(line["outcome"] != "received" for line in lines)
    refused = sum(line.get("refused", 0) for line in lines)
    assert refused == sum(url == "https://failure" for url, _ in aws.sent)


JOB = {"body": json.dumps({"id": hostile.ID, "due": NOON_MS, "data": "good", "target": OTHER_ARN})}


@widely
@given(hostile.batches(JOB))
def test_no_record_of_the_delivery_queue_fails_another(records):
    """The good message is delivered. Unreadable messages are reported, and the others are delivered or postponed."""
    clock, aws, delivered, kept = Clock(), Aws(), [], []
    transports = SimpleNamespace(deliver=lambda schedule: delivered.append(schedule.data))

    def keep(reports):
        kept.extend(report for report in reports if report.body().encode())
        return BatchResult(confirmed=list(reports))

    dependencies = DeliveryDependencies(
        records=FakeRecords(),
        table=SimpleNamespace(put_failed=keep),
        queues=Queues(aws, OUTPUT, "https://failure", DELIVERY, 1000),
        transports=transports,
        notify=failure_targets.FailureTargets(lambda service: aws, OUTPUT).notify,
        pool=SerialPool(),
        stored_count=PartitionCount(FakeTable()),
        breaker=CircuitBreaker(),
        next_messages=NextMessages(),
        delivery_queue=lambda: None,
        reach_ms=900_000,
    )
    failed, lines = run(lambda: delivery.deliver(records, dependencies, clock.deadline(37)))
    assert [] == failed
    assert "good" in delivered
    ends = ("delivered", "undelivered", "dropped", "expired")
    ended = sum(line["outcome"] in ends for line in lines)
    set_anew = sum(url == DELIVERY for url, _ in aws.sent)
    unreadable = sum(report.reason == "unreadable" for report in kept)
    assert len(records) == ended + set_anew + unreadable


DUE = {"id": {"stringValue": hostile.ID}, "due": {"stringValue": "1893456000.000"}}


@widely
@given(hostile.batches({"body": "good", "messageAttributes": DUE}))
def test_no_record_of_the_output_queue_fails_another(records):
    """The good message is handled. Unreadable ones come again alone until SQS moves them to the dead-letter queue."""
    handled = []
    failed, lines = run(lambda: consuming.consume(records, handled.append, lambda: NOON_MS / 1000))
    assert "good" not in failed
    assert "good" in [due.data for due in handled]
    assert len(records) == len(handled) + len(failed)
    assert len(failed) == sum(line["outcome"] == "unreadable" for line in lines)


@pytest.mark.parametrize("record", [None, 5, "x", [], {}, {"messageId": None}, {"messageId": "x" * 129, "body": "{}"}])
def test_a_record_without_a_message_id_is_read_as_empty(record):
    """Lambda cannot get its id, and reading does not raise."""
    arrived = sqs_records.read(record)
    assert ("", "the record has no message id") == (arrived.message_id, arrived.fault)
