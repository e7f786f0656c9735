"""Records of names, under DynamoDB's own rules for conditions."""

from dataclasses import replace

import pytest

from aws_faults import lose_answer
from fakes import NOON_MS, schedule
from scheduler.errors import NotConfirmed
from scheduler.model.name_record import CANCELLED, DELIVERED, FAILED, KEPT_S, Record, request_number_at

ASKED = request_number_at(NOON_MS)


def record(number=1, request_number=ASKED, name="bill", **facts):
    whole = replace(schedule(number, NOON_MS + number, "2"), name=name, user="Ünal", expires_after_ms=7)
    return Record(
        replace(whole, target="arn:aws:sqs:eu-central-1:123456789012:other", terms="{}"),
        request_number,
        NOON_MS,
        **facts,
    )


def test_a_record_comes_back_as_it_was_written(cloud):
    """Key, time, data and all other fields stay. Another name has no record."""
    assert (True, None) == cloud.records.put(record())
    assert record() == cloud.records.get("bill")
    assert cloud.records.get("bills") is None
    (item,) = cloud.items()
    assert item["partition"]["S"].startswith("names#")
    assert ("bill", "pending") == (item["sort"]["S"], item["state"]["S"])
    assert "ttl" not in item


def test_a_record_counts_the_members_of_its_batch_with_timers(cloud):
    """A read without data has the count as well. A record of the first slice, or of an earlier version, has none."""
    cloud.records.put(record(timed=400))
    cloud.records.put(record(2, name="first"))
    assert 400 == cloud.records.get("bill").timed
    found, left = cloud.records.batch(["bill", "first"], False)
    assert ({"bill": 400, "first": 0}, []) == ({name: each.timed for name, each in found.items()}, left)
    assert [{"N": "400"}] == [item["timed"] for item in cloud.items() if "timed" in item]


def test_a_later_request_replaces_the_record_and_returns_the_old_one(cloud):
    """An earlier request, or one of the same time, changes nothing."""
    cloud.records.put(record())
    later = record(2, request_number_at(NOON_MS, 1))
    assert (True, record()) == cloud.records.put(later)
    for request_number in (request_number_at(NOON_MS), request_number_at(NOON_MS, 1)):
        assert (False, later) == cloud.records.put(record(3, request_number))
    assert later == cloud.records.get("bill")


def test_the_same_request_again_leaves_its_record(cloud):
    """It may be delivered already. A new record would deliver it twice."""
    cloud.records.put(record())
    assert cloud.records.close(record(), DELIVERED, NOON_MS + 5, 1)
    written, current = cloud.records.put(record(request_number=request_number_at(NOON_MS + 9)))
    assert (False, DELIVERED) == (written, current.state)


def test_keep_and_fail_write_only_if_nothing_is_pending(cloud):
    """A finished schedule does not matter."""
    cloud.records.put(record())
    second = record(2, request_number_at(NOON_MS + 9))
    assert (False, record()) == cloud.records.put(second, even_if_pending=False)
    cloud.records.close(record(), DELIVERED, NOON_MS + 5, 1)
    written, old = cloud.records.put(second, even_if_pending=False)
    assert (True, DELIVERED) == (written, old.state)


def test_an_outcome_is_for_the_current_schedule(cloud):
    """It has a time to live, and a new record has none."""
    cloud.records.put(record())
    assert not cloud.records.close(record(2), DELIVERED, NOON_MS + 5, 1)
    assert cloud.records.close(record(), DELIVERED, NOON_MS + 5, 3, "410")
    done = replace(record(), state=DELIVERED, changed_ms=NOON_MS + 5, attempts=3, error="410", wake_count=3)
    assert done == cloud.records.get("bill")
    assert str((NOON_MS + 5) // 1000 + KEPT_S) == cloud.items()[0]["ttl"]["N"]
    assert not cloud.records.close(record(), DELIVERED, NOON_MS + 6, 4)
    cloud.records.put(record(2, request_number_at(NOON_MS + 9)))
    assert "ttl" not in cloud.items()[0]


def test_a_cancelled_record_counts_as_requested_at_the_cancel(cloud):
    """A redelivery of an earlier request then changes nothing."""
    cloud.records.put(record())
    assert cloud.records.cancel(record(), request_number_at(NOON_MS + 3), NOON_MS + 3)
    current = cloud.records.get("bill")
    assert (CANCELLED, request_number_at(NOON_MS + 3)) == (current.state, current.request_number)
    assert (False, current) == cloud.records.put(record(2, request_number_at(NOON_MS + 2)))
    assert not cloud.records.cancel(record(), request_number_at(NOON_MS + 4), NOON_MS + 4)


def test_a_note_of_an_attempt_leaves_it_pending(cloud):
    """Only the current schedule accepts it."""
    cloud.records.put(record())
    assert cloud.records.note(record(), 3, 2, "503", NOON_MS + 5, NOON_MS + 9)
    current = cloud.records.get("bill")
    assert (True, 2, "503", NOON_MS + 9) == (current.pending, current.attempts, current.error, current.retry_ms)
    assert not cloud.records.note(record(2), 4, 3, "503", NOON_MS + 6, NOON_MS + 9)


def test_a_record_says_when_it_was_accepted_and_when_each_attempt_began(cloud):
    """A note and an outcome write all times, so a repeated write adds none twice. They keep the acceptance."""
    cloud.records.put(record())
    assert (NOON_MS, ()) == times(cloud)
    once = cloud.records.get("bill").attempted(NOON_MS + 3)
    for _ in range(2):
        assert cloud.records.note(once, 1, 1, "503", NOON_MS + 5, NOON_MS + 9)
    assert (NOON_MS, (NOON_MS + 3,)) == times(cloud)
    assert cloud.records.close(cloud.records.get("bill").attempted(NOON_MS + 9), DELIVERED, NOON_MS + 11, 2)
    assert (NOON_MS, (NOON_MS + 3, NOON_MS + 9)) == times(cloud)


def test_an_outcome_without_times_leaves_those_that_are_there(cloud):
    """An earlier version sent the message that closes the record."""
    cloud.records.put(record())
    cloud.records.note(record().attempted(NOON_MS + 3), 1, 1, "503", NOON_MS + 5, NOON_MS + 9)
    assert cloud.records.close(record(), FAILED, NOON_MS + 11, 2)
    assert (NOON_MS, (NOON_MS + 3,)) == times(cloud)


def test_a_record_keeps_the_last_twenty_attempts(cloud):
    current = record()
    for number in range(25):
        current = current.attempted(NOON_MS + number)
    assert tuple(NOON_MS + number for number in range(5, 25)) == current.attempted_ms


def times(cloud):
    current = cloud.records.get("bill")
    return current.accepted_ms, current.attempted_ms


def test_a_record_is_overwritten_only_if_unchanged(cloud):
    """An attempt or a replacement in between changes it."""
    cloud.records.put(record())
    moved = record(2, request_number_at(NOON_MS + 9))
    cloud.records.note(record(), 1, 1, "503", NOON_MS + 5, NOON_MS + 9)
    assert not cloud.records.put_over(record(), moved)
    assert cloud.records.put_over(cloud.records.get("bill"), moved)
    assert moved == cloud.records.get("bill")
    assert cloud.records.put_over(record(), moved)  # Repeat the write as if it had no answer.


def test_a_write_without_an_answer_is_not_confirmed(cloud):
    """It may be done. A repeat finds its own record."""
    lose_answer(cloud.dynamodb, "dynamodb.PutItem")
    with pytest.raises(NotConfirmed):
        cloud.records.put(record())
    assert (False, record()) == cloud.records.put(record())
