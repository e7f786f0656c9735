"""The table as failures, redrive and runs use it: what is kept of a failure, and the id under which it is redriven."""

import random
from dataclasses import replace

import pytest

from fakes import NOON_MS, schedule
from scheduler.errors import NotConfirmed
from scheduler.feeding.jobs import QuarantinedItem
from scheduler.managing.dependencies import Failure
from scheduler.model import failure_report
from scheduler.model.failure_report import QUARANTINE, failed_partitions
from scheduler.model.feed_run import FeedRun, partition_of
from scheduler.model.schedule import Key, Request, Schedule, sort_from, timer
from scheduler.placing.keys import KeyGenerator
from scheduler.timestamps import day_of

EARLIEST, LATEST = sort_from(0), sort_from(2 * NOON_MS)
TODAY = day_of(NOON_MS)
WHOLE = replace(schedule(1), target="arn:aws:sqs:eu-central-1:123456789012:other", user="Ünal", terms="{}")
OTHER_ID = schedule(7).id


def keep(ports, thing, error="410", attempts=3, at_ms=NOON_MS):
    """Keep a failure of this schedule, and return its key."""
    ports.table.put_failed([failure_report.failed(thing, error, attempts, at_ms)])
    (found,) = [each.key for each in failures(ports) if each.failed_ms == at_ms and each.schedule.id == thing.id]
    return found


def failures(ports, schedule_id=None):
    """Return the failures of the day, or those of one schedule."""
    pages = [
        ports.manage_table.failures(partition, EARLIEST, LATEST, None, schedule_id)
        for partition in failed_partitions(TODAY, schedule_id)
    ]
    return sorted((each for page in pages for each in page.failures), key=lambda each: each.key.sort)


def quarantine(ports, *contents, reason="refused"):
    ports.table.quarantine([QuarantinedItem(each.key, each, reason) for each in contents])


def in_quarantine(ports):
    return ports.manage_table.failures(QUARANTINE, EARLIEST, LATEST, None).failures


def packed(*dues_ms):
    """Return one bundle with members at these times, and its members."""
    requests = dict(enumerate(Request(due_ms, f"data {due_ms}") for due_ms in dues_ms))
    ((bundle, members),) = KeyGenerator(1, random.Random(1), 60_000).bundles(requests, None)
    return bundle, list(members.values())


def all_pages(read):
    """Return what all pages hold, and the sizes of the pages."""
    found, sizes, from_sort = [], [], EARLIEST
    while from_sort is not None:
        things, from_sort = read(from_sort)
        found += things
        sizes.append(len(things))
    return found, sizes


# Failed and expired deliveries.


def test_a_failure_has_the_whole_schedule_and_what_became_of_it(ports):
    """So it can be scheduled again."""
    key = keep(ports, WHOLE, attempts=3, at_ms=NOON_MS + 5)
    assert [Failure(key, WHOLE, "failed", "410", 3, NOON_MS + 5)] == failures(ports)


def test_a_failure_of_a_member_has_the_id_of_the_member(ports):
    _, members = packed(NOON_MS - 5, NOON_MS)
    keep(ports, members[0])
    assert [(members[0], members[0].id)] == [(each.schedule, each.schedule.id) for each in failures(ports)]


def test_a_failure_of_a_text_has_no_schedule(ports):
    """The text was no delivery job."""
    ports.table.put_failed([failure_report.unreadable("{", "no JSON", NOON_MS)])
    assert [(None, "unreadable", "no JSON", 0, NOON_MS)] == [
        (each.schedule, each.reason, each.error, each.attempts, each.failed_ms) for each in failures(ports)
    ]


def test_failures_of_one_id_are_found_under_its_keys(ports):
    """A schedule may fail more than once."""
    for thing, at_ms in ((WHOLE, NOON_MS), (schedule(2), NOON_MS + 1), (WHOLE, NOON_MS + 2)):
        keep(ports, thing, at_ms=at_ms)
    assert [NOON_MS, NOON_MS + 2] == [each.failed_ms for each in failures(ports, WHOLE.id)]
    assert [] == failures(ports, OTHER_ID)


def test_pages_of_failures_count_those_of_other_ids(ports):
    """DynamoDB filters after it has cut a page, so a page may be empty and still have a next one."""
    partition = failed_partitions(TODAY, WHOLE.id)[-1]
    alike = [schedule(number) for number in range(200)]
    alike = [each for each in alike if failed_partitions(TODAY, each.id)[-1] == partition and each.id != WHOLE.id]
    for number, thing in enumerate([*alike[:2], WHOLE]):
        keep(ports, thing, at_ms=NOON_MS + number)

    def read(from_sort):
        page = ports.manage_table.failures(partition, from_sort, LATEST, 1, WHOLE.id)
        return page.failures, page.next_sort

    found, sizes = all_pages(read)
    assert ([WHOLE], [0, 0, 1]) == ([each.schedule for each in found], sizes[:3])


def test_a_reader_may_change_the_failure_that_it_has_read(ports):
    keep(ports, WHOLE)
    for _ in range(2):
        (found,) = failures(ports)
        assert WHOLE == found.schedule
        found.schedule.data = "cut"


def test_a_deleted_failure_is_gone(ports):
    """A redrive deletes it after it has scheduled it again."""
    key = keep(ports, WHOLE)
    kept = keep(ports, schedule(2))
    quarantine(ports, schedule(3))
    assert [key] == ports.table.delete([key]).confirmed
    assert [kept] == [each.key for each in failures(ports)]
    ports.table.delete([each.key for each in in_quarantine(ports)])
    assert [] == in_quarantine(ports)


# The quarantine.


def test_a_quarantined_schedule_has_a_reason_and_no_attempts(ports):
    quarantine(ports, WHOLE, reason="InvalidMessageContents")
    (found,) = in_quarantine(ports)
    assert (WHOLE, "InvalidMessageContents") == (found.schedule, found.reason)
    assert ("", None, None, None) == (found.error, found.attempts, found.failed_ms, found.again)
    assert found == ports.manage_table.quarantined(WHOLE.id)


def test_a_quarantined_timer_has_its_name_and_no_data(ports):
    named = replace(schedule(1), name="bill")
    quarantine(ports, timer(named, 7))
    (found,) = in_quarantine(ports)
    assert Schedule(named.key, NOON_MS, "", name="bill") == found.schedule


def test_a_quarantined_schedule_is_found_by_its_own_id_only(ports):
    """Another partition may have the same sort key."""
    quarantine(ports, WHOLE)
    assert ports.manage_table.quarantined(replace(WHOLE, key=WHOLE.key._replace(partition="1")).id) is None
    assert ports.manage_table.quarantined(OTHER_ID) is None


def test_a_member_in_quarantine_is_listed_and_is_not_found_by_its_id(ports):
    """It is stored under its own time and index, so a reader looks for it among all failures."""
    bundle, members = packed(NOON_MS - 5, NOON_MS)
    ports.table.quarantine([QuarantinedItem(bundle.key, each, "refused") for each in members])
    assert [each.id for each in members] == [each.schedule.id for each in in_quarantine(ports)]
    assert members == [each.schedule for each in in_quarantine(ports)]
    assert [None, None] == [ports.manage_table.quarantined(each.id) for each in members]


def test_a_bundle_in_quarantine_stands_for_every_id_in_it(ports):
    """It could not be unpacked, so its members are unknown."""
    bundle, members = packed(NOON_MS - 5, NOON_MS)
    quarantine(ports, bundle, reason="no bundle")
    for each in members:
        found = ports.manage_table.quarantined(each.id)
        assert (None, "no bundle") == (found.schedule, found.reason)
    elsewhere = bundle.key._replace(partition="1").id
    assert ports.manage_table.quarantined(elsewhere) is None


def test_an_item_that_is_no_schedule_is_listed_without_one(ports):
    """Another program has written it."""
    key = Key("0", f"{sort_from(NOON_MS)}#x")
    item = {"partition": {"S": key.partition}, "sort": {"S": key.sort}, "colour": {"S": "red"}}
    ports.table.quarantine([QuarantinedItem(key, item, "no schedule")])
    assert [(None, "no schedule")] == [(each.schedule, each.reason) for each in in_quarantine(ports)]


# The id under which a failure is redriven.


@pytest.mark.parametrize("where", ["failed", "quarantine"])
def test_the_first_noted_id_stays(ports, where):
    """Two redrives at the same time use the same id. Readers of the failure see it."""
    if where == "failed":
        key = keep(ports, WHOLE)
    else:
        quarantine(ports, WHOLE)
        (key,) = [each.key for each in in_quarantine(ports)]
    assert ["1-a", "1-a"] == [ports.manage_table.note_again(key, each) for each in ("1-a", "2-b")]
    (found,) = failures(ports) if where == "failed" else in_quarantine(ports)
    assert (WHOLE, "1-a") == (found.schedule, found.again)


def test_a_note_is_forgotten_by_the_call_that_made_it(ports):
    """Another id changes nothing. Then another id can be noted."""
    key = keep(ports, WHOLE)
    ports.manage_table.forget_again(key, "1-a")
    ports.manage_table.note_again(key, "1-a")
    ports.manage_table.forget_again(key, "2-b")
    assert ["1-a"] == [each.again for each in failures(ports)]
    ports.manage_table.forget_again(key, "1-a")
    assert [None] == [each.again for each in failures(ports)]
    assert "2-b" == ports.manage_table.note_again(key, "2-b")


def test_a_failure_that_is_gone_is_not_noted(ports):
    """Another call has redriven it. The note does not bring it back."""
    key = keep(ports, WHOLE)
    ports.manage_table.note_again(key, "1-a")
    ports.table.delete([key])
    assert ports.manage_table.note_again(key, "2-b") is None
    ports.manage_table.forget_again(key, "1-a")
    assert [] == failures(ports)


# The runs of the feed.

RUNS = [FeedRun(str(number % 2), NOON_MS + number, NOON_MS + number + 9, number, 3 - number) for number in range(4)]


def put_runs(ports):
    for each in RUNS:
        ports.table.put_run(replace(each, holder="somebody"))


def test_runs_are_listed_in_the_order_in_which_they_began(ports):
    """A line says nothing of the holder. The end of the time is excluded."""
    put_runs(ports)
    ports.table.put_run(FeedRun("0", NOON_MS + 9, NOON_MS + 10, 0, 1, "time is over"))
    page = ports.runs_table.runs(partition_of(TODAY), sort_from(NOON_MS + 1), sort_from(NOON_MS + 9), 10, None)
    assert (RUNS[1:], None) == (page.runs, page.next_sort)
    page = ports.runs_table.runs(partition_of(TODAY), sort_from(NOON_MS + 9), LATEST, 10, None)
    assert ["time is over"] == [each.error for each in page.runs]


def test_pages_of_runs_count_those_of_other_partitions(ports):
    put_runs(ports)

    def read(from_sort):
        page = ports.runs_table.runs(partition_of(TODAY), from_sort, LATEST, 1, "1")
        return page.runs, page.next_sort

    found, sizes = all_pages(read)
    assert ([RUNS[1], RUNS[3]], [0, 1, 0, 1]) == (found, sizes[:4])


def test_the_newest_run_can_come_first(ports):
    put_runs(ports)
    page = ports.runs_table.runs(partition_of(TODAY), EARLIEST, LATEST, 2, None, newest_first=True)
    assert [RUNS[3], RUNS[2]] == page.runs


def test_a_table_that_does_not_answer_confirms_nothing_about_failures(ports):
    key = keep(ports, WHOLE)
    ports.go_down()
    for call in (
        lambda: failures(ports),
        lambda: ports.manage_table.quarantined(WHOLE.id),
        lambda: ports.manage_table.note_again(key, "1-a"),
        lambda: ports.manage_table.forget_again(key, "1-a"),
        lambda: ports.runs_table.runs(partition_of(TODAY), EARLIEST, LATEST, 1, None),
    ):
        with pytest.raises(NotConfirmed):
            call()
