"""Retries after a failed attempt: how many, for how long, and which failures count as no attempt."""

from __future__ import annotations

import pytest

from fakes import NOON_MS
from scheduler.errors import Undelivered
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.delivery_options import ATTEMPTS_DEFAULT, POSTPONEMENTS_MAX
from scheduler.model.name_record import DELIVERED, FAILED
from scheduler.model.schedule import timer
from scheduler.placing.naming import timer_of
from virtual_deliveries import Deliveries, webhook

HOUR_S, DAY_S = 3_600, 86_400
BUSY = Undelivered("answered 503: busy")


def down_until(end_s, failure=BUSY):
    return lambda now_s: failure if now_s < end_s else None


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_the_default_outlasts_an_outage_of_an_hour(jitter):
    """Random pauses do not change that."""
    deliveries = Deliveries(down_until(HOUR_S), jitter=jitter)
    deliveries.run(DeliveryJob(webhook()))
    assert [] == deliveries.kept
    assert len(deliveries.called) <= ATTEMPTS_DEFAULT
    assert HOUR_S <= deliveries.now_s < HOUR_S + 901


@pytest.mark.parametrize("name", [None, "bill/7"])
@pytest.mark.parametrize("late_s", [60, 2 * DAY_S])
def test_an_overdue_delivery_has_all_of_its_attempts(late_s, name):
    """Its age counts from the first attempt. Each message carries that time."""
    terms = '{"retry":{"attempts":3,"max_age_s":100}}'
    deliveries = Deliveries(down_until(10**9))
    overdue = webhook(-late_s, terms, name)
    deliveries.run(DeliveryJob(overdue if name is None else timer_of(deliveries.hold(overdue))))
    assert (3, 3) == (len(deliveries.called), deliveries.kept[0].attempts)


@pytest.mark.parametrize("late_s", [0, 2 * DAY_S])
def test_the_age_ends_the_attempts(late_s):
    """The age counts from the first attempt, and no attempt is later than it allows."""
    deliveries = Deliveries(down_until(10**9))
    deliveries.run(DeliveryJob(webhook(-late_s, '{"retry":{"attempts":20,"max_age_s":100}}')))
    assert 0 == deliveries.called[0]
    assert 50 < deliveries.called[-1] <= 101


def test_a_retry_of_the_previous_version_counts_its_age_from_its_due_time():
    """It carries no time of a first attempt."""
    deliveries = Deliveries(down_until(10**9))
    deliveries.run(DeliveryJob(webhook(-2 * DAY_S), 2, NOON_MS))
    assert (1, 2) == (len(deliveries.called), deliveries.kept[0].attempts)


def test_a_time_in_the_future_does_not_make_a_delivery_younger():
    """Anyone may have written the message."""
    deliveries = Deliveries(down_until(10**9))
    deliveries.run(DeliveryJob(webhook(0, '{"retry":{"attempts":20,"max_age_s":100}}'), begun_ms=NOON_MS + 10**9))
    assert deliveries.called[-1] <= 101


@pytest.mark.parametrize("name", [None, "bill/7"])
def test_a_fault_of_our_own_uses_up_neither_attempts_nor_age(name):
    """After hours without a signing secret, the first attempt still delivers."""
    lack = Undelivered("the secret cannot be had", ours=True)
    deliveries = Deliveries(down_until(5 * HOUR_S, lack))
    held = webhook(0, '{"retry":{"attempts":1,"max_age_s":60}}', name)
    deliveries.run(DeliveryJob(held if name is None else timer_of(deliveries.hold(held))))
    assert [] == deliveries.kept
    assert 5 * HOUR_S <= deliveries.now_s < 5 * HOUR_S + 901
    assert len(deliveries.called) < 40
    assert {1} == {job.attempt for job in deliveries.sent}
    if name is not None:
        assert (DELIVERED, 1) == (deliveries.current(name).state, deliveries.current(name).attempts)


def test_a_fault_of_our_own_between_two_attempts_does_not_change_the_age():
    """An hour later, the delivery still has thirty seconds left."""
    lack = Undelivered("the secret cannot be had", ours=True)
    deliveries = Deliveries(lambda now_s: lack if 5 < now_s < HOUR_S else BUSY)
    deliveries.run(DeliveryJob(webhook(0, '{"retry":{"attempts":4,"max_age_s":600}}')))
    assert 4 == deliveries.kept[0].attempts


def test_a_fault_of_our_own_ends_as_a_failure_after_a_day():
    """The failure has its reason and counts no attempt."""
    deliveries = Deliveries(down_until(10**9, Undelivered("the secret cannot be had", ours=True)))
    deliveries.run(DeliveryJob(webhook()))
    assert POSTPONEMENTS_MAX + 1 == len(deliveries.called)
    assert 17 * HOUR_S < deliveries.now_s < 24 * HOUR_S
    assert (FAILED, 0, "the secret cannot be had") == (
        deliveries.kept[0].reason,
        deliveries.kept[0].attempts,
        deliveries.kept[0].error,
    )


def test_a_failed_note_does_not_repeat_an_attempt():
    """The retry is in the queue already."""
    deliveries = Deliveries(down_until(100))
    record = deliveries.hold(webhook(terms='{"retry":{"attempts":8}}', name="bill/7"))
    deliveries.answer = lambda now_s: (deliveries.down.setdefault("table", (now_s, 8)), down_until(100)(now_s))[1]
    deliveries.run(DeliveryJob(timer_of(record)))
    assert 0 == deliveries.came_again
    assert (DELIVERED, len(deliveries.called)) == (
        deliveries.current("bill/7").state,
        deliveries.current("bill/7").attempts,
    )


def test_the_record_says_when_the_next_attempt_is():
    """The message has the same time."""
    deliveries = Deliveries(down_until(15))
    record = deliveries.hold(webhook(name="bill/7"))
    seen = []
    deliveries.answer = lambda now_s: (seen.append(deliveries.current("bill/7").retry_ms), down_until(15)(now_s))[1]
    deliveries.run(DeliveryJob(timer_of(record)))
    assert [None, *(job.retry_ms for job in deliveries.sent)] == seen
    assert NOON_MS < seen[1] < seen[2]


def test_an_unavailable_table_uses_up_no_attempts():
    """SQS delivers the message again, and the function reads the record again."""
    deliveries = Deliveries(down={"table": (0, 500)})
    record = deliveries.hold(webhook(terms='{"retry":{"attempts":1}}', name="bill/7"))
    deliveries.run(DeliveryJob(timer(record.schedule, record.request_number)))
    assert (1, DELIVERED) == (len(deliveries.called), deliveries.current("bill/7").state)
