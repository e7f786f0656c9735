"""The functions of examples/ do what their pages say, on the virtual stack, where a test moves the clock."""

import base64
import importlib.util
import itertools
import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
import standardwebhooks
from moto import mock_aws

from punctual import Scheduler
from punctual.testing import Stack

EXAMPLES = Path(__file__).parents[2] / "examples"
START = "2030-01-01T00:00:00Z"
SECRETS = [f"whsec_{base64.b64encode(letter * 32).decode()}" for letter in (b"a", b"b")]


@pytest.fixture
def stack():
    return Stack(start=START)


@pytest.fixture
def load(monkeypatch):
    """Return a module of an example, as a cold start in this environment makes it."""

    def load(path, **environment):
        for name, value in {"AWS_DEFAULT_REGION": "us-east-1", **environment}.items():
            monkeypatch.setenv(name, value)
        file = EXAMPLES / path
        spec = importlib.util.spec_from_file_location(f"example_{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


# ------------------------------------------------------------------------------------------------------ order_reminders


@pytest.fixture
def shop(stack, load):
    """Send the event of an order."""
    orders = load("order_reminders/src/orders.py", REMIND_FUNCTION_ARN=stack.add_target("remind", "lambda"))
    orders.scheduler = Scheduler(stack)

    def shop(event, **fields):
        return orders.handler({"event": event, "order": 7, **fields}, None)

    return shop


def test_a_reminder_comes_at_the_moment_of_the_last_change(stack, shop):
    assert "stored" == shop("placed", remind_at="2030-01-03T09:00:00Z")["state"]
    moved = shop("changed", remind_at="2030-01-05T09:00:00+01:00")
    assert "2030-01-05T08:00:00+00:00" == moved["due"]

    stack.advance_to("2030-01-05T07:59:59Z")
    assert [] == stack.delivered()
    stack.advance(seconds=3)
    assert [{"order": 7}] == [each.json for each in stack.delivered()]


def test_a_paid_order_gets_no_reminder(stack, shop):
    """The shop may send the event twice."""
    shop("placed", remind_at="2030-01-03T09:00:00Z")
    assert {"state": "cancelled"} == shop("paid") == shop("paid")
    stack.advance(days=5)
    assert [] == stack.delivered()


def test_a_repeated_event_makes_no_second_reminder(stack, shop):
    for _ in range(2):
        shop("placed", remind_at="2030-01-03T09:00:00Z")
    stack.advance(days=5)
    assert 1 == len(stack.delivered())


def test_an_event_after_the_reminder_is_no_error(stack, shop):
    shop("placed", remind_at="2030-01-03T09:00:00Z")
    stack.advance(days=5)
    for late in (shop("changed", remind_at="2030-01-09T09:00:00Z"), shop("paid")):
        assert "no reminder is pending" == late["state"]
        assert "delivered" in late["reason"]


def test_an_unknown_event_is_an_error_that_lists_the_known_ones(shop):
    with pytest.raises(ValueError, match="'lost'; wanted: placed, changed or paid"):
        shop("lost")


# ---------------------------------------------------------------------------------------------------------- retry_later


@pytest.fixture
def closed_url():
    """An address that refuses every connection, and that no other program can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/orders/7"


@pytest.fixture
def worker(stack, load, monkeypatch):
    """The consumer of the jobs queue. Another queue of the stack stands for the one of failed jobs."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    work = load(
        "retry_later/src/work.py",
        SCHEDULE_FUNCTION_ARN=stack.output("ScheduleFunctionArn"),
        JOBS_QUEUE_ARN=stack.add_target("jobs"),
        FAILED_QUEUE_URL=stack.output("DeadLetterQueueUrl"),
        FIRST_DELAY_SECONDS="60",
        ATTEMPTS_MAX="6",
    )
    work.functions, work.sqs = stack.client("lambda"), stack.client("sqs")
    return work


def records(*bodies):
    return {"Records": [{"messageId": f"message-{number}", "body": body} for number, body in enumerate(bodies)]}


def test_a_failed_job_comes_back_after_growing_delays_and_is_kept_at_the_end(stack, worker, closed_url):
    """Each delay is five times the one before, and up to a quarter longer."""
    body = json.dumps({"url": closed_url})
    for number, delay_s in enumerate((60, 300, 1_500, 7_500, 37_500), 1):
        began_s = stack.now
        assert {"batchItemFailures": []} == worker.handler(records(body), None)
        stack.advance(seconds=delay_s * 1.25 + 2)
        *earlier, message = stack.released()
        assert number - 1 == len(earlier)
        assert delay_s <= message.at - began_s <= delay_s * 1.25 + 2
        assert {"url": closed_url, "attempts": number} == message.json
        body = message.data

    worker.handler(records(body), None)
    stack.advance(days=7)
    assert 5 == len(stack.released())
    (failed,) = stack.client("sqs").receive_message(QueueUrl=stack.output("DeadLetterQueueUrl"))["Messages"]
    job = json.loads(failed["Body"])
    assert (closed_url, 6) == (job["url"], job["attempts"])
    assert "refused" in job["reason"]


def test_a_message_that_is_no_job_brings_back_only_itself(stack, worker, closed_url):
    found = worker.handler(records("no JSON", json.dumps({"url": closed_url}), "{}"), None)
    assert [{"itemIdentifier": "message-0"}, {"itemIdentifier": "message-2"}] == found["batchItemFailures"]
    stack.advance(seconds=80)
    assert 1 == len(stack.released())


def test_a_job_that_punctual_does_not_accept_stays_in_its_queue(stack, worker, closed_url, caplog):
    """The log says what to do."""
    stack.update(TargetArns="")
    found = worker.handler(records(json.dumps({"url": closed_url})), None)
    assert [{"itemIdentifier": "message-0"}] == found["batchItemFailures"]
    assert "Punctual did not accept the schedule: target" in caplog.text
    assert "TargetArns" in caplog.text


# ----------------------------------------------------------------------------------------------------- midnight_million


@pytest.fixture
def plan(stack, load):
    """Put the lines into a file of the bucket, and plan it for midnight in Berlin."""
    with mock_aws():
        storage = boto3.client("s3", region_name="us-east-1")
        storage.create_bucket(Bucket="files")
        module = load("midnight_million/src/plan.py", PUNCTUAL_SCHEDULE_FUNCTION="unused", BUCKET="files")
        module.scheduler = Scheduler(stack)

        def plan(lines, **more):
            storage.put_object(Bucket="files", Key="recipients.ndjson", Body="".join(f"{line}\n" for line in lines))
            event = {"file": "recipients.ndjson", "timestamp": "2030-01-02T00:00", "zone": "Europe/Berlin", **more}
            return module.handler(event, None)

        yield plan


def test_two_thousand_messages_come_within_ten_minutes_from_midnight_on(stack, plan):
    """Midnight is the one of Berlin, and each line comes once."""
    lines = [f'{{"user": {number}}}' for number in range(2_000)]
    counts = plan(lines, spread=600)
    assert {"accepted": 2_000, "rejected": 0, "unconfirmed": 0, "reasons": []} == counts

    midnight_s = datetime(2030, 1, 1, 23, tzinfo=UTC).timestamp()
    stack.advance_to(midnight_s + 602)
    messages = stack.released()
    assert sorted(lines) == sorted(each.data for each in messages)
    assert all(midnight_s <= each.due <= midnight_s + 600 for each in messages)
    assert all(0 <= each.at - each.due <= 1 for each in messages)
    by_minute = [sum(each.due < midnight_s + end for each in messages) for end in range(60, 601, 60)]
    assert all(100 < later - earlier < 300 for earlier, later in itertools.pairwise([0, *by_minute])), by_minute


def test_a_line_that_is_wrong_stops_no_other(stack, plan):
    """The answer has its number and the reason."""
    counts = plan(['{"user": 1}', "", '{"user": 3}'])
    assert (2, 1) == (counts["accepted"], counts["rejected"])
    (reason,) = counts["reasons"]
    assert reason.startswith("line 2: data is ")


# ----------------------------------------------------------------------------------------------------- dead_mans_switch


@pytest.fixture
def beat(stack, load):
    """Send a heartbeat."""
    module = load(
        "dead_mans_switch/src/heartbeat.py",
        SCHEDULE_FUNCTION_ARN=stack.output("ScheduleFunctionArn"),
        ALARMS_TOPIC_ARN=stack.add_target("alarms", "sns"),
        SILENCE_SECONDS_MAX="300",
    )
    module.functions = stack.client("lambda")
    return lambda device="boiler-7": module.handler({"device": device}, None)


def test_an_alarm_comes_once_when_the_heartbeats_stop(stack, beat):
    """The first heartbeat after it begins anew."""
    results = []
    for _ in range(15):
        results.append(beat()["result"])
        last_s = stack.now
        stack.advance(minutes=4)
    assert ["created"] + 14 * ["replaced"] == results
    assert [] == stack.delivered()

    stack.advance(hours=3)
    (alarm,) = stack.delivered()
    assert "boiler-7 has sent no heartbeat for 300 seconds" == alarm.data
    assert 300 <= alarm.at - last_s <= 302

    assert "created" == beat()["result"]
    stack.advance(minutes=6)
    assert 2 == len(stack.delivered())


def test_each_device_has_an_alarm_of_its_own(stack, beat):
    beat("boiler-7")
    stack.advance(minutes=4)
    beat("boiler-8")
    stack.advance(minutes=2)
    assert ["alarm/boiler-7"] == [each.name for each in stack.delivered()]


def test_a_device_that_cannot_be_a_name_is_an_error(beat):
    with pytest.raises(RuntimeError, match="Punctual did not accept the schedule: name is 'alarm/boiler 7'"):
        beat("boiler 7")


# ----------------------------------------------------------------------------------------------------- webhook_receiver


@pytest.fixture
def receiver(load):
    """The receiver with a secret in Secrets Manager. `receiver.secret(text)` changes it."""
    with mock_aws():
        client = boto3.client("secretsmanager", region_name="us-east-1")
        arn = client.create_secret(Name="punctual-webhooks", SecretString=SECRETS[0])["ARN"]
        module = load("webhook_receiver/src/receiver.py", WEBHOOK_SECRET_ARN=arn)
        module.secret = lambda text: client.put_secret_value(SecretId=arn, SecretString=text)
        yield module


def webhook(secret, body='{"order":7}', encoded=False):
    """Return the event of a webhook that the reference has signed."""
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "2-7",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(secret).sign("2-7", now, body),
    }
    text = base64.b64encode(body.encode()).decode() if encoded else body
    return {"headers": headers, "body": text, "isBase64Encoded": encoded}


@pytest.mark.parametrize("encoded", [False, True])
def test_a_signed_webhook_is_accepted(receiver, encoded):
    """A function URL encodes some bodies in base64."""
    assert {"statusCode": 204} == receiver.handler(webhook(SECRETS[0], "{'ü': 7}", encoded), None)


def test_a_webhook_with_another_signature_or_body_is_refused(receiver):
    changed = {**webhook(SECRETS[0]), "body": '{"order":8}'}
    unsigned = {**webhook(SECRETS[0]), "headers": {}}
    for event in (webhook(SECRETS[1]), changed, unsigned):
        assert {"statusCode": 401} == receiver.handler(event, None)


def test_a_rotation_needs_no_deployment(receiver):
    """The function reads the secret once in a period. During the rotation both secrets are valid."""
    receiver.SECRETS_KEPT_S = 1e12
    assert {"statusCode": 204} == receiver.handler(webhook(SECRETS[0]), None)
    receiver.secret(" ".join(reversed(SECRETS)))
    assert {"statusCode": 401} == receiver.handler(webhook(SECRETS[1]), None)
    receiver.SECRETS_KEPT_S = 1e-9
    for secret in SECRETS:
        assert {"statusCode": 204} == receiver.handler(webhook(secret), None)
