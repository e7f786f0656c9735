"""The table as the writers use it: far schedules, timers, near names and the partition count."""

import random

import pytest

from fakes import NOON_MS, schedule
from scheduler.errors import NotConfirmed
from scheduler.limits import DYNAMODB_BATCH_WRITES_MAX
from scheduler.model.schedule import Request, Schedule, sort_from, timer
from scheduler.placing import near_names
from scheduler.placing.keys import KeyGenerator
from scheduler.placing.near_names import Entry

EARLIEST, LATEST = sort_from(0), sort_from(2 * NOON_MS)


def stored(ports):
    page = ports.table.page("0", EARLIEST, LATEST, 1_000)
    return sorted([*page.schedules, *page.bundles], key=lambda each: each.key)


def named(number):
    return Schedule(schedule(number).key, NOON_MS, f"data {number}", name=f"name/{number}")


def rows(*numbers):
    return [row for number in numbers for row in near_names.rows([near_names.entry_of(named(number))])]


def test_a_put_of_an_existing_key_overwrites_it(ports):
    """A repeated request under a token has the same key, so it makes no second schedule."""
    ports.table.put([schedule(1)])
    again = Schedule(schedule(1).key, NOON_MS, "again", "arn:aws:sqs:eu-central-1:123456789012:other", "me", 5, "{}")
    outcome = ports.table.put([again])
    assert ([again], [], []) == (outcome.confirmed, outcome.unconfirmed, outcome.not_attempted)
    assert [again] == stored(ports)


def test_a_delete_of_a_missing_key_is_confirmed(ports):
    """The feed repeats a delete whose answer it did not get."""
    key = schedule(1).key
    assert [key] == ports.table.delete([key]).confirmed
    ports.table.put([schedule(1), schedule(2)])
    assert [key] == ports.table.delete([key]).confirmed
    assert [schedule(2)] == stored(ports)


def test_a_write_holds_one_batch_and_leaves_the_rest_untried(ports):
    """The caller looks at the clock between two batches."""
    many = [schedule(number) for number in range(DYNAMODB_BATCH_WRITES_MAX + 2)]
    for call, things in ((ports.table.put, many), (ports.table.delete, [each.key for each in many])):
        outcome = call(things)
        assert (things[:-2], [], things[-2:]) == (outcome.confirmed, outcome.unconfirmed, outcome.not_attempted)
    assert [] == stored(ports)


def test_an_unprocessed_write_leaves_its_item_and_confirms_the_others(ports):
    """DynamoDB answers with success all the same."""
    ports.leave_unprocessed(schedule(2).key)
    outcome = ports.table.put([schedule(number) for number in (1, 2, 3)])
    assert ([schedule(1), schedule(3)], [schedule(2)]) == (outcome.confirmed, outcome.unconfirmed)
    assert ([schedule(1), schedule(3)], "UnprocessedItems") == (stored(ports), outcome.last_error)
    ports.leave_unprocessed(schedule(3).key)
    outcome = ports.table.delete([schedule(1).key, schedule(3).key])
    assert ([schedule(1).key], [schedule(3).key]) == (outcome.confirmed, outcome.unconfirmed)
    assert [schedule(3)] == stored(ports)


def test_a_row_of_near_names_is_unprocessed_on_its_own(ports):
    """A name whose row is not written gets no timer. The other names do."""
    first, second = rows(1, 2)
    ports.leave_unprocessed(first.key)
    outcome = ports.table.put_near_names([first, second])
    assert ([second], [first]) == (outcome.confirmed, outcome.unconfirmed)
    assert ["name/2"] == ports.near_names()


def test_the_same_row_of_near_names_is_stored_once(ports):
    """A repeat makes the same rows. Another entry makes another row."""
    for row in [*rows(1), *rows(1), *near_names.rows([Entry(schedule(2).id, "name/2", NOON_MS)])]:
        ports.table.put_near_names([row])
    assert ["name/1", "name/2"] == ports.near_names()


def test_a_bundle_is_stored_next_to_schedules(ports):
    """It is one item under its own key."""
    requests = dict(enumerate([Request(NOON_MS, "a"), Request(NOON_MS, "b")]))
    ((bundle, _),) = KeyGenerator(1, random.Random(1), 60_000).bundles(requests, None)
    ports.table.put([bundle, schedule(1)])
    assert sorted([bundle, schedule(1)], key=lambda each: each.key) == stored(ports)


def test_a_timer_is_removed_only_by_the_request_that_set_it(ports):
    """A later request may have set another timer under the same key. A schedule is no timer."""
    ports.table.put([timer(named(1), 7), schedule(2)])
    ports.table.remove_timer(timer(named(1), 6))
    ports.table.remove_timer(timer(named(2), 7))
    ports.table.remove_timer(timer(named(3), 7))
    assert ["name/1", None] == [each.name for each in stored(ports)]
    ports.table.remove_timer(timer(named(1), 7))
    assert [schedule(2)] == stored(ports)


def test_a_timer_is_read_as_a_schedule_without_data(ports):
    """Its reader needs the name and the id to find the record."""
    ports.table.put([timer(named(1), 7)])
    assert [Schedule(named(1).key, NOON_MS, "", name="name/1")] == stored(ports)


def test_the_remembered_partition_count_never_shrinks(ports):
    """It is 0 before the first write."""
    assert 0 == ports.table.recall_partitions()
    for count, remembered in [(4, 4), (8, 8), (2, 8)]:
        assert [count] == ports.table.remember_partitions([count]).confirmed
        assert remembered == ports.table.recall_partitions()


def test_a_table_that_does_not_answer_confirms_nothing(ports):
    """A batch stays unconfirmed, with a reason. A single call raises NotConfirmed."""
    many = [schedule(number) for number in range(DYNAMODB_BATCH_WRITES_MAX + 1)]
    ports.go_down()
    calls = [(ports.table.put, many), (ports.table.delete, [each.key for each in many])]
    for call, things in [*calls, (ports.table.put_near_names, rows(1)), (ports.table.remember_partitions, [4])]:
        outcome, tried = call(things), things[:DYNAMODB_BATCH_WRITES_MAX]
        assert ([], tried, things[len(tried) :]) == (outcome.confirmed, outcome.unconfirmed, outcome.not_attempted)
        assert outcome.last_error
    with pytest.raises(NotConfirmed):
        ports.table.remove_timer(timer(named(1), 7))
    with pytest.raises(NotConfirmed):
        ports.table.recall_partitions()
