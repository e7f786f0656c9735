"""The code accepts every sample event."""

import json
from pathlib import Path

import pytest

from scheduler.accepting import batch, request
from scheduler.accepting.from_queue import input_message
from scheduler.model import delivery_job, sqs_records, targets
from scheduler.model.targets import AllowedTargets
from scheduler.webhooks import allowed_hosts, webhook

EVENTS = Path(__file__).parents[2] / "events"
PLACE = "us-east-1:000000000000"
ARNS = {
    f"arn:aws:sqs:{PLACE}:receiver",
    f"arn:aws:sns:{PLACE}:topic",
    f"arn:aws:lambda:{PLACE}:function:worker",
    f"arn:aws:events:{PLACE}:event-bus/orders",
    f"arn:aws:states:{PLACE}:stateMachine:orders",
}
HOSTS = allowed_hosts.Hosts.read("api.example.com", False)
RULES = request.AcceptRules(AllowedTargets(frozenset(ARNS), "us-east-1", lambda target: webhook.checked(target, HOSTS)))
NOW_MS = 1_790_000_000_000
REFUSED_ON_PURPOSE = ("timestmap",)


def samples(pattern):
    return sorted(path.name for path in EVENTS.glob(pattern))


def read(name):
    return json.loads((EVENTS / name).read_text())


def accepted(raw):
    return request.parse(raw, NOW_MS, RULES)


def members(content):
    """Return the valid requests of a sample. One sample shows a misspelt field on purpose."""
    found = batch.unwrapped(content)[0] if batch.is_batch(content) else [content]
    return [member for member in found if not any(field in member for field in REFUSED_ON_PURPOSE)]


@pytest.mark.parametrize("name", samples("schedule*.json"))
def test_a_sample_for_the_schedule_function_is_accepted(name):
    """Every field is valid."""
    content = read(name)
    assert all(accepted(member) for member in members(content))


def test_there_is_a_sample_for_every_kind_of_target():
    """Each of the two older shapes has one as well."""
    requests = [accepted(member) for name in samples("schedule*.json") for member in members(read(name))]
    kinds = {targets.kind(each.target) for each in requests}
    assert {targets.SQS, targets.SNS, targets.LAMBDA, targets.EVENTS, targets.STATES, targets.WEBHOOK} == kinds
    assert any(each.name for each in requests)
    assert any(targets.envelope(each.target) for each in requests)
    assert {"schedule-older-topic.json", "schedule-older-webhook.json"} <= set(samples("schedule*.json"))


@pytest.mark.parametrize("name", samples("input-*.json"))
def test_a_sample_of_the_inputs_is_opened(name):
    """Each input message in it holds requests."""
    opened = [input_message.opened(sqs_records.read(record)) for record in read(name)["Records"]]
    assert all(each.failure is None and each.requests for each in opened)


def test_the_samples_for_the_deliver_function_are_delivery_jobs():
    """A message to a topic, the second try of a webhook, and the timer of a name, exactly as the code writes them."""
    bodies = [record["body"] for record in read("deliver.json")["Records"]]
    found = [delivery_job.read(body) for body in bodies]
    assert bodies == [delivery_job.body(job) for job in found]
    assert [(1, None), (2, None), (1, "reminder/1")] == [(each.attempt, each.schedule.name) for each in found]
