"""Records of names, against DynamoDB's own rules for conditions."""

from dataclasses import replace

import pytest

from bending import lose_answer
from fakes import NOON_MS, schedule
from scheduler.errors import NotConfirmed
from scheduler.model.name_record import CANCELLED, DELIVERED, KEPT_S, Record, asked_at

ASKED = asked_at(NOON_MS)


def record(number=1, asked=ASKED, name="bill", **facts):
    whole = replace(schedule(number, NOON_MS + number, "2"), name=name, user="Ünal", expires_after_ms=7)
    return Record(
        replace(whole, target="arn:aws:sqs:eu-central-1:123456789012:other", terms="{}"), asked, NOON_MS, **facts
    )


def test_a_record_comes_back_as_it_was_written(cloud):
    """Key, moment, data and all that belongs to it; nothing stands under another name."""
    assert (True, None) == cloud.records.put(record())
    assert record() == cloud.records.get("bill")
    assert cloud.records.get("bills") is None
    (item,) = cloud.items()
    assert item["partition"]["S"].startswith("names#")
    assert ("bill", "pending") == (item["sort"]["S"], item["state"]["S"])
    assert "ttl" not in item


def test_a_record_says_how_many_places_of_its_batch_had_their_timers(cloud):
    """Also where it is read without its data. A record of the first slice, or of an earlier version, says none."""
    cloud.records.put(record(timed=400))
    cloud.records.put(record(2, name="first"))
    assert 400 == cloud.records.get("bill").timed
    found, left = cloud.records.batch(["bill", "first"], False)
    assert ({"bill": 400, "first": 0}, []) == ({name: each.timed for name, each in found.items()}, left)
    assert [{"N": "400"}] == [item["timed"] for item in cloud.items() if "timed" in item]


def test_what_was_asked_for_later_replaces_and_hands_back_what_stood(cloud):
    """What was asked for earlier, or at the same moment, changes nothing."""
    cloud.records.put(record())
    later = record(2, asked_at(NOON_MS, 1))
    assert (True, record()) == cloud.records.put(later)
    for asked in (asked_at(NOON_MS), asked_at(NOON_MS, 1)):
        assert (False, later) == cloud.records.put(record(3, asked))
    assert later == cloud.records.get("bill")


def test_the_same_one_asked_for_again_is_left_as_it_is(cloud):
    """It may have been delivered: written afresh it would be a second time."""
    cloud.records.put(record())
    assert cloud.records.close(record(), DELIVERED, NOON_MS + 5, 1)
    written, standing = cloud.records.put(record(asked=asked_at(NOON_MS + 9)))
    assert (False, DELIVERED) == (written, standing.state)


def test_keep_and_fail_write_only_where_nothing_is_pending(cloud):
    """What has an outcome is in nobody's way."""
    cloud.records.put(record())
    second = record(2, asked_at(NOON_MS + 9))
    assert (False, record()) == cloud.records.put(second, even_if_pending=False)
    cloud.records.close(record(), DELIVERED, NOON_MS + 5, 1)
    written, old = cloud.records.put(second, even_if_pending=False)
    assert (True, DELIVERED) == (written, old.state)


def test_an_outcome_is_for_the_schedule_that_stands(cloud):
    """With a time to live; what is written afresh has none any more."""
    cloud.records.put(record())
    assert not cloud.records.close(record(2), DELIVERED, NOON_MS + 5, 1)
    assert cloud.records.close(record(), DELIVERED, NOON_MS + 5, 3, "410")
    done = replace(record(), state=DELIVERED, changed_ms=NOON_MS + 5, attempts=3, error="410", turns=3)
    assert done == cloud.records.get("bill")
    assert str((NOON_MS + 5) // 1000 + KEPT_S) == cloud.items()[0]["ttl"]["N"]
    assert not cloud.records.close(record(), DELIVERED, NOON_MS + 6, 4)
    cloud.records.put(record(2, asked_at(NOON_MS + 9)))
    assert "ttl" not in cloud.items()[0]


def test_a_cancelled_record_is_marked_and_counts_as_asked_for_then(cloud):
    """So that a redelivery of the request before it changes nothing."""
    cloud.records.put(record())
    assert cloud.records.cancel(record(), asked_at(NOON_MS + 3), NOON_MS + 3)
    standing = cloud.records.get("bill")
    assert (CANCELLED, asked_at(NOON_MS + 3)) == (standing.state, standing.asked)
    assert (False, standing) == cloud.records.put(record(2, asked_at(NOON_MS + 2)))
    assert not cloud.records.cancel(record(), asked_at(NOON_MS + 4), NOON_MS + 4)


def test_a_note_of_an_attempt_leaves_it_pending(cloud):
    """And is taken by the one that stands alone."""
    cloud.records.put(record())
    assert cloud.records.note(record(), 3, 2, "503", NOON_MS + 5, NOON_MS + 9)
    standing = cloud.records.get("bill")
    assert (True, 2, "503", NOON_MS + 9) == (standing.pending, standing.attempts, standing.error, standing.retry_ms)
    assert not cloud.records.note(record(2), 4, 3, "503", NOON_MS + 6, NOON_MS + 9)


def test_it_is_written_over_only_as_it_was_read(cloud):
    """An attempt or a replacement in between makes it another."""
    cloud.records.put(record())
    moved = record(2, asked_at(NOON_MS + 9))
    cloud.records.note(record(), 1, 1, "503", NOON_MS + 5, NOON_MS + 9)
    assert not cloud.records.put_over(record(), moved)
    assert cloud.records.put_over(cloud.records.get("bill"), moved)
    assert moved == cloud.records.get("bill")
    assert cloud.records.put_over(record(), moved)  # As a repeat of a write that had no answer.


def test_a_write_without_an_answer_is_not_confirmed(cloud):
    """Though it may be done: whoever repeats it finds itself."""
    lose_answer(cloud.dynamodb, "dynamodb.PutItem")
    with pytest.raises(NotConfirmed):
        cloud.records.put(record())
    assert (False, record()) == cloud.records.put(record())
