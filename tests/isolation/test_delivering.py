"""What leaves the stack for an application says so: messages, webhooks, reports, retries."""

from __future__ import annotations

import json

import pytest

from scheduler.model import delivery_job, payloads, targets
from scheduler.model.application import OUTPUT
from scheduler.model.schedule import Key, Schedule
from scheduler.webhooks import signing
from shared_stack import FAR, A, B, Shared

URL = "https://a.example.com/hook"


def attributes(shared: Shared, output: str = "OutputQueueUrl") -> list[str | None]:
    found = [each.attributes.get("application", {}) for each in shared.messages(output)]
    return sorted((each.get("StringValue") for each in found), key=str)


@pytest.mark.parametrize("delay", [5, FAR])
@pytest.mark.parametrize("name", [{}, {"name": "n"}])
def test_a_message_carries_its_application(shared: Shared, delay: int, name: dict):
    for whose in (A, B, ""):
        shared.schedule(whose, delay=delay, **name)
    shared.stack.advance(seconds=delay + 10)
    assert [None, A, B] == attributes(shared)


@pytest.mark.parametrize("delay", [5, FAR])
@pytest.mark.parametrize("name", [{}, {"name": "n"}])
def test_a_webhook_carries_its_application(shared: Shared, delay: int, name: dict):
    shared.create(A, hosts=("a.example.com",))
    for whose in (A, ""):
        shared.schedule(whose, delay=delay, target={"url": URL}, data=f"of {whose}", **name)
    shared.stack.advance(seconds=delay + 10)
    found = {each.data: each.headers.get("punctual-application") for each in shared.stack.delivered()}
    assert {f"of {A}": A, "of ": None} == found


def test_an_envelope_carries_its_application():
    schedule = Schedule(Key("0", "000001893456000#0123456789abcdef"), 1_893_456_000_000, "x")
    assert A == json.loads(payloads.enveloped(schedule, A))["application"]
    assert "application" not in json.loads(payloads.enveloped(schedule))


@pytest.mark.parametrize("name", [{}, {"name": "n"}])
def test_a_retry_stays_with_its_application(shared: Shared, name: dict):
    """Every message of the delivery queue carries the application, so a retry finds its record."""
    shared.create(A, hosts=("a.example.com",))
    shared.stack.answer("a.example.com", 503)
    shared.schedule(A, delay=5, target={"url": URL}, **name)
    shared.stack.advance(seconds=30)
    bodies = [json.loads(each.body) for each in shared.messages("DeliveryQueueUrl")]
    assert [A] == [each["application"] for each in bodies]
    shared.stack.answer("a.example.com", 200)
    shared.stack.advance(seconds=900)
    assert [A] == [each.headers["punctual-application"] for each in shared.stack.delivered()]
    if name:
        assert "delivered" == shared.manage(A, "get", name="n")["state"]


def test_an_outcome_that_is_written_later_is_written_to_the_application(shared: Shared):
    shared.create(A, hosts=("a.example.com",))
    shared.stack.answer("a.example.com", 410)
    shared.schedule(A, delay=5, target={"url": URL}, name="n")
    shared.schedule("", delay=FAR, name="n")
    shared.stack.advance(seconds=60)
    assert "failed" == shared.manage(A, "get", name="n")["state"]
    assert "stored" == shared.manage("", "get", name="n")["state"]


def test_a_replaced_name_leaves_a_timer_of_its_application_behind(shared: Shared):
    """The older timer wakes, and looks at the record of its application."""
    for whose in (A, "", B):
        shared.schedule(whose, delay=30, name="n", data="old")
        shared.schedule(whose, delay=60, name="n", data=f"new {whose}")
    shared.stack.advance(seconds=120)
    assert ["new ", f"new {A}", f"new {B}"] == sorted(each.data for each in shared.stack.released())


def test_an_expiry_is_reported_with_its_application(shared: Shared):
    shared.create(A, hosts=("a.example.com",), default_target=OUTPUT)
    shared.stack.answer("a.example.com", 503)
    shared.schedule(A, delay=5, target={"url": URL}, expires_after=1)
    shared.stack.advance(seconds=120)
    (report,) = shared.stack.failures()
    assert ("expired", A) == (report["reason"], report["application"])
    assert 1 == len(shared.manage(A, "failures")["failures"])
    assert [] == shared.manage("", "failures")["failures"]


@pytest.mark.parametrize("application", ["", "AAAAAAAA", "aaaa", 7, None, "a" * 9])
def test_a_job_with_a_strange_application_is_unreadable(application: object):
    """Any permitted sender can write to the queue."""
    schedule = Schedule(Key("0", "000001893456000#0123456789abcdef"), 1_893_456_000_000, "x")
    facts = json.loads(delivery_job.body(delivery_job.DeliveryJob(schedule)))
    with pytest.raises(ValueError, match="its application is none"):
        delivery_job.read(json.dumps({**facts, "application": application}))


def test_a_job_of_an_earlier_version_is_the_owners():
    schedule = Schedule(Key("0", "000001893456000#0123456789abcdef"), 1_893_456_000_000, "x")
    text = delivery_job.body(delivery_job.DeliveryJob(schedule))
    assert "application" not in text
    assert "" == delivery_job.read(text).application
    assert A == delivery_job.read(delivery_job.body(delivery_job.DeliveryJob(schedule), A)).application


def test_two_applications_sign_with_different_keys():
    """Neither is the key of the stack."""
    key = b"k" * 32
    assert 3 == len({key, signing.application_key(key, A), signing.application_key(key, B)})


def test_a_host_that_hangs_for_one_application_answers_another():
    """The circuit breaker keeps them apart, and so do the message groups of SQS."""
    one, other = (targets.receiver(f'{{"url":"{URL}"}}', whose) for whose in (A, B))
    assert one.name != other.name
    assert one.family == other.family
    assert targets.receiver(f'{{"url":"{URL}"}}').name == "a.example.com"


@pytest.mark.parametrize("target", [None, "arn:aws:lambda:eu-central-1:123456789012:function:x"])
def test_deliveries_of_an_application_have_a_group_of_their_own(target: str | None):
    """SQS hands out the deliveries of another group first if one has many."""
    assert (None, A) == (targets.group(target), targets.group(target, A))
