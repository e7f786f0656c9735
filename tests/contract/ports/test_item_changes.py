"""The table as cancel, move, change and fire use it: a hold on an item, and changes on condition that it is as read."""

import random
from dataclasses import replace

import pytest

from fakes import NOON_MS, schedule
from scheduler.errors import NotConfirmed
from scheduler.managing.dependencies import BUSY, DONE, GONE
from scheduler.model.schedule import Request, Schedule, sort_from, timer
from scheduler.placing.keys import KeyGenerator

EARLIEST, LATEST = sort_from(0), sort_from(2 * NOON_MS)
ENDS_MS = NOON_MS + 60_000


def packed(*texts):
    """Return one bundle of partition 0 with these data."""
    requests = dict(enumerate(Request(NOON_MS, text) for text in texts))
    ((bundle, _),) = KeyGenerator(1, random.Random(1), 60_000).bundles(requests, None)
    return bundle


def without(bundle, text):
    """Return the bundle without the member that has this data."""
    return bundle.holding([each for each in bundle.members() if each.data != text])


def lock(ports, item, owner="first", now_ms=NOON_MS, ends_ms=ENDS_MS):
    return ports.manage_table.lock(item, owner, now_ms, ends_ms)


def remove(ports, item, owner="first", now_ms=NOON_MS, kept=None):
    return ports.manage_table.remove(item, kept, owner, now_ms)


def get(ports, item):
    return ports.manage_table.get(item.key)


ITEMS = pytest.mark.parametrize("item", [schedule(1), packed("a", "b", "c")], ids=["schedule", "bundle"])


@ITEMS
def test_an_item_is_read_as_it_was_written(ports, item):
    """Nothing is read under the key of another."""
    ports.store(item)
    assert item == get(ports, item)
    assert get(ports, schedule(2)) is None


def test_a_timer_is_read_as_a_schedule_without_data(ports):
    named = replace(schedule(1), name="bill")
    ports.store(timer(named, 7))
    assert Schedule(named.key, NOON_MS, "", name="bill") == get(ports, named)


def test_a_reader_may_change_the_schedule_that_it_has_read(ports):
    ports.store(schedule(1))
    get(ports, schedule(1)).data = "changed"
    assert schedule(1) == get(ports, schedule(1))


@ITEMS
def test_a_hold_keeps_others_away_until_it_ends(ports, item):
    """The holder may hold the item again, for longer."""
    ports.store(item)
    assert DONE == lock(ports, item)
    assert BUSY == lock(ports, item, "second", ENDS_MS - 1, ENDS_MS + 1)
    assert BUSY == remove(ports, item, "second", ENDS_MS - 1)
    assert DONE == lock(ports, item, ends_ms=ENDS_MS + 5)
    assert BUSY == lock(ports, item, "second", ENDS_MS, ENDS_MS + 9)
    assert DONE == lock(ports, item, "second", ENDS_MS + 5, ENDS_MS + 9)
    assert BUSY == remove(ports, item, "first", ENDS_MS + 6)


@ITEMS
def test_only_its_holder_lets_an_item_go(ports, item):
    """Another call that lets it go changes nothing."""
    ports.store(item)
    lock(ports, item)
    ports.manage_table.unlock(item.key, "second")
    assert BUSY == lock(ports, item, "second")
    ports.manage_table.unlock(item.key, "first")
    assert DONE == lock(ports, item, "second")


@ITEMS
def test_readers_see_an_item_that_is_held_as_it_was(ports, item):
    ports.store(item)
    lock(ports, item)
    page = ports.table.page("0", EARLIEST, LATEST, 10)
    listed = ports.manage_table.schedule_page("0", EARLIEST, LATEST, None)
    assert [item, [item], [item]] == [get(ports, item), [*page.schedules, *page.bundles], listed.things]


@ITEMS
def test_an_item_is_removed_by_its_holder_and_by_others_once_nobody_holds_it(ports, item):
    ports.store(item)
    lock(ports, item)
    assert DONE == remove(ports, item)
    assert get(ports, item) is None
    ports.store(item)
    assert DONE == remove(ports, item, "second")
    assert get(ports, item) is None


@ITEMS
def test_an_item_that_is_gone_is_neither_held_nor_removed(ports, item):
    """Nothing comes into being. To let it go is no error."""
    assert [GONE, GONE] == [lock(ports, item), remove(ports, item)]
    ports.manage_table.unlock(item.key, "first")
    assert get(ports, item) is None
    assert [] == ports.manage_table.schedule_page("0", EARLIEST, LATEST, None).things


def test_the_rest_of_a_bundle_replaces_it_and_ends_the_hold(ports):
    read = packed("a", "b", "c")
    ports.store(read)
    lock(ports, read)
    rest = without(read, "b")
    assert DONE == remove(ports, read, kept=rest)
    assert rest == get(ports, read)
    assert DONE == lock(ports, rest, "second")


def test_a_bundle_that_has_changed_is_neither_held_nor_removed(ports):
    """The caller reads it again, and finds out whether its member is still there."""
    read = packed("a", "b", "c")
    ports.store(without(read, "a"))
    assert [GONE, GONE] == [lock(ports, read), remove(ports, read, kept=without(read, "b"))]
    assert without(read, "a") == get(ports, read)


def test_a_hold_of_another_call_is_told_also_if_the_bundle_has_changed(ports):
    """The caller waits for the end of the hold then, and reads the bundle again."""
    read = packed("a", "b", "c")
    ports.store(without(read, "a"))
    lock(ports, without(read, "a"))
    assert [BUSY, BUSY] == [lock(ports, read, "second"), remove(ports, read, "second")]


def test_a_feed_writes_the_rest_of_a_bundle_back_although_it_is_held(ports):
    """It has sent the other members. The holder then finds that the bundle has changed."""
    read = packed("a", "b", "c")
    ports.store(read)
    lock(ports, read)
    rest = without(read, "a")
    assert [read] == ports.table.write_back(read, rest).confirmed
    assert GONE == remove(ports, read, kept=without(read, "b"))
    assert rest == get(ports, read)


@ITEMS
def test_a_request_that_is_sent_again_ends_the_hold_of_its_item(ports, item):
    """It has the same key under its token, and writes the whole item."""
    ports.store(item)
    lock(ports, item)
    ports.store(item)
    assert DONE == lock(ports, item, "second")


def test_a_hold_does_not_outlive_its_item(ports):
    """A feed may delete a held schedule that it has sent."""
    ports.store(schedule(1))
    lock(ports, schedule(1))
    ports.table.delete([schedule(1).key])
    assert GONE == remove(ports, schedule(1))
    ports.store(schedule(1))
    assert DONE == lock(ports, schedule(1), "second")


def test_a_table_that_does_not_answer_confirms_no_change_of_an_item(ports):
    ports.store(schedule(1))
    ports.go_down()
    for call in (
        lambda: get(ports, schedule(1)),
        lambda: lock(ports, schedule(1)),
        lambda: remove(ports, schedule(1)),
        lambda: ports.manage_table.unlock(schedule(1).key, "first"),
        lambda: ports.manage_table.schedule_page("0", EARLIEST, LATEST, None),
        lambda: ports.manage_table.due_page("0", EARLIEST, LATEST, False),
        lambda: ports.manage_table.bundles("0", EARLIEST, LATEST, NOON_MS),
    ):
        with pytest.raises(NotConfirmed):
            call()
