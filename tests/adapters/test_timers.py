"""A timer wakes, under DynamoDB's own rules for conditions."""

from dataclasses import replace

import pytest

from fakes import NOON_MS, Clock, schedule
from scheduler.delivering import timers
from scheduler.delivering.timers import BACK_UP, DELIVER, DROP
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.name_record import DELIVERED, Record, request_number_at
from scheduler.model.schedule import timer
from scheduler.placing import naming

REACH_MS = 900_000
ASKED = request_number_at(NOON_MS)


def record(number=1, due_ms=NOON_MS, request_number=ASKED):
    return Record(replace(schedule(number, due_ms), name="bill"), request_number, NOON_MS)


class Waking:
    def __init__(self, cloud):
        self.records, self.clock = cloud.records, Clock()

    def role(self, job, message_id):
        found, _ = timers.role(job, message_id, "bill", self.records, REACH_MS, self.clock.deadline())
        return found


@pytest.fixture
def wake(cloud):
    return Waking(cloud)


def own(current):
    return DeliveryJob(naming.timer_of(current))


def second(current):
    return DeliveryJob(naming.backup_timer(current, NOON_MS, REACH_MS))


STALE = DeliveryJob(timer(record(9).schedule, 0))


def test_only_one_message_sets_the_second_timer(wake):
    """The same message sets it again, as its function may have crashed before. A new record has no second timer."""
    current = record(due_ms=NOON_MS + 60_000)
    wake.records.put(current)
    assert [BACK_UP, DROP, BACK_UP] == [wake.role(STALE, message) for message in ("m1", "m2", "m1")]
    assert "m1" == wake.records.get("bill").covered_by
    wake.records.put(record(2, NOON_MS + 60_000, request_number_at(NOON_MS, 1)))
    assert BACK_UP == wake.role(STALE, "m2")


def test_a_note_that_is_a_day_old_is_ignored(wake):
    """Its message may have been redriven from the dead-letter queue with another id."""
    wake.records.put(record())
    assert BACK_UP == wake.role(STALE, "m1")
    wake.clock.now_ms += timers.COVERED_MS
    assert BACK_UP == wake.role(STALE, "m2")


def test_the_timer_of_a_far_schedule_is_stored_again_without_a_note(wake):
    """Every write stores the same item."""
    wake.records.put(record(due_ms=NOON_MS + REACH_MS + 1))
    assert [BACK_UP, BACK_UP] == [wake.role(STALE, message) for message in ("m1", "m2")]
    assert "" == wake.records.get("bill").covered_by


def test_a_retry_needs_no_second_timer(wake):
    """Its own timer has come."""
    current = record()
    wake.records.put(current)
    wake.records.note(current, 1, 1, "503", NOON_MS, NOON_MS + 35_000)
    assert DROP == wake.role(STALE, "m1")


def test_a_timer_in_time_delivers_without_a_write(wake):
    """The second timer comes after that."""
    wake.records.put(record())
    assert DELIVER == wake.role(own(record()), "m1")
    assert "" == wake.records.get("bill").claimed_by


@pytest.mark.parametrize("order", [(own, second), (second, own)])
def test_one_of_two_late_timers_delivers(wake, order):
    """It claims the delivery, also if SQS repeats it. The other timer delivers after the claim expires."""
    current = record()
    wake.records.put(current)
    wake.clock.now_ms += 30_000
    first, other = (make(current) for make in order)
    assert [DELIVER, DROP, DELIVER] == [
        wake.role(first, "m1"),
        wake.role(other, "m2"),
        wake.role(first, "m1"),
    ]
    wake.clock.now_ms += timers.CLAIM_MS
    assert DELIVER == wake.role(other, "m2")


def test_a_retry_is_not_blocked_by_the_claim_of_the_delivery_before(wake):
    """It is another message. The second timer of the first delivery finds the retry."""
    current = record()
    wake.records.put(current)
    wake.clock.now_ms += 30_000
    assert DELIVER == wake.role(own(current), "m1")
    wake.records.note(current, 1, 1, "503", NOON_MS, NOON_MS + 35_000)
    retry = DeliveryJob(naming.timer_of(current), 2, NOON_MS + 35_000, 2)
    assert [DROP, DELIVER] == [wake.role(second(current), "m2"), wake.role(retry, "m3")]


def test_a_record_that_changes_during_a_timer_is_read_again(wake):
    """If it was delivered meanwhile, the timer has nothing to do."""
    current = record()
    wake.records.put(current)
    real, late = wake.records, wake.clock.now_ms + 30_000

    class Slow:
        """Another writer is faster."""

        def get(self, name):
            found = real.get(name)
            real.close(current, DELIVERED, NOON_MS, 1)
            return found

        def __getattr__(self, name):
            return getattr(real, name)

    wake.records, wake.clock.now_ms = Slow(), late
    assert [DROP, DROP] == [wake.role(own(current), "m1"), wake.role(STALE, "m2")]


def test_a_record_with_notes_is_still_the_written_one(wake):
    """A repeated write finds its own record, whatever notes timers have added."""
    current = record()
    wake.records.put(current)
    wake.records.cover(current, "m1")
    assert wake.records.claim(current, "m2", NOON_MS, NOON_MS + 5)
    found = wake.records.get("bill")
    assert current == found
    assert ("m1", "m2", NOON_MS + 5) == (found.covered_by, found.claimed_by, found.claimed_until_ms)
