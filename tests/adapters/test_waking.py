"""What a timer has to do when it wakes, against DynamoDB's own rules for conditions."""

from dataclasses import replace

import pytest

from fakes import NOON_MS, Clock, schedule
from scheduler.delivering import timers
from scheduler.delivering.timers import DELIVER, DROP, FOLLOW
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.name_record import DELIVERED, Record, asked_at
from scheduler.model.schedule import timer
from scheduler.placing import naming

REACH_MS = 900_000
ASKED = asked_at(NOON_MS)


def record(number=1, due_ms=NOON_MS, asked=ASKED):
    return Record(replace(schedule(number, due_ms), name="bill"), asked, NOON_MS)


class Waking:
    def __init__(self, cloud):
        self.records, self.clock = cloud.records, Clock()

    def role(self, job, message_id):
        found, _ = timers.role(job, message_id, "bill", self.records, REACH_MS, self.clock.deadline())
        return found


@pytest.fixture
def wake(cloud):
    return Waking(cloud)


def own(standing):
    return DeliveryJob(naming.timer_of(standing))


def second(standing):
    return DeliveryJob(naming.following(standing, NOON_MS, REACH_MS))


STALE = DeliveryJob(timer(record(9).schedule, 0))


def test_one_message_alone_sets_the_second_timer(wake):
    """The same message sets it again, for it may have died before it did. A request written afresh has none."""
    standing = record(due_ms=NOON_MS + 60_000)
    wake.records.put(standing)
    assert [FOLLOW, DROP, FOLLOW] == [wake.role(STALE, message) for message in ("m1", "m2", "m1")]
    assert "m1" == wake.records.get("bill").covered_by
    wake.records.put(record(2, NOON_MS + 60_000, asked_at(NOON_MS, 1)))
    assert FOLLOW == wake.role(STALE, "m2")


def test_a_note_that_is_a_day_old_is_not_believed(wake):
    """Its message may have been in the dead-letter queue, and come back under another id."""
    wake.records.put(record())
    assert FOLLOW == wake.role(STALE, "m1")
    wake.clock.now_ms += timers.COVERED_MS
    assert FOLLOW == wake.role(STALE, "m2")


def test_a_far_schedule_has_its_timer_put_again_without_a_note(wake):
    """It is the same item, however often it is written."""
    wake.records.put(record(due_ms=NOON_MS + REACH_MS + 1))
    assert [FOLLOW, FOLLOW] == [wake.role(STALE, message) for message in ("m1", "m2")]
    assert "" == wake.records.get("bill").covered_by


def test_a_schedule_that_is_tried_again_needs_no_second_timer(wake):
    """Its own timer has come."""
    standing = record()
    wake.records.put(standing)
    wake.records.note(standing, 1, 1, "503", NOON_MS, NOON_MS + 35_000)
    assert DROP == wake.role(STALE, "m1")


def test_a_timer_in_time_delivers_without_a_write(wake):
    """The second one comes when that is over."""
    wake.records.put(record())
    assert DELIVER == wake.role(own(record()), "m1")
    assert "" == wake.records.get("bill").claimed_by


@pytest.mark.parametrize("order", [(own, second), (second, own)])
def test_of_two_late_timers_one_delivers(wake, order):
    """The one that claims the delivery, also when SQS brings it again; the other one when the claim is over."""
    standing = record()
    wake.records.put(standing)
    wake.clock.now_ms += 30_000
    first, other = (make(standing) for make in order)
    assert [DELIVER, DROP, DELIVER] == [
        wake.role(first, "m1"),
        wake.role(other, "m2"),
        wake.role(first, "m1"),
    ]
    wake.clock.now_ms += timers.CLAIM_MS
    assert DELIVER == wake.role(other, "m2")


def test_a_retry_is_not_kept_off_by_the_claim_of_the_delivery_before(wake):
    """It is another message. The second timer of the first turn finds that the retry goes on."""
    standing = record()
    wake.records.put(standing)
    wake.clock.now_ms += 30_000
    assert DELIVER == wake.role(own(standing), "m1")
    wake.records.note(standing, 1, 1, "503", NOON_MS, NOON_MS + 35_000)
    retry = DeliveryJob(naming.timer_of(standing), 2, NOON_MS + 35_000, 2)
    assert [DROP, DELIVER] == [wake.role(second(standing), "m2"), wake.role(retry, "m3")]


def test_a_record_that_changes_while_a_timer_looks_is_looked_at_again(wake):
    """Delivered meanwhile, there is nothing left to cover or to claim."""
    standing = record()
    wake.records.put(standing)
    real, late = wake.records, wake.clock.now_ms + 30_000

    class Slow:
        """Somebody else is faster."""

        def get(self, name):
            found = real.get(name)
            real.close(standing, DELIVERED, NOON_MS, 1)
            return found

        def __getattr__(self, name):
            return getattr(real, name)

    wake.records, wake.clock.now_ms = Slow(), late
    assert [DROP, DROP] == [wake.role(own(standing), "m1"), wake.role(STALE, "m2")]


def test_a_record_with_notes_is_the_one_that_was_written(wake):
    """A repeat of a write that had no answer finds itself, whatever timers have noted since."""
    standing = record()
    wake.records.put(standing)
    wake.records.cover(standing, "m1")
    assert wake.records.claim(standing, "m2", NOON_MS, NOON_MS + 5)
    found = wake.records.get("bill")
    assert standing == found
    assert ("m1", "m2", NOON_MS + 5) == (found.covered_by, found.claimed_by, found.claimed_until_ms)
