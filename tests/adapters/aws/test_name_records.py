"""Records of names, under DynamoDB's own rules for conditions."""

from dataclasses import replace

import pytest

from aws_faults import lose_answer
from fakes import NOON_MS, schedule
from scheduler.errors import NotConfirmed
from scheduler.model.name_record import DELIVERED, RECORD_KEPT_S, Record, request_number_at

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


def test_an_outcome_is_for_the_current_schedule(cloud):
    """It has a time to live, and a new record has none."""
    cloud.records.put(record())
    assert not cloud.records.close(record(2), DELIVERED, NOON_MS + 5, 1)
    assert cloud.records.close(record(), DELIVERED, NOON_MS + 5, 3, "410")
    done = replace(record(), state=DELIVERED, changed_ms=NOON_MS + 5, attempts=3, error="410", wake_count=3)
    assert done == cloud.records.get("bill")
    assert str((NOON_MS + 5) // 1000 + RECORD_KEPT_S) == cloud.items()[0]["ttl"]["N"]
    assert not cloud.records.close(record(), DELIVERED, NOON_MS + 6, 4)
    cloud.records.put(record(2, request_number_at(NOON_MS + 9)))
    assert "ttl" not in cloud.items()[0]


def test_a_record_keeps_the_last_twenty_attempts(cloud):
    current = record()
    for number in range(25):
        current = current.attempted(NOON_MS + number)
    assert tuple(NOON_MS + number for number in range(5, 25)) == current.attempted_ms


def test_a_write_without_an_answer_is_not_confirmed(cloud):
    """It may be done. A repeat finds its own record."""
    lose_answer(cloud.dynamodb, "dynamodb.PutItem")
    with pytest.raises(NotConfirmed):
        cloud.records.put(record())
    assert (False, record()) == cloud.records.put(record())
