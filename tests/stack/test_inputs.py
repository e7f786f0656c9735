"""Schedules from the input topic and the input queue of the deployed stack, in the older shapes as well."""

import json
import time
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

import receivers as beside
from waiting import wait_until

pytestmark = pytest.mark.slow

EVENTS = Path(__file__).parents[2] / "events"
WITHIN_S = 15
FAR_S = 4_070_908_800
PUBLISHER, UNLISTED = "111122223333", "444455556666"

# bahrmichael/aws-scheduler, README.md, "Input": the event of the Python example, as json.dumps writes it.
TOPIC_MESSAGE = (
    '{"date": "2019-07-27T12:20:24.919071", '
    '"target": "arn:aws:sns:us-east-1:256608350746:scheduler-output-prod", '
    '"user": "Twitter @michabahr", '
    '"payload": "46607451-3e67-49bc-972b-425c150c5456"}'
)

# agusmdev/aws-serverless-scheduler, README.md, "Input", with the receiver's host instead of Telegram's.
WEBHOOK_MESSAGE = (
    '{"date": "2019-07-27T12:30:24.919071", '
    '"url": "%s/bot<YOUR_TELEGRAM_BOT_TOKEN>/sendMessage'
    '?chat_id=<YOUR_TELEGRAM_CHAT_ID>&text=Your first scheduled message!", '
    '"method": "post"}'
)


@pytest.fixture
def stack(delivering_stack):
    return delivering_stack


@pytest.fixture
def publish(stack):
    """Publish to the input topic as the owner of the stack."""

    def send(message):
        text = message if isinstance(message, str) else json.dumps(message)
        topics = stack.emulator.client("sns")
        return topics.publish(TopicArn=stack.outputs["InputTopicArn"], Message=text)["MessageId"]

    return send


@pytest.fixture
def input_queue(stack, queue_of):
    return queue_of(stack, "InputQueueUrl")


@pytest.fixture
def output(stack, queue_of):
    return queue_of(stack, "OutputQueueUrl")


@pytest.fixture
def failure_reports(stack, queue_of):
    return queue_of(stack, "FailureQueueUrl")


@pytest.fixture
def far_ones(stack, table_of):
    """Return the stored schedules once there are `count` of them, or after a while."""

    def items(count, within_s=WITHIN_S):
        deadline_s = time.time() + within_s
        while len(found := table_of(stack).items()) < count and time.time() < deadline_s:
            time.sleep(0.1)
        return found

    return items


def test_messages_of_the_older_system_for_topics_are_delivered(receivers, publish):
    """The example of its README is sent byte for byte to the topic that it names."""
    publish(TOPIC_MESSAGE)
    (message,) = receivers.of_older_topic.receive()
    assert "46607451-3e67-49bc-972b-425c150c5456" == message.body
    assert ("Twitter @michabahr", "1564230024.920") == (message.attributes["user"], message.attributes["due"])


def test_messages_of_the_older_system_for_webhooks_are_delivered(receivers, publish):
    """The example of its README becomes the same request as in that system."""
    publish(WEBHOOK_MESSAGE % receivers.url(""))
    (request,) = wait_for_requests(receivers.server)
    assert (
        "POST /bot%3CYOUR_TELEGRAM_BOT_TOKEN%3E/sendMessage?chat_id=%3CYOUR_TELEGRAM_CHAT_ID%3E"
        "&text=Your%20first%20scheduled%20message! HTTP/1.1"
    ) == request.line
    assert ("application/json", {}) == (request.headers["content-type"], json.loads(request.body))


def wait_for_requests(server, count=1):
    deadline_s = time.time() + WITHIN_S
    while len(server.requests) < count and time.time() < deadline_s:
        time.sleep(0.1)
    return server.requests


def test_every_field_of_an_older_webhook_is_in_its_request(receivers, publish):
    """Method, headers, cookies and payload."""
    message = {
        "date": "2019-07-27T12:30:24.919071",
        "url": receivers.url("/orders"),
        "method": "put",
        "payload": {"order": 42},
        "headers": {"X-Token": "t"},
        "cookies": {"session": "s"},
    }
    publish(message)
    (request,) = wait_for_requests(receivers.server)
    assert ("PUT /orders HTTP/1.1", {"order": 42}) == (request.line, json.loads(request.body))
    assert ("t", "session=s") == (request.headers["x-token"], request.headers["cookie"])


def test_the_present_shape_is_accepted_by_topic_and_by_queue(publish, input_queue, output):
    """It is delivered when due. A delay counts from the time of sending."""
    sent_s = time.time()
    publish({"delay": 2, "data": "by topic"})
    input_queue.send(json.dumps({"delay": 2, "data": "by queue"}))
    messages = output.receive(2)
    assert {"by topic", "by queue"} == {message.body for message in messages}
    for message in messages:
        assert sent_s + 1 < message.due_s < sent_s + 4  # This SNS gives the time of sending in whole seconds.
        assert message.lateness_s >= 0


def test_a_batch_in_one_message_is_accepted_member_by_member(publish, output, failure_reports, receivers):
    """An invalid member is reported with its reason, to its failure target as well. The others are delivered."""
    refused = {"timestmap": 5, "data": "refused", "failure_target": receivers.failures.arn}
    publish([{"delay": 0, "data": "one"}, refused, {"delay": 0, "data": "two"}])
    assert {"one", "two"} == {message.body for message in output.receive(2)}
    (told,), (heard,) = failure_reports.receive(), receivers.failures.receive()
    report = json.loads(told.body)
    assert report == json.loads(heard.body)
    assert ("refused", 0, refused) == (report["reason"], report["attempts"], report["schedule"])
    assert "did you mean timestamp?" in report["error"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("no JSON", "the message is no JSON"), ("[]", "schedules is a list of 0"), ('"text"', "the schedule is 'text'")],
)
def test_an_invalid_message_is_reported_once(input_queue, failure_reports, text, says):
    """The report holds it unchanged, and it does not come again."""
    input_queue.send(text)
    (told,) = failure_reports.receive()
    report = json.loads(told.body)
    assert "refused" == report["reason"]
    assert says in report["error"]
    assert ([], 0) == (failure_reports.receive(within_s=2), input_queue.count())


def test_an_unlisted_failure_target_is_not_notified(input_queue, failure_reports, receivers):
    """Callers must not choose where we write. The failure queue has the report."""
    input_queue.send(json.dumps({"timestamp": 5, "data": "", "failure_target": receivers.unlisted.arn}))
    (told,) = failure_reports.receive()
    assert "refused" == json.loads(told.body)["reason"]
    assert 0 == receivers.unlisted.count()


def test_a_message_that_sns_delivers_twice_is_one_schedule(input_queue, far_ones):
    """Two SQS messages have one SNS id, so both have the same token."""
    notification = {
        "Type": "Notification",
        "MessageId": str(uuid.uuid4()),
        "TopicArn": "arn:aws:sns:us-east-1:000000000000:input",
        "Message": json.dumps([{"timestamp": FAR_S, "data": "a"}, {"timestamp": FAR_S, "data": "b", "name": "b"}]),
        "Timestamp": "2020-01-01T00:00:00.000Z",
    }
    for _ in range(2):
        input_queue.send(json.dumps(notification))
    assert 3 == len(far_ones(3))  # One far schedule, and a record with its timer.
    wait_until_empty(input_queue)
    assert 3 == len(far_ones(4, within_s=2))


def wait_until_empty(queue):
    assert wait_until(lambda: 0 == queue.count(), WITHIN_S)


def test_a_message_that_sqs_delivers_twice_is_one_schedule(stack, table_of):
    """The local AWS does not do that, so the test invokes the function again with the same message."""
    event = json.loads((EVENTS / "input-queue.json").read_text())
    for record in event["Records"]:
        record["body"] = json.dumps({"timestamp": FAR_S, "data": record["messageId"]})
    first = stack.invoke("ScheduleFunction", event), table_of(stack).items()
    second = stack.invoke("ScheduleFunction", event), table_of(stack).items()
    assert first == second
    assert ({"batchItemFailures": []}, 2) == (first[0], len(first[1]))


def test_a_member_for_a_missing_queue_comes_again_alone(stack, input_queue, output, failure_reports, receivers):
    """The role lets the function put it back. It comes in a minute. At the fifth try, after ten, it is reported."""
    members = [{"timestamp": 0, "data": "good"}, {"timestamp": 0, "data": "bad", "target": receivers.gone_arn}]
    input_queue.send(json.dumps(members))
    assert ["good"] == [message.body for message in output.receive(2, within_s=5)]
    assert 1 == input_queue.count()
    input_queue.empty()

    event = json.loads((EVENTS / "input-put-back.json").read_text())
    (record,), sent_ms = event["Records"], round(time.time() * 1000) - 11 * 60 * 1000
    record["body"] = json.dumps(members)
    record["attributes"] |= {"ApproximateReceiveCount": "4", "SentTimestamp": str(sent_ms + 60_000)}
    again = {"id": "first", "sent": sent_ms, "tries": 1, "places": [1]}
    record["messageAttributes"]["punctual-again"]["stringValue"] = json.dumps(again)
    assert {"batchItemFailures": []} == stack.invoke("ScheduleFunction", event)
    (told,) = failure_reports.receive()
    assert ("bad", []) == (json.loads(told.body)["schedule"]["data"], output.receive(within_s=2))


@pytest.mark.parametrize("name", sorted(path.name for path in EVENTS.glob("input-*.json")))
def test_the_sample_events_of_the_inputs_are_finished(stack, name):
    """Their members are accepted, or refused and reported."""
    answer = stack.invoke("ScheduleFunction", json.loads((EVENTS / name).read_text()))
    assert {"batchItemFailures": []} == answer


def test_only_listed_accounts_publish_from_outside(stack, output):
    """AllowedPublishers sets the topic's policy."""
    listed, unlisted = (beside.client_of(stack.emulator, account, "sns") for account in (PUBLISHER, UNLISTED))
    message = json.dumps({"delay": 0, "data": "from another account"})
    with pytest.raises(ClientError) as refusal:
        unlisted.publish(TopicArn=stack.outputs["InputTopicArn"], Message=message)
    assert "AuthorizationError" == refusal.value.response["Error"]["Code"]
    listed.publish(TopicArn=stack.outputs["InputTopicArn"], Message=message)
    assert ["from another account"] == [found.body for found in output.receive(2, within_s=5)]
