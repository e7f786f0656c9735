"""An estimate has a fixed cost. It is exact if there are few schedules, and close if they are many."""

import random

import pytest

from fakes import NOON_MS, Clock, FakeRecords, schedule
from manage_fakes import FAR_MS, REACH_MS, FakeManageTable, bundles, entries, manage_dependencies, named
from scheduler.errors import InvalidRequest
from scheduler.managing import operations, request
from scheduler.managing.listing import estimate
from scheduler.placing.near_names import NEAR_NAME_PARTITIONS as NEAR_PARTITIONS

HOUR_MS = 3_600_000
BUCKETS = 24
SPAN = {"from": FAR_MS / 1000, "to": (FAR_MS + BUCKETS * HOUR_MS) / 1000, "bucket": 3_600}


def ask(dependencies, **fields):
    asked = request.read({"operation": "forecast", "estimate": True, **fields}, operations.FIELDS_OF_OPERATION)
    return estimate.estimate(asked, dependencies, Clock().deadline(14))


def counts(answer):
    return [each["count"] for each in answer["buckets"]]


def test_few_schedules_are_counted():
    """Each partition is read once, and its bundles are opened."""
    rng, manage_table, expected = random.Random(1), FakeManageTable(), [0] * BUCKETS
    singles = [FAR_MS + rng.randrange(BUCKETS * HOUR_MS) for _ in range(40)]
    manage_table.add(*(schedule(number, due_ms, str(number % 4)) for number, due_ms in enumerate(singles)))
    manage_table.add(*bundles(rng, [FAR_MS + 5 * HOUR_MS + rng.randrange(100_000) for _ in range(60)], 4))
    members = [each.due_ms for thing in manage_table.items.values() for each in entries(thing)]
    for due_ms in members:
        expected[(due_ms - FAR_MS) // HOUR_MS] += 1
    answer = ask(manage_dependencies(manage_table), **SPAN)
    assert (expected, len(members), False, None) == (
        counts(answer),
        answer["total"],
        answer["estimate"],
        answer["next"],
    )
    assert 4 == manage_table.reads
    assert len(members) > 90


def test_many_schedules_cost_a_query_for_each_bucket():
    """Their number does not matter. Each bucket is within a third of the truth, and so is the total."""
    rng, manage_table = random.Random(2), FakeManageTable()
    dues_ms = [FAR_MS + rng.randrange(BUCKETS * HOUR_MS) for _ in range(40_000)]
    manage_table.add(*(schedule(number, due_ms, str(rng.randrange(4))) for number, due_ms in enumerate(dues_ms)))
    answer = ask(manage_dependencies(manage_table), **SPAN)
    assert BUCKETS + 4 == manage_table.reads
    assert answer["estimate"]
    for number, count in enumerate(counts(answer)):
        truth = sum((due_ms - FAR_MS) // HOUR_MS == number for due_ms in dues_ms)
        assert abs(count - truth) < truth / 3
    assert abs(answer["total"] - 40_000) < 4_000


def test_many_partitions_are_not_looked_at_one_by_one():
    """With 64 of them, the first look would cost more than the estimate."""
    manage_table = FakeManageTable()
    manage_table.add(*(schedule(number, FAR_MS + number, str(number)) for number in range(64)))
    answer = ask(manage_dependencies(manage_table, partition_count=64), **SPAN)
    assert BUCKETS == manage_table.reads
    assert 64 == answer["total"]


def test_few_timers_count_only_if_their_records_wait_for_them():
    """In the table and in the index of near names. A cancelled schedule is not on the chart."""
    manage_table, records = FakeManageTable(), FakeRecords()
    for number in range(6):
        timer, record = named(number, f"far/{number}", timer_only=number % 2 == 1)
        manage_table.add(timer)
        records.current[f"far/{number}"] = record
    span = {"from": NOON_MS / 1000, "to": (FAR_MS + HOUR_MS) / 1000, "bucket": 86_400}
    answer = ask(manage_dependencies(manage_table, records), **span)
    assert 3 == answer["total"]
    assert {"queued", "note"} <= set(answer), "the range begins within reach"
    assert 4 + len(NEAR_PARTITIONS) == manage_table.reads
    assert NOON_MS + REACH_MS < FAR_MS


def test_an_estimate_has_one_page():
    """A position of a forecast is none of an estimate."""
    with pytest.raises(InvalidRequest, match="next is given with estimate"):
        ask(manage_dependencies(FakeManageTable()), **SPAN, next="x")
