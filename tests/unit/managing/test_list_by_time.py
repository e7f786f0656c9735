"""A list is in order of time, without gaps and repeats, even if schedules change between two pages."""

import base64
import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import NOON_MS, Clock, FakeRecords, schedule
from manage_fakes import FAR_MS, FakeManageTable, bundles, entries, manage_dependencies, named
from scheduler.errors import InvalidRequest
from scheduler.execution.worker_pool import SerialPool
from scheduler.managing import operations, request
from scheduler.managing.listing import pages as listing
from scheduler.model.schedule import sort_from


def ask(dependencies, clock=None, **fields):
    asked = request.read({"operation": "list", **fields}, operations.FIELDS_OF_OPERATION)
    return listing.list_(asked, dependencies, (clock or Clock()).deadline())


def every_page(dependencies, between=lambda: None, **fields):
    """Return all pages, and call `between` after each of them."""
    pages, cursor = [], {}
    for _ in range(2_000):
        answer = ask(dependencies, **fields, **cursor)
        pages.append(answer["schedules"])
        if answer["next"] is None:
            return pages
        cursor = {"next": answer["next"]}
        between()
    raise AssertionError("it never ends")


def ids(pages):
    return [each["id"] for page in pages for each in page]


def order(each):
    return (each.due_ms, each.key.sort, each.key.partition, each.index or 0)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    partition_count=st.sampled_from([1, 2, 5, 16]),
    limit=st.integers(1, 40),
    page_items=st.sampled_from([1, 3, 10, 1_000]),
    spread_ms=st.sampled_from([1, 50, 5_000, 200_000, 10_000_000]),
)
def test_nothing_is_left_out_or_shown_twice(seed, partition_count, limit, page_items, spread_ms):
    """Random single schedules and bundles, also due at the same time, with writes and deletes between the pages."""
    rng = random.Random(seed)
    manage_table = FakeManageTable(page_items)

    def batch():
        alone = [
            schedule(rng.getrandbits(60), FAR_MS + rng.randrange(spread_ms), str(rng.randrange(partition_count)))
            for _ in range(rng.randrange(30))
        ]
        dues_ms = [FAR_MS + rng.randrange(spread_ms) for _ in range(rng.randrange(40))]
        return [*alone, *bundles(rng, dues_ms, partition_count)]

    stays = [*batch(), *batch()]
    passing = batch()
    manage_table.add(*stays, *passing)

    def between():
        for each in passing:
            manage_table.items.pop(each.key, None)
        passing[:] = batch()
        manage_table.add(*passing)

    from_ms, to_ms = FAR_MS + spread_ms // 5, FAR_MS + spread_ms - spread_ms // 7
    shown = ids(
        every_page(
            manage_dependencies(manage_table, None, partition_count),
            between,
            limit=limit,
            **{"from": from_ms / 1000, "to": to_ms / 1000},
        )
    )
    lasting = sorted((each for thing in stays for each in entries(thing)), key=order)
    expected = [each.id for each in lasting if from_ms <= each.due_ms < to_ms]
    assert expected == [each for each in shown if each in set(expected)]
    assert len(set(shown)) == len(shown)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.integers(1, 30), page_items=st.sampled_from([2, 1_000]))
def test_pages_are_full_and_in_order_without_writes(seed, limit, page_items):
    """Every page but the last is full, and together they are sorted."""
    rng, manage_table = random.Random(seed), FakeManageTable(page_items)
    manage_table.add(*(schedule(number, FAR_MS + rng.randrange(100_000), str(number % 4)) for number in range(50)))
    manage_table.add(*bundles(rng, [FAR_MS + rng.randrange(100_000) for _ in range(90)], 4))
    pages = every_page(manage_dependencies(manage_table), limit=limit)
    everything = sorted((each for thing in manage_table.items.values() for each in entries(thing)), key=order)
    assert [each.id for each in everything] == ids(pages)
    assert {limit} >= {len(page) for page in pages[:-1]}


def test_a_page_does_not_reread_a_million_schedules_due_at_one_time():
    """It skips everything that sorts before the last schedule shown."""
    manage_table = FakeManageTable()
    manage_table.add(*(schedule(number, FAR_MS, str(number % 4)) for number in range(2_000)))
    pages = every_page(manage_dependencies(manage_table), limit=100)
    assert 20 == len(pages)
    assert manage_table.reads <= 20 * 4 * 3


def test_a_timer_shows_the_schedule_it_wakes():
    """It shows the truncated data of its record. A replaced, delivered or cancelled schedule is not shown."""
    manage_table, records = FakeManageTable(), FakeRecords(batch_max=3)
    for number in range(200):
        name = f"n/{number // 2 if number % 2 else number}"
        timer, record = named(number, name, timer_only=number % 2 == 1)
        manage_table.add(timer)
        if number % 2 == 0 and number % 10:
            records.current[name] = record
    shown = [each for page in every_page(manage_dependencies(manage_table, records), limit=7) for each in page]
    assert [f"n/{number}" for number in range(0, 200, 2) if number % 10] == [each["name"] for each in shown]
    assert {256} == {len(each["data"]) for each in shown}
    assert {"stored"} == {each["state"] for each in shown}


def test_near_schedules_are_noted():
    """Unnamed schedules within reach are in their queues already. The answer says so for such times."""
    dependencies = manage_dependencies(FakeManageTable())
    assert "note" in ask(dependencies)
    assert "note" in ask(dependencies, **{"from": NOON_MS / 1000 + 900})
    assert "note" not in ask(dependencies, **{"from": NOON_MS / 1000 + 901})


def test_a_page_is_cut_to_fit_the_answer():
    """Webhooks can have long headers, and Lambda returns at most 6 MB. The rest comes with the next page."""
    manage_table, headers = (
        FakeManageTable(),
        json.dumps({"url": "https://example.com", "headers": {"x": "é" * 15_000}}),
    )
    manage_table.add(*(schedule(number, FAR_MS + number, "0", target=headers) for number in range(200)))
    pages = every_page(manage_dependencies(manage_table), limit=200)
    assert 200 == len(set(ids(pages)))
    assert all(1_000 < len(json.dumps(page)) < 6_000_000 for page in pages)


def cursor_of(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "value",
    [
        5,
        "",
        "x",
        "é",
        "A" * 100_000,
        cursor_of("list"),
        cursor_of([]),
        cursor_of([[]]),
        cursor_of(["names", 5, "x"]),
        cursor_of(["list", 5, f"{sort_from(5)}#x", "0"]),
        cursor_of(["list", True, f"{sort_from(5)}#x", "0", 1]),
        cursor_of(["list", -1, f"{sort_from(5)}#x", "0", 1]),
        cursor_of(["list", 10**30, f"{sort_from(5)}#x", "0", 1]),
        cursor_of(["list", 5, "", "0", 1]),
        cursor_of(["list", 5, f"{sort_from(5)}#\ud800", "0", 1]),
        cursor_of(["list", 5, f"{sort_from(5)}#" + "x" * 2_000, "0", 1]),
        cursor_of(["list", 5, f"{sort_from(5)}#x", "names#0", 1]),
        base64.urlsafe_b64encode(b"[" * 30_000).decode(),
        base64.urlsafe_b64encode(b"\xff").decode(),
    ],
)
def test_a_foreign_cursor_is_refused(value):
    """Any caller could have changed the cursor."""
    with pytest.raises(InvalidRequest, match=r"next is .*; wanted: the next of the answer before"):
        ask(manage_dependencies(FakeManageTable()), next=value)


class CountedPool(SerialPool):
    """A pool that notes how many pages each run reads, and how much data they hold."""

    def __init__(self):
        self.runs = []

    def run(self, work, jobs):
        results = super().run(work, jobs)
        self.runs.append((len(results), sum(len(each.schedule.data) for page in results for each in page)))
        return results


@pytest.mark.parametrize(("full", "first_run"), [(True, (4, 4 * 4 * 100_000)), (False, (64, 64 * 4 * 256))])
def test_a_full_list_reads_few_partitions_at_once(full, first_run):
    """A page of each of 256 partitions with all data would not fit into memory. Otherwise all are read at once."""
    manage_table, pool = FakeManageTable(), CountedPool()
    for number in range(64 * 4):
        manage_table.add(replace(schedule(number, FAR_MS + number, str(number % 64)), data="x" * 100_000))
    dependencies = replace(manage_dependencies(manage_table, None, 64), pool=pool)
    found = [each for page in every_page(dependencies, full=full) for each in page]
    assert (first_run, max(pool.runs)) == (pool.runs[0], first_run)
    assert list(range(64 * 4)) == [round(each["timestamp"] * 1000) - FAR_MS for each in found]
