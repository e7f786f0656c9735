"""A delivery with a known outcome is never repeated. Its remaining writes and reports are retried alone."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from fakes import NOON_MS
from scheduler.errors import Undelivered
from scheduler.model import delivery_job
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.delivery_options import POSTPONEMENTS_MAX
from scheduler.model.name_record import DELIVERED, EXPIRED, FAILED
from scheduler.placing.naming import backup_timer, timer_of
from virtual_deliveries import ONCE, ONCE_AND_REPORTED, Deliveries, webhook

HOUR_S = 3_600
NO = Undelivered("answered 400: no", permanent=True)


def test_only_a_failure_target_that_is_down_is_notified_later():
    """The webhook, the failure's record and its report get one call each. The topic gets more, with growing pauses."""
    deliveries = Deliveries(lambda _: NO, down={"topic": (0, 6 * HOUR_S)})
    deliveries.run(DeliveryJob(webhook(terms=ONCE_AND_REPORTED)))
    assert (1, 1, 1, 1) == (
        len(deliveries.called),
        len(deliveries.kept),
        len(deliveries.reported),
        len(deliveries.notified),
    )
    assert 0 == deliveries.came_again
    pauses_s = [after - before for before, after in pairwise(sorted(set(map(round, deliveries.notify_tries_s))))]
    assert max(pauses_s) <= 901
    assert len(deliveries.sent) < 40
    assert all(job.conclusion.left == ("tell",) for job in deliveries.sent)
    assert deliveries.kept == deliveries.reported == deliveries.notified


@pytest.mark.parametrize("part", ["table", "failures"])
def test_a_failure_that_cannot_be_stored_or_reported_does_not_repeat_the_call(part):
    """Each other step runs once. The failed step runs once the service answers again."""
    deliveries = Deliveries(lambda _: NO, down={part: (0, HOUR_S)})
    deliveries.run(DeliveryJob(webhook(terms=ONCE_AND_REPORTED)))
    assert (1, 1, 1, 1) == (
        len(deliveries.called),
        len(deliveries.kept),
        len(deliveries.reported),
        len(deliveries.notified),
    )
    assert 0 == deliveries.came_again
    assert NOON_MS <= deliveries.kept[0].at_ms < NOON_MS + 1_000
    assert HOUR_S < deliveries.now_s < 2 * HOUR_S


def test_an_outcome_is_written_to_the_record_after_an_outage():
    """The target gets the delivery once, and the record shows it in the end."""
    deliveries = Deliveries()
    record = deliveries.hold(webhook(name="bill/7"))
    deliveries.answer = lambda now_s: deliveries.down.setdefault("table", (now_s, HOUR_S)) and None
    deliveries.run(DeliveryJob(timer_of(record)))
    assert (1, 0) == (len(deliveries.called), deliveries.came_again)
    assert (DELIVERED, 1) == (deliveries.current("bill/7").state, deliveries.current("bill/7").attempts)
    assert all("data" not in json.loads(delivery_job.body(job)) for job in deliveries.sent)


@pytest.mark.parametrize(("due_s", "state"), [(0, FAILED), (-60, EXPIRED)])
def test_the_end_of_a_name_is_written_and_reported_once_despite_an_outage_of_the_table(due_s, state):
    """The message carries the whole schedule, because another may have the name by then."""
    named = replace(webhook(due_s, ONCE_AND_REPORTED, "bill/7"), expires_after_ms=30_000)
    deliveries = Deliveries()
    record = deliveries.hold(named)

    def tell_then(failure_target, report):
        deliveries.down.setdefault("table", (deliveries.now_s, HOUR_S))
        deliveries.notified.append(report)

    deliveries.put_failed, put_failed = (
        lambda reports: (tell_down(deliveries), put_failed(reports))[1],
        deliveries.put_failed,
    )
    deliveries.answer, deliveries.notify = lambda _: NO, tell_then
    deliveries.run(DeliveryJob(timer_of(record)))
    assert (len(deliveries.called), 0) == (1 if state == FAILED else 0, deliveries.came_again)
    assert (1, 1, 1) == (len(deliveries.kept), len(deliveries.reported), len(deliveries.notified))
    assert (state, state) == (deliveries.current("bill/7").state, deliveries.kept[0].reason)
    assert "data 1" == deliveries.kept[0].schedule.data


def tell_down(deliveries):
    deliveries.down.setdefault("table", (deliveries.now_s, HOUR_S))


def test_an_end_that_fits_no_message_brings_the_old_message_again():
    """Nothing is lost if the topic and our own queue are down together. The target gets the delivery twice."""
    deliveries = Deliveries(lambda _: NO, down={"topic": (0, 100), "queue": (0, 100)})
    deliveries.run(DeliveryJob(webhook(terms=ONCE_AND_REPORTED)))
    assert (2, 1, 1) == (len(deliveries.called), deliveries.came_again, len(deliveries.notified))


def test_a_record_is_closed_after_its_failure_is_stored_or_queued():
    """A repeated message would otherwise find a closed record, and the failure would be lost."""
    deliveries = Deliveries(lambda _: NO)
    record = deliveries.hold(webhook(terms=ONCE, name="bill/7"))
    closed_at = []
    put_failed = deliveries.put_failed
    deliveries.put_failed = lambda reports: (closed_at.append(deliveries.current("bill/7").state), put_failed(reports))[
        1
    ]
    deliveries.run(DeliveryJob(timer_of(record)))
    assert ["pending"] == closed_at
    assert FAILED == deliveries.current("bill/7").state


@pytest.mark.parametrize("part", ["failures", "topic"])
def test_a_name_has_failed_as_soon_as_a_message_carries_the_remaining_steps(part):
    """Its second timer finds the failure and does not call the target again."""
    deliveries = Deliveries(lambda _: NO, down={part: (0, HOUR_S)})
    record = deliveries.hold(webhook(terms=ONCE_AND_REPORTED, name="bill/7"))
    deliveries.send_job(DeliveryJob(backup_timer(record, NOON_MS, 900_000)), NOON_MS)
    deliveries.run(DeliveryJob(timer_of(record)))
    assert (1, 1, 1, 1) == (
        len(deliveries.called),
        len(deliveries.kept),
        len(deliveries.reported),
        len(deliveries.notified),
    )
    assert FAILED == deliveries.current("bill/7").state


def test_a_failure_target_that_is_silent_for_a_day_is_given_up(capsys):
    """The failure queue has the report, and the log says that the failure target was not notified."""
    deliveries = Deliveries(lambda _: NO, down={"topic": (0, 10**9)})
    deliveries.run(DeliveryJob(webhook(terms=ONCE_AND_REPORTED)))
    assert (1, 1, 0, POSTPONEMENTS_MAX) == (
        len(deliveries.called),
        len(deliveries.reported),
        len(deliveries.notified),
        len(deliveries.sent),
    )
    assert 17 * HOUR_S < deliveries.now_s < 24 * HOUR_S
    assert '"outcome": "untold"' in capsys.readouterr().out


def test_a_failure_that_cannot_be_stored_for_a_day_ends_in_the_dead_letter_queue():
    """SQS moves the message there with the outcome, and an operator can redrive it."""
    deliveries = Deliveries(lambda _: NO, down={"table": (0, 10**9)})
    deliveries.run(DeliveryJob(webhook(terms=ONCE)))
    assert (1, 1, 0) == (len(deliveries.called), len(deliveries.reported), len(deliveries.kept))
    (body,) = deliveries.dead_letters
    deliveries.down.clear()
    deliveries.run(body)
    assert (1, 1) == (len(deliveries.called), len(deliveries.kept))


def test_no_step_begins_after_the_deadline():
    """A hanging call would outlast the function, and the delivery would be repeated."""
    deliveries = Deliveries()
    deliveries.answer = lambda _: deliveries.clock.sleep(40) or NO
    deliveries.run(DeliveryJob(webhook(terms=ONCE)), seconds=35)
    assert [("keep", "report")] == [job.conclusion.left for job in deliveries.sent]
    assert (1, 1, 1, 0) == (
        len(deliveries.called),
        len(deliveries.kept),
        len(deliveries.reported),
        deliveries.came_again,
    )


def test_a_fault_of_our_own_in_a_step_does_not_repeat_the_call():
    """The fault is in the log, and the message ends in the dead-letter queue."""
    deliveries = Deliveries(lambda _: NO)
    deliveries.put_failed = lambda reports: 1 / 0
    deliveries.run(DeliveryJob(webhook(terms=ONCE)))
    assert (1, 1, 1) == (len(deliveries.called), len(deliveries.reported), len(deliveries.dead_letters))
