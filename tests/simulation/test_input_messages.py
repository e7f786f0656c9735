"""Input messages on the virtual AWS: the input queue, the schedule function that reads it, and the deliveries."""

from __future__ import annotations

import json

import pytest

from punctual.testing import Stack
from punctual.testing.services.aws_errors import refusal

START = 1_893_456_000


@pytest.fixture
def stack():
    return Stack(start=START)


@pytest.fixture
def post(stack):
    """Send to the input queue, as a permitted sender."""

    def send(content, **fields):
        url = stack.output("InputQueueUrl")
        stack.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(content), **fields)

    return send


@pytest.fixture
def received(stack):
    """Return the log lines about input messages."""
    return lambda: [line for line in stack.log() if line["outcome"] == "received"]


def out(stack):
    return [released.data for released in stack.released()]


def test_a_message_dated_in_the_future_does_not_block_a_name(stack, post):
    """Later requests stay effective, whatever its envelope says."""
    forged = {"timestamp": START + 60, "data": "forged", "name": "bill"}
    envelope = {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Timestamp": "9990-01-01T00:00:00Z"}
    post({**envelope, "Message": json.dumps(forged)})
    stack.advance(seconds=120)
    post({"timestamp": START + 180, "data": "honest", "name": "bill"})
    stack.advance(seconds=120)
    assert ["forged", "honest"] == out(stack)


def test_a_message_older_than_the_current_schedule_is_logged_as_outdated(stack, post, received):
    """It changes nothing and is no error."""
    stack.schedule({"timestamp": START + 60, "data": "stands", "name": "bill"})
    old = {"timestamp": START + 60, "data": "older", "name": "bill"}
    envelope = {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Timestamp": "2029-12-31T23:59:59Z"}
    post({**envelope, "Message": json.dumps(old)})
    stack.advance(seconds=120)
    assert (["stands"], []) == (out(stack), stack.failures())
    assert [(0, 1)] == [(line["accepted"], line["older"]) for line in received()]


@pytest.fixture
def dead(stack):
    """A target whose queue was deleted."""
    arn = stack.add_target("dead")
    queues = stack._cloud.sqs.queues
    del queues[next(url for url in queues if url.endswith("/dead"))]
    return arn


def test_a_missing_target_repeats_no_neighbour(stack, post, dead):
    """Each neighbour is sent once when due, even near ones. The refused member is reported once. No message is left."""
    names = ["a", "b", "c"]
    good = [{"timestamp": START + 5, "data": name} for name in names]
    bad = [{"timestamp": START + 5, "data": "bad", "target": dead}]
    post([*good, *bad, {"timestamp": START + 5000, "data": "far"}, {"data": "refused"}])
    stack.advance(hours=6)
    assert [*names, "far"] == out(stack)
    assert [released.due for released in stack.released()[:3]] == [int(each.at) for each in stack.released()[:3]]
    errors = {report["schedule"]["data"]: report["error"] for report in stack.failures()}
    assert {"bad", "refused"} == set(errors)
    assert "the queue is missing or denies access: NonExistentQueue" == errors["bad"]
    assert 2 == len(stack.failures())
    queues = stack._cloud.sqs.queues
    assert [{}, {}] == [queues[stack.output(name)].messages for name in ("InputQueueUrl", "DeadLetterQueueUrl")]


def test_a_target_that_returns_in_time_gets_its_messages(stack, post):
    """They have their first ids, and a delay counts from the time of sending."""
    arn = stack.add_target("away")
    queues = stack._cloud.sqs.queues
    url = next(url for url in queues if url.endswith("/away"))
    away = queues.pop(url)
    post([{"delay": 600, "data": "near"}, {"delay": 600, "data": "waits", "target": arn}])
    stack.advance(seconds=30)
    queues[url] = away
    stack.advance(minutes=20)
    assert [("near", START + 600), ("waits", START + 600)] == sorted((r.data, round(r.due)) for r in stack.released())
    assert [] == stack.failures()


def test_a_closed_output_queue_is_retried(stack, post, dead):
    """The queue is the stack's own. Its messages are sent once it opens, and no failure is reported before."""
    queue = stack._cloud.sqs.queues[stack.output("OutputQueueUrl")]
    queue.closed = refusal("AccessDenied", "closed")
    post([{"timestamp": START + 5, "data": "waits"}, {"timestamp": START + 5000, "data": "far", "name": "n"}])
    stack.advance(minutes=70)
    assert ([], []) == (out(stack), stack.failures())
    queue.closed = None
    stack.advance(minutes=30)
    assert {"waits", "far"} == set(out(stack))
    assert [] == stack.failures()


def test_a_member_that_is_never_confirmed_is_reported(stack, post):
    """After hours without confirmation, the report holds the schedule unchanged."""
    stack._cloud.sqs.queues[stack.output("OutputQueueUrl")].closed = refusal("AccessDenied", "closed")
    post({"timestamp": START + 5, "data": "lost"})
    stack.advance(hours=5)
    (report,) = stack.failures()
    assert ("refused", "lost") == (report["reason"], report["schedule"]["data"])
    assert report["error"].startswith("given up after 80 tries, and may be scheduled all the same")
    assert {} == stack._cloud.sqs.queues[stack.output("DeadLetterQueueUrl")].messages


KMS_THROTTLED = refusal("KmsThrottled", "The request was denied due to request throttling.")


@pytest.fixture
def target(stack):
    """A throttled target queue and its ARN."""
    arn = stack.add_target("throttled")
    queue = next(each for each in stack._cloud.sqs.queues.values() if each.arn == arn)
    queue.closed = KMS_THROTTLED
    return queue


def test_a_throttled_target_delays_no_other_message(stack, post, target):
    """Other messages come in one batch with its messages, and behind them."""
    for _ in range(6):
        post({"timestamp": START + 1, "data": "waits", "target": target.arn})
    for number in range(4):
        post({"timestamp": START + 1, "data": f"good {number} {'long ' * 50}"})
    stack.advance(seconds=30)
    assert 4 == len(stack.released())
    assert max(each.at - each.due for each in stack.released()) < 1
    target.closed = None
    stack.advance(minutes=10)
    assert 6 == len(target.messages)


def test_a_failing_failure_target_causes_one_report_in_the_failure_queue(stack, post, target):
    """The number of retries does not matter. Later the failure target gets one report as well."""
    post([{"data": "no time", "failure_target": target.arn}, {"timestamp": START + 5, "data": "good"}])
    stack.advance(hours=3)
    assert (["good"], 1) == (out(stack), len(stack.failures()))
    target.closed = None
    stack.advance(hours=2)
    (report,) = [json.loads(message.body) for message in target.messages.values()]
    assert ("refused", "no time") == (report["reason"], report["schedule"]["data"])
    assert {} == stack._cloud.sqs.queues[stack.output("InputQueueUrl")].messages


def test_a_failure_target_that_stays_down_leaves_no_message_behind(stack, post, target):
    """Neither the input queue nor the dead-letter queue holds one."""
    post({"data": "no time", "failure_target": target.arn})
    stack.advance(hours=12)
    assert 1 == len(stack.failures())
    for name in ("InputQueueUrl", "DeadLetterQueueUrl"):
        assert {} == stack._cloud.sqs.queues[stack.output(name)].messages


def test_a_poisoned_attribute_repeats_or_delays_no_neighbour(stack):
    """The attribute is a number with as many digits as Python reads. Any messages may share a batch with it."""
    again = f'{{"id":"a","sent":{START * 1000},"tries":{"9" * 4_300},"places":[0]}}'
    poison = {"punctual-again": {"DataType": "String", "StringValue": again}}
    entries = [{"MessageBody": json.dumps({"timestamp": START + 5, "data": f"{number}"})} for number in range(7)]
    for index in (0, 4, 9):
        entries.insert(index, {"MessageBody": json.dumps({"data": "poison"}), "MessageAttributes": poison})
    numbered = [{"Id": str(number), **entry} for number, entry in enumerate(entries)]
    stack.client("sqs").send_message_batch(QueueUrl=stack.output("InputQueueUrl"), Entries=numbered)
    stack.advance(hours=1)
    assert [f"{number}" for number in range(7)] == sorted(out(stack))
    assert all(each.at - each.due < 1 for each in stack.released())
    assert {} == stack._cloud.sqs.queues[stack.output("InputQueueUrl")].messages
