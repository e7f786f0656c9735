"""The forecast counts exactly, however many pages it needs."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import NOON_MS, Clock, FakeRecords, schedule
from manage_fakes import FAR_MS, FakeManageTable, bundles, entries, manage_dependencies, named
from scheduler.errors import InvalidRequest
from scheduler.managing import operations, request
from scheduler.managing.listing import forecast


def ask(dependencies, seconds=14, **fields):
    asked = request.read({"operation": "forecast", **fields}, operations.FIELDS_OF_OPERATION)
    return forecast.forecast(asked, dependencies, Clock().deadline(seconds))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    page_items=st.sampled_from([1, 7, 1_000]),
    buckets=st.integers(1, 50),
    seconds=st.sampled_from([0, 14]),
)
def test_every_bucket_counts_what_is_due_in_it(seed, page_items, buckets, seconds):
    """Single schedules and members of bundles whose keys lie after the end, summed over several calls."""
    rng, manage_table = random.Random(seed), FakeManageTable(page_items)
    manage_table.add(*(schedule(number, FAR_MS + rng.randrange(200_000), str(number % 4)) for number in range(30)))
    manage_table.add(*bundles(rng, [FAR_MS + rng.randrange(200_000) for _ in range(60)], 4))
    from_ms, bucket_ms = FAR_MS + rng.randrange(100_000), rng.randrange(1, 5_000)
    to_ms = from_ms + buckets * bucket_ms - rng.randrange(bucket_ms)
    fields = {"from": from_ms / 1000, "to": to_ms / 1000, "bucket": bucket_ms / 1000}
    counts, cursor = [0] * buckets, {}
    for _ in range(1_000):
        answer = ask(manage_dependencies(manage_table), seconds, **fields, **cursor)
        assert buckets == len(answer["buckets"])
        assert sum(each["count"] for each in answer["buckets"]) == answer["total"]
        counts = [known + each["count"] for known, each in zip(counts, answer["buckets"], strict=True)]
        if answer["next"] is None:
            break
        cursor = {"next": answer["next"]}
    dues_ms = [each.due_ms for thing in manage_table.items.values() for each in entries(thing)]
    expected = [0] * buckets
    for due_ms in dues_ms:
        if from_ms <= due_ms < to_ms:
            expected[(due_ms - from_ms) // bucket_ms] += 1
    assert expected == counts


def test_a_timer_counts_if_its_record_waits_for_it():
    """Replaced and finished schedules will not be sent, so they do not count."""
    manage_table, records = FakeManageTable(), FakeRecords(batch_max=2)
    for number in range(10):
        timer, record = named(number, f"n/{number}", timer_only=number % 2 == 1)
        manage_table.add(timer)
        records.current[f"n/{number}"] = record
    answer = ask(
        manage_dependencies(manage_table, records), **{"from": FAR_MS / 1000, "to": FAR_MS / 1000 + 60, "bucket": 60}
    )
    assert 5 == answer["total"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "from is missing; forecast wants from, to, bucket"),
        ({"from": 0, "to": 10}, "bucket is missing"),
        ({"from": 10, "to": 10, "bucket": 1}, "to is 10, not after from"),
        ({"from": "soon", "to": 10, "bucket": 1}, "from is 'soon', no date that exists"),
        ({"from": 0, "to": 10, "bucket": 0}, "bucket is 0; wanted"),
        ({"from": 0, "to": 10, "bucket": "1"}, "bucket is '1'; wanted"),
        ({"from": 0, "to": 3_600, "bucket": 1}, "bucket is 1, which makes 3600 of them; .* at least 3.6 seconds"),
    ],
)
def test_an_invalid_forecast_is_refused(fields, message):
    """The error names the field and the accepted values."""
    with pytest.raises(InvalidRequest, match=message):
        ask(manage_dependencies(FakeManageTable()), **fields)


def test_near_schedules_are_noted():
    """The note is the same as in a list."""
    assert "note" in ask(
        manage_dependencies(FakeManageTable()), **{"from": NOON_MS / 1000, "to": NOON_MS / 1000 + 1, "bucket": 1}
    )
