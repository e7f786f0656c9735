"""A delivery whose outcome is known is never made again: what is still to be written or told goes on by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from deliveries import ONCE, ONCE_AND_TOLD, Deliveries, webhook
from fakes import NOON_MS
from scheduler.errors import Undelivered
from scheduler.model import delivery_job
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.delivery_options import PUT_OFFS_MAX
from scheduler.model.name_record import DELIVERED, EXPIRED, FAILED
from scheduler.placing.naming import following, timer_of

HOUR_S = 3_600
NO = Undelivered("answered 400: no", permanent=True)


def test_a_failure_target_that_is_down_is_told_later_and_nobody_else_again():
    """One call of the webhook, one failure stored, one report; the topic alone is asked again, ever more rarely."""
    world = Deliveries(lambda _: NO, down={"topic": (0, 6 * HOUR_S)})
    world.run(DeliveryJob(webhook(terms=ONCE_AND_TOLD)))
    assert (1, 1, 1, 1) == (len(world.called), len(world.kept), len(world.reported), len(world.told))
    assert 0 == world.came_again
    pauses_s = [after - before for before, after in pairwise(sorted(set(map(round, world.asked_to_tell))))]
    assert max(pauses_s) <= 901
    assert len(world.sent) < 40
    assert all(job.conclusion.left == ("tell",) for job in world.sent)
    assert world.kept == world.reported == world.told


@pytest.mark.parametrize("part", ["table", "failures"])
def test_a_failure_that_cannot_be_stored_or_reported_does_not_call_the_target_again(part):
    """Each of the others is done once, and this one when it answers again."""
    world = Deliveries(lambda _: NO, down={part: (0, HOUR_S)})
    world.run(DeliveryJob(webhook(terms=ONCE_AND_TOLD)))
    assert (1, 1, 1, 1) == (len(world.called), len(world.kept), len(world.reported), len(world.told))
    assert 0 == world.came_again
    assert NOON_MS <= world.kept[0].at_ms < NOON_MS + 1_000
    assert HOUR_S < world.now_s < 2 * HOUR_S


def test_an_outcome_that_cannot_be_written_into_the_record_is_written_later():
    """The target has it once, and the record says so in the end."""
    world = Deliveries()
    record = world.hold(webhook(name="bill/7"))
    world.answer = lambda now_s: world.down.setdefault("table", (now_s, HOUR_S)) and None
    world.run(DeliveryJob(timer_of(record)))
    assert (1, 0) == (len(world.called), world.came_again)
    assert (DELIVERED, 1) == (world.standing("bill/7").state, world.standing("bill/7").attempts)
    assert all("data" not in json.loads(delivery_job.body(job)) for job in world.sent)


@pytest.mark.parametrize(("due_s", "state"), [(0, FAILED), (-60, EXPIRED)])
def test_the_end_of_a_name_is_written_and_told_once_though_the_table_was_down(due_s, state):
    """The message carries the whole schedule: by then another may stand under its name."""
    named = replace(webhook(due_s, ONCE_AND_TOLD, "bill/7"), expires_after_ms=30_000)
    world = Deliveries()
    record = world.hold(named)

    def tell_then(failure_target, report):
        world.down.setdefault("table", (world.now_s, HOUR_S))
        world.told.append(report)

    world.put_failed, put_failed = lambda reports: (tell_down(world), put_failed(reports))[1], world.put_failed
    world.answer, world.tell = lambda _: NO, tell_then
    world.run(DeliveryJob(timer_of(record)))
    assert (len(world.called), 0) == (1 if state == FAILED else 0, world.came_again)
    assert (1, 1, 1) == (len(world.kept), len(world.reported), len(world.told))
    assert (state, state) == (world.standing("bill/7").state, world.kept[0].reason)
    assert "data 1" == world.kept[0].schedule.data


def tell_down(world):
    world.down.setdefault("table", (world.now_s, HOUR_S))


def test_an_end_that_no_message_can_carry_brings_the_old_message_again():
    """With the topic, and our own queue, down at once, nothing is lost; the target gets it twice."""
    world = Deliveries(lambda _: NO, down={"topic": (0, 100), "queue": (0, 100)})
    world.run(DeliveryJob(webhook(terms=ONCE_AND_TOLD)))
    assert (2, 1, 1) == (len(world.called), world.came_again, len(world.told))


def test_a_record_is_not_closed_before_its_failure_is_stored_or_on_its_way():
    """A message that comes again would find it closed, and the failure would be lost."""
    world = Deliveries(lambda _: NO)
    record = world.hold(webhook(terms=ONCE, name="bill/7"))
    closed_at = []
    put_failed = world.put_failed
    world.put_failed = lambda reports: (closed_at.append(world.standing("bill/7").state), put_failed(reports))[1]
    world.run(DeliveryJob(timer_of(record)))
    assert ["pending"] == closed_at
    assert FAILED == world.standing("bill/7").state


@pytest.mark.parametrize("part", ["failures", "topic"])
def test_a_name_has_failed_as_soon_as_a_message_carries_what_is_left(part):
    """Its second timer finds that, and does not call the target again."""
    world = Deliveries(lambda _: NO, down={part: (0, HOUR_S)})
    record = world.hold(webhook(terms=ONCE_AND_TOLD, name="bill/7"))
    world.send_errand(DeliveryJob(following(record, NOON_MS, 900_000)), NOON_MS)
    world.run(DeliveryJob(timer_of(record)))
    assert (1, 1, 1, 1) == (len(world.called), len(world.kept), len(world.reported), len(world.told))
    assert FAILED == world.standing("bill/7").state


def test_a_failure_target_that_does_not_answer_for_a_day_is_given_up(capsys):
    """The failure queue has the report, and the log says that nobody else was told."""
    world = Deliveries(lambda _: NO, down={"topic": (0, 10**9)})
    world.run(DeliveryJob(webhook(terms=ONCE_AND_TOLD)))
    assert (1, 1, 0, PUT_OFFS_MAX) == (len(world.called), len(world.reported), len(world.told), len(world.sent))
    assert 17 * HOUR_S < world.now_s < 24 * HOUR_S
    assert '"outcome": "untold"' in capsys.readouterr().out


def test_a_failure_that_cannot_be_stored_for_a_day_ends_in_the_dead_letter_queue():
    """SQS moves the message there. It carries the outcome, and can be put back."""
    world = Deliveries(lambda _: NO, down={"table": (0, 10**9)})
    world.run(DeliveryJob(webhook(terms=ONCE)))
    assert (1, 1, 0) == (len(world.called), len(world.reported), len(world.kept))
    (body,) = world.letters
    world.down.clear()
    world.run(body)
    assert (1, 1) == (len(world.called), len(world.kept))


def test_no_step_is_begun_when_time_is_over():
    """A call that hangs then would outlast the function, and the delivery would be made again."""
    world = Deliveries()
    world.answer = lambda _: world.clock.sleep(40) or NO
    world.run(DeliveryJob(webhook(terms=ONCE)), seconds=35)
    assert [("keep", "report")] == [job.conclusion.left for job in world.sent]
    assert (1, 1, 1, 0) == (len(world.called), len(world.kept), len(world.reported), world.came_again)


def test_a_fault_of_our_own_in_a_step_does_not_call_the_target_again():
    """Whatever it is: the log has it, and the dead-letter queue the message."""
    world = Deliveries(lambda _: NO)
    world.put_failed = lambda reports: 1 / 0
    world.run(DeliveryJob(webhook(terms=ONCE)))
    assert (1, 1, 1) == (len(world.called), len(world.reported), len(world.letters))
