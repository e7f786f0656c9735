"""Copies of a delivery that waits for its next message: they are dropped, and nothing else is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest

from fakes import NOON_MS, Clock
from scheduler.delivering import next_messages
from scheduler.delivering.next_messages import NextMessages
from scheduler.errors import NotConfirmed, Undelivered
from scheduler.execution.deadline import Deadline
from scheduler.model.delivery_job import KEEP, REPORT, Conclusion, DeliveryJob
from scheduler.model.name_record import EXPIRED, FAILED
from virtual_deliveries import ONCE, Deliveries, webhook

FIRST = DeliveryJob(webhook())
NEXT = replace(FIRST, attempt=2, retry_ms=NOON_MS + 30_000)
APPLICATION = "01234567"
FAILURE = Conclusion(FAILED, 1, NOON_MS, "answered 503", (KEEP, REPORT))
HANGS = Undelivered("timed out", timed_out=True)


class StoredTwice(Deliveries):
    """An SQS that stores each message twice, because it never answers the first request."""

    def send_job(self, job, now_ms):
        super().send_job(job, now_ms)
        return super().send_job(job, now_ms)


def noted(job=FIRST, next_job=NEXT):
    """Return the memory after `next_job` was sent."""
    messages = NextMessages()
    assert messages.send(job, next_job, lambda: None, Clock().deadline(60))
    return messages


def test_a_retry_that_sqs_stores_twice_is_tried_once():
    """Its second copy would be another attempt, and each attempt would double the next."""
    deliveries = StoredTwice(lambda now_s: Undelivered("answered 503"))
    deliveries.run(DeliveryJob(webhook(terms='{"retry":{"attempts":10}}')))
    assert 10 == len(deliveries.called)
    assert [10] == [report.attempts for report in deliveries.kept]


def test_a_delivery_to_a_dead_target_does_not_multiply():
    """It waits through many cool-downs, and each time SQS stores its message twice."""
    terms = '{"retry":{"attempts":5,"max_age_s":7200}}'
    deliveries = StoredTwice(lambda now_s: HANGS)
    deliveries.run(DeliveryJob(webhook(terms=terms)))
    assert 5 == len(deliveries.called)


def test_the_copy_of_a_retry_that_was_delivered_calls_nobody():
    deliveries = StoredTwice(lambda now_s: HANGS if now_s < 60 else None)
    deliveries.run(DeliveryJob(webhook()))
    assert [True] == [called_s >= 60 for called_s in deliveries.called if called_s >= 60]


def test_a_first_message_that_was_delivered_is_not_remembered():
    """Most deliveries end with their first message. They would fill the memory."""
    messages = NextMessages()
    messages.end(FIRST, NOON_MS)
    assert not messages.is_copy(FIRST, NOON_MS)
    messages.end(NEXT, NOON_MS)
    assert messages.is_copy(NEXT, NOON_MS + 30_000)


@pytest.mark.parametrize("application", ["", APPLICATION])
def test_the_steps_after_an_outcome_do_not_multiply(application):
    """The failure queue is down for an hour."""
    down = {"failures": (0, 3_600)}
    deliveries = StoredTwice(lambda now_s: Undelivered("answered 503"), down=down, application=application)
    deliveries.run(DeliveryJob(webhook(terms=ONCE)))
    assert 1 == len(deliveries.reported)
    assert len(deliveries.sent) < 50


def test_only_an_earlier_message_of_the_same_delivery_is_a_copy():
    messages = noted()
    assert messages.is_copy(FIRST, NOON_MS)
    assert messages.is_copy(replace(FIRST, retry_ms=NOON_MS + 29_999), NOON_MS + 29_999)
    assert not messages.is_copy(NEXT, NOON_MS)


def test_an_earlier_message_that_comes_after_the_later_one_is_delivered():
    """The later message may be gone by then: delivered, failed, or redriven."""
    assert not noted().is_copy(FIRST, NOON_MS + 30_000)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(FIRST, application=APPLICATION), id="of an application"),
        pytest.param(DeliveryJob(replace(FIRST.schedule, due_ms=NOON_MS - 1)), id="redriven with the same id"),
        pytest.param(replace(FIRST, conclusion=FAILURE), id="with its outcome"),
    ],
)
def test_another_delivery_with_the_same_id_is_no_copy(other):
    assert not noted().is_copy(other, NOON_MS)


def test_the_steps_after_one_outcome_do_not_stop_those_after_another():
    """A copy may have expired meanwhile."""
    failed = replace(NEXT, conclusion=FAILURE)
    messages = noted(FIRST, failed)
    assert messages.is_copy(replace(failed, retry_ms=NOON_MS + 1), NOON_MS)
    assert not messages.is_copy(replace(FIRST, conclusion=replace(FAILURE, state=EXPIRED)), NOON_MS)


def test_a_message_that_was_not_confirmed_stops_no_other():
    messages = NextMessages()

    def send():
        raise NotConfirmed("ServiceUnavailable")

    with pytest.raises(NotConfirmed):
        messages.send(FIRST, NEXT, send, Clock().deadline(60))
    assert not messages.is_copy(FIRST, NOON_MS)
    assert messages.send(FIRST, NEXT, lambda: None, Clock().deadline(60))


def test_two_copies_at_once_send_one_message():
    """The second one waits until SQS has answered to the first."""
    messages, clock, sent, waits = NextMessages(), Clock(), [], Event()

    def slow(_):
        waits.set()

    def send():
        sent.append(True)
        assert waits.wait(30)

    deadline = Deadline(clock, slow, lambda: 0.5, clock() + 60)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(messages.send, FIRST, NEXT, send, deadline) for _ in range(2)]
    assert [False, True] == sorted(each.result() for each in both)
    assert [True] == sent


def test_a_copy_that_waits_until_the_deadline_comes_again():
    """The first one may still fail, so its copy is kept."""
    messages, clock = NextMessages(), Clock()

    def send():
        messages.send(FIRST, NEXT, lambda: None, clock.deadline(1))

    with pytest.raises(NotConfirmed, match="a copy"):
        messages.send(FIRST, NEXT, send, clock.deadline(60))
    assert not messages.is_copy(FIRST, NOON_MS)


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(next_messages, "DELIVERIES_MAX", 3)
    messages = NextMessages()
    jobs = [DeliveryJob(replace(webhook(), due_ms=NOON_MS + number)) for number in range(10)]
    for job in jobs:
        assert messages.send(job, replace(job, retry_ms=NOON_MS + 30_000), lambda: None, Clock().deadline(60))
    assert 1 == sum(messages.is_copy(job, NOON_MS) for job in jobs)
