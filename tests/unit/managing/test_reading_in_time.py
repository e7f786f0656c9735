"""List and forecast return every page in time, and a caller who continues reaches the end.

This holds for a slow table, and for many schedules due at one time.
"""

import json
import random

import pytest

from fakes import NOON_MS, Clock, FakeRecords, schedule
from manage_fakes import FAR_MS, FakeManageTable, bundles, entries, manage_dependencies, named
from scheduler.managing import request
from scheduler.managing.listing import forecast
from scheduler.managing.listing import pages as listing
from scheduler.model.bundle import Bundle, packed
from scheduler.model.schedule import Key, sort_from

SECONDS = 24
CALL_S_MAX = 5
"""A longer call is aborted. The function reserves a second more than this."""


def pages(operation, dependencies, clock, seconds=SECONDS, **fields):
    """Return the answers of all pages, after checking that each came in time."""
    value = {}
    for _ in range(3_000):
        begun_s = clock()
        answer = operation(request.ManageRequest("", {**fields, **value}), dependencies, clock.deadline(seconds))
        assert clock() - begun_s <= seconds + CALL_S_MAX
        json.dumps(answer)
        yield answer
        if answer["next"] is None:
            return
        value = {"next": answer["next"]}
    raise AssertionError("it never ends")


def listed(dependencies, clock, seconds=SECONDS, **fields):
    found = []
    for answer in pages(listing.list_, dependencies, clock, seconds, **fields):
        assert len(answer["schedules"]) <= fields.get("limit", 100)
        moments = [each["timestamp"] for each in answer["schedules"]]
        assert sorted(moments) == moments
        found += [each["id"] for each in answer["schedules"]]
    return found


def forecasted(dependencies, clock, seconds=SECONDS, **fields):
    return sum(answer["total"] for answer in pages(forecast.forecast, dependencies, clock, seconds, **fields))


@pytest.mark.parametrize("seed", range(60))
def test_a_slow_table_makes_pages_smaller_and_leaves_nothing_out(seed):
    """Single schedules, bundles of this version and of the previous one, and near and far names."""
    rng = random.Random(seed)
    call_s, seconds = rng.choice([(0.5, 0), (0.5, 3), (2, 12), (2, 24), (4.9, 24)])
    limit, page_items = rng.choice([1, 7, 100]), rng.choice([2, 10, 1_000])
    spread_ms, first = rng.choice([1, 5_000, 300_000, 10_000_000]), rng.random() < 0.5
    clock, records = Clock(), FakeRecords(batch_max=10)
    manage_table = FakeManageTable(page_items, clock=clock, call_s=call_s)
    manage_table.add(*(schedule(number, FAR_MS + rng.randrange(spread_ms), str(number % 4)) for number in range(12)))
    for bundle in bundles(rng, [FAR_MS + rng.randrange(spread_ms) for _ in range(20)], 4):
        manage_table.add(bundle if first else Bundle(bundle.key, bundle.packed, bundle.count))
    expected = [each.id for thing in manage_table.items.values() for each in entries(thing)]
    for number in range(12):
        timer, record = named(1_000 + number, f"n/{number}")
        records.current[record.name] = record
        manage_table.add(timer)
        expected.append(timer.id)
    for number in range(12):
        each = schedule(100 + number, NOON_MS + 60_000 + rng.randrange(min(spread_ms, 500_000)))
        each.name = f"near/{number}"
        records.add(each)
        manage_table.add_near(each)
        expected.append(each.id)
    fields = {"from": NOON_MS / 1000}
    clock.now_ms = NOON_MS
    found = listed(manage_dependencies(manage_table, records), clock, seconds, limit=limit, **fields)
    assert len(found) == len(set(found))
    assert set(expected) - late(expected, clock) <= set(found) <= set(expected)
    clock.now_ms = NOON_MS
    total = forecasted(
        manage_dependencies(manage_table, records),
        clock,
        seconds,
        **fields,
        to=FAR_MS / 1000 + 20_000,
        bucket=rng.choice([60, 20_000]),
    )
    assert len(expected) - len(late(expected, clock)) <= total <= len(expected)


def late(ids, clock):
    """Return the ids without names that were due more than a minute ago."""
    return {each for each in ids if int(each.split("-")[1]) < clock.now_ms - 60_000}


class Millions(FakeManageTable):
    """Millions of bundles at one time. Each page is made when it is read."""

    def __init__(self, clock, bundles_each, first, spread_ms=1):
        super().__init__(items_max=250, clock=clock)
        self.count, self.first, self.spread_ms = bundles_each, first, spread_ms
        members = 73
        texts = [json.dumps([index, FAR_MS, "x"], separators=(",", ":")) for index in range(members)]
        self.packed, self.members = packed(texts), members

    def _key(self, partition, number):
        return Key(partition, f"{sort_from(FAR_MS + number * self.spread_ms // self.count)}#{number:016x}")

    def _page(self, held, partition, from_sort, to_sort, limit, newest_first=False):
        assert held is self.items, "no test here reads anything else"
        self.clock.sleep(0.1)
        low, high = 0, self.count
        while low < high:  # Find the first key that does not sort before.
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._key(partition, middle).sort < from_sort else (low, middle)
        keys = [self._key(partition, low + n) for n in range(min(limit or 10**9, self.items_max, self.count - low))]
        found = [key for key in keys if key.sort <= to_sort]
        more = len(found) == len(keys) and keys and low + len(keys) < self.count
        first_ms = FAR_MS if self.first else None
        return [Bundle(key, self.packed, self.members, first_ms) for key in found], (
            found[-1].sort + " " if more else None
        )


@pytest.mark.parametrize("bundles_each", [7_000, 70_000])
def test_a_page_of_one_of_millions_at_one_time_comes_in_time(bundles_each):
    """Two million in four partitions, or twenty. A bundle's due time is known without unpacking it."""
    clock = Clock()
    manage_table = Millions(clock, bundles_each, True)
    answers = pages(listing.list_, manage_dependencies(manage_table), clock, limit=1, **{"from": FAR_MS / 1000})
    shown = [schedule["id"] for _ in range(4) for schedule in next(answers)["schedules"]]
    assert 4 == len(set(shown)) == len(shown)


def test_pages_of_millions_in_one_minute_make_progress(monkeypatch):
    """Every page shows something, though not in order of time.

    All first members of ten million are due at the beginning of the minute, so the next schedule could be in any
    bundle.
    """
    clock = Clock()
    manage_table = Millions(clock, 35_000, True, spread_ms=50_000)
    answers = pages(listing.list_, manage_dependencies(manage_table), clock, limit=5, **{"from": FAR_MS / 1000})
    shown = [schedule["id"] for _ in range(6) for schedule in next(answers)["schedules"]]
    assert 30 == len(set(shown)) == len(shown)


@pytest.mark.parametrize(("first", "bundles_each"), [(True, 9_000), (False, 400)])
def test_a_forecast_of_millions_is_counted_in_pages(first, bundles_each):
    """It unpacks bundles of the previous version. Other bundles have the due time of their first member."""
    clock = Clock()
    manage_table = Millions(clock, bundles_each, first)
    fields = {"from": FAR_MS / 1000, "to": FAR_MS / 1000 + 3_600, "bucket": 3_600}
    assert 4 * bundles_each * 73 == forecasted(manage_dependencies(manage_table), clock, 2, **fields)
