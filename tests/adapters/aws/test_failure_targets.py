"""Failure targets: queues and topics get reports of failures, on moto."""

import json
from dataclasses import replace

import boto3
import pytest

from aws_faults import refuse_call
from fakes import NOON_MS, schedule
from scheduler.aws.failure_targets import FailureTargets
from scheduler.errors import NotConfirmed
from scheduler.limits import DATA_BYTES_MAX, SNS_MESSAGE_BYTES_MAX, SQS_MESSAGE_BYTES_MAX
from scheduler.model import failure_report
from scheduler.wiring import runtime


@pytest.fixture
def failure_targets(cloud):
    made = {name: runtime.current().client(name, 1) for name in ("sqs", "sns")}
    return FailureTargets(made.__getitem__, cloud.output), made


@pytest.fixture
def queue(cloud):
    url = cloud.sqs.create_queue(QueueName="hears", Attributes={"MaximumMessageSize": "1048576"})["QueueUrl"]
    return url, cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


@pytest.fixture
def topic(queue):
    sns = boto3.client("sns")
    arn = sns.create_topic(Name="hears")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue[1], Attributes={"RawMessageDelivery": "true"})
    return arn


def test_queues_and_topics_get_the_report(cloud, failure_targets, queue, topic):
    """It is the report of the failure queue."""
    report = failure_report.refused({"data": "x"}, "data is bad", NOON_MS)
    for failure_target in (queue[1], topic):
        failure_targets[0].notify(failure_target, report)
        assert [report.body()] == [message["Body"] for message in cloud.received(queue[0])]


def test_a_topic_gets_as_much_as_it_accepts(cloud, failure_targets, queue, topic):
    """A queue gets the complete report."""
    report = failure_report.refused({"data": "x" * (SQS_MESSAGE_BYTES_MAX - 1000)}, "data is bad", NOON_MS)
    failure_targets[0].notify(queue[1], report)
    assert [report.body()] == [message["Body"] for message in cloud.received(queue[0])]
    failure_targets[0].notify(topic, report)
    (heard,) = cloud.received(queue[0])
    assert len(heard["Body"].encode()) <= SNS_MESSAGE_BYTES_MAX
    assert json.loads(heard["Body"])["schedule_bytes"] > SNS_MESSAGE_BYTES_MAX


def calls_of(client, operation):
    """Record the calls of this operation from now on."""
    sent = []
    client.meta.events.register(f"provide-client-params.sqs.{operation}", lambda params, **_: sent.append(params))
    return sent


@pytest.mark.parametrize(("takes", "calls"), [(1_048_576, 1), (262_144, 2), (100_000, 3), (1_024, 3)])
def test_a_queue_with_a_smaller_limit_gets_a_truncated_report(cloud, failure_targets, takes, calls):
    """The report has the id and a mark. The old limit of queues was 256 KiB, and owners may set less."""
    url = cloud.sqs.create_queue(QueueName="small", Attributes={"MaximumMessageSize": str(takes)})["QueueUrl"]
    arn = cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    each = replace(schedule(1), data="x" * DATA_BYTES_MAX)
    sent = calls_of(failure_targets[1]["sqs"], "SendMessage")
    failure_targets[0].notify(arn, failure_report.failed(each, "answered 503", 5, NOON_MS))
    assert calls == len(sent)
    (heard,) = [json.loads(message["Body"]) for message in cloud.received(url)]
    assert ("failed", "answered 503", 5) == (heard["reason"], heard["error"], heard["attempts"])
    assert each.id in str(heard["schedule"])
    assert (takes < 1_000_000) == ("schedule_bytes" in heard)


def test_a_report_that_is_refused_at_any_length_is_sent_once(cloud, failure_targets, queue, capsys):
    """The same message is never sent twice. An error that is not about the content ends the tries at once."""
    report = failure_report.refused({}, "no", NOON_MS)
    for refusal, calls in (("InvalidMessageContents", 1), ("AccessDenied", 1)):
        sent = calls_of(failure_targets[1]["sqs"], "SendMessage")
        failure_targets[1]["sqs"].meta.events.register_last(
            "provide-client-params.sqs.SendMessage", refuse_call(refusal, 400), unique_id=refusal
        )
        failure_targets[0].notify(queue[1], report)
        failure_targets[1]["sqs"].meta.events.unregister("provide-client-params.sqs.SendMessage", unique_id=refusal)
        assert calls == len(sent)
        assert {"untold", refusal, queue[1]} <= set(json.loads(capsys.readouterr().out).values())


def test_a_missing_target_delays_no_other_and_a_failing_one_is_retried(cloud, failure_targets, queue, topic, capsys):
    """The failure queue has the report already."""
    report = failure_report.refused({}, "no", NOON_MS)
    for failure_target in (queue[1].replace("hears", "gone"), topic.replace("hears", "gone")):
        failure_targets[0].notify(failure_target, report)
        assert {"untold", failure_target} <= set(json.loads(capsys.readouterr().out).values())
    failure_targets[1]["sns"].meta.events.register("provide-client-params.sns.Publish", refuse_call("Throttled", 500))
    with pytest.raises(NotConfirmed):
        failure_targets[0].notify(topic, report)
