"""The table as listings and forecasts use it: pages by time, with and without data, and the near names."""

import random
from dataclasses import replace

import pytest

from fakes import NOON_MS, schedule
from scheduler.managing.dependencies import Stub
from scheduler.model.schedule import Key, Request, Schedule, sort_from, timer
from scheduler.placing import near_names
from scheduler.placing.keys import KeyGenerator
from scheduler.placing.near_names import Entry

EARLIEST, LATEST = sort_from(0), sort_from(2 * NOON_MS)


def bundle(*dues_ms):
    """Return one bundle of partition 0 with members at these times."""
    requests = dict(enumerate(Request(due_ms, f"data {due_ms}") for due_ms in dues_ms))
    ((found, _),) = KeyGenerator(1, random.Random(len(dues_ms)), 60_000).bundles(requests, None)
    return found


def all_pages(read, from_sort=EARLIEST):
    """Return what all pages hold, in their order."""
    found = []
    while from_sort is not None:
        things, from_sort = read(from_sort)
        found.append(things)
    return [each for things in found for each in things], [len(things) for things in found]


def by_key(things):
    return sorted(things, key=lambda each: each.key)


def test_a_page_holds_the_items_of_a_range_in_key_order(ports):
    """It excludes the end of the range, and other partitions."""
    things = [schedule(number, NOON_MS + number) for number in (3, 1, 2)]
    ports.store(*things, bundle(NOON_MS - 5, NOON_MS), schedule(4, NOON_MS + 1, partition="1"))
    page = ports.manage_table.schedule_page("0", sort_from(NOON_MS), sort_from(NOON_MS + 3), None)
    wanted = [bundle(NOON_MS - 5, NOON_MS), things[1], things[2]]
    assert (wanted, None) == (page.things, page.next_sort)


@pytest.mark.parametrize("limit", [1, 3])
def test_pages_by_time_have_no_gap_and_no_repeat(ports, limit):
    things = [*[schedule(number, NOON_MS + number % 2) for number in range(7)], bundle(NOON_MS - 5, NOON_MS)]
    ports.store(*things)

    def read(from_sort):
        page = ports.manage_table.schedule_page("0", from_sort, LATEST, limit)
        return page.things, page.next_sort

    found, sizes = all_pages(read)
    assert by_key(things) == found
    assert max(sizes) == limit


def test_a_reader_may_change_what_it_has_read(ports):
    """A listing cuts the data of its entries. The next read has it whole."""
    ports.store(schedule(1))
    for _ in range(2):
        (found,) = ports.manage_table.schedule_page("0", EARLIEST, LATEST, None).things
        assert "data 1" == found.data
        found.data = "cut"


def test_a_timer_is_listed_as_a_schedule_without_data(ports):
    """Its record has the data."""
    named = replace(schedule(1), name="bill")
    ports.store(timer(named, 7))
    page = ports.manage_table.schedule_page("0", EARLIEST, LATEST, None)
    assert [Schedule(named.key, NOON_MS, "", name="bill")] == page.things


def test_a_range_that_starts_after_its_end_is_empty(ports):
    """The next page may begin after the item that was exactly on the bound."""
    ports.store(schedule(1), bundle(NOON_MS - 5, NOON_MS))
    ports.store_rows(*near_names.rows([near_names.entry_of(replace(schedule(1), name="bill"))]))
    table, bounds = ports.manage_table, (LATEST, EARLIEST)
    near = table.near_names(near_names.NEAR_NAME_PARTITIONS[0], *bounds, 2 * NOON_MS, None)
    due, with_data = table.due_page("0", *bounds, False), table.schedule_page("0", *bounds, None)
    packed = table.bundles("0", *bounds, 2 * NOON_MS)
    assert [([], None)] * 4 == [
        (near.rows, near.next_sort),
        (due.stubs, due.next_sort),
        (with_data.things, with_data.next_sort),
        (packed.things, packed.next_sort),
    ]


def test_bundles_are_read_if_they_have_a_member_before_the_time(ports):
    """Schedules are left out. A bundle of an earlier version does not tell the time of its first member."""
    early, late = bundle(NOON_MS - 9_000, NOON_MS), bundle(NOON_MS + 5, NOON_MS + 6, NOON_MS + 7)
    older = replace(bundle(NOON_MS + 5, NOON_MS + 8, NOON_MS + 8, NOON_MS + 8), first_ms=None)
    ports.store(early, late, older, schedule(1))
    for before_ms, wanted in ((NOON_MS - 9_000, [older]), (NOON_MS - 8_999, [early, older])):
        page = ports.manage_table.bundles("0", EARLIEST, LATEST, before_ms)
        assert (by_key(wanted), None) == (page.things, page.next_sort)


@pytest.mark.parametrize("bundles_only", [True, False])
def test_stubs_have_the_time_and_the_name_but_no_data(ports, bundles_only):
    """A bundle is still to be unpacked."""
    named, packed = replace(schedule(2), name="bill"), bundle(NOON_MS - 5, NOON_MS)
    ports.store(schedule(1), timer(named, 7), packed)
    page = ports.manage_table.due_page("0", EARLIEST, LATEST, bundles_only)
    plain = [Stub(schedule(1).key, NOON_MS), Stub(named.key, NOON_MS, "bill")]
    wanted = [Stub(packed.key, NOON_MS, None, packed), *([] if bundles_only else plain)]
    assert (by_key(wanted), None) == (page.stubs, page.next_sort)


def rows(*wakes_ms):
    """Return one row for each time, all in the first partition."""
    found = [row for number, each in enumerate(wakes_ms) for row in near_names.rows([entry(number, each)])]
    return [replace(row, key=Key(near_names.NEAR_NAME_PARTITIONS[0], row.key.sort)) for row in found]


def entry(number, wakes_ms):
    return Entry(schedule(number, wakes_ms).id, f"name/{number}", wakes_ms)


def test_rows_of_near_names_are_read_if_they_have_a_timer_before_the_time(ports):
    first, second = rows(NOON_MS, NOON_MS + 60_000)
    ports.store_rows(first, second)
    partition = near_names.NEAR_NAME_PARTITIONS[0]
    for before_ms, wanted in ((NOON_MS, []), (NOON_MS + 1, [first]), (NOON_MS + 60_001, [first, second])):
        page = ports.manage_table.near_names(partition, EARLIEST, LATEST, before_ms, None)
        assert (wanted, None) == (page.rows, page.next_sort)


def test_pages_of_near_names_count_the_rows_that_the_filter_hides(ports):
    """DynamoDB filters after it has cut a page, so a page may be empty and still have a next one."""
    many = rows(*(NOON_MS + number * 60_000 for number in range(4)))
    ports.store_rows(*many)

    def read(from_sort):
        page = ports.manage_table.near_names(near_names.NEAR_NAME_PARTITIONS[0], from_sort, LATEST, NOON_MS + 60_001, 1)
        return page.rows, page.next_sort

    found, sizes = all_pages(read)
    assert (many[:2], [1, 1, 0, 0]) == (found, sizes[:4])
