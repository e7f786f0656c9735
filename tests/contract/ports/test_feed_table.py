"""The table as the feed uses it: pages, the quarantine, failures, bundles to write back, leases and runs."""

import random
from dataclasses import replace

import pytest

from fakes import NOON_MS, schedule
from scheduler.errors import NotConfirmed
from scheduler.feeding.jobs import QuarantinedItem
from scheduler.feeding.lease import Lease
from scheduler.model import failure_report
from scheduler.model.feed_run import FeedRun
from scheduler.model.schedule import Request, sort_from
from scheduler.placing.keys import KeyGenerator

EARLIEST, LATEST = sort_from(0), sort_from(2 * NOON_MS)
FIRST = Lease("3", NOON_MS + 600_000, "first", NOON_MS + 20_000)
SECOND = replace(FIRST, holder="second", ends_ms=NOON_MS + 40_000)


def test_a_page_includes_its_first_time_and_excludes_its_last(ports):
    """The bounds are times without the rest of a key. Another partition has pages of its own."""
    ports.table.put([schedule(number, NOON_MS + number) for number in range(5)])
    ports.table.put([schedule(9, NOON_MS + 1, partition="1")])
    page = ports.table.page("0", sort_from(NOON_MS + 1), sort_from(NOON_MS + 3), 1_000)
    assert ([schedule(1, NOON_MS + 1), schedule(2, NOON_MS + 2)], [], []) == (
        page.schedules,
        page.bundles,
        page.unreadable,
    )
    assert page.next_sort is None


def test_pages_have_no_gap_and_no_repeat(ports):
    """A page holds as many items as wanted. The next one begins where it ended."""
    many = [schedule(number, NOON_MS + number % 3) for number in range(20)]
    ports.table.put(many)
    seen, sizes, from_sort = [], [], EARLIEST
    while from_sort is not None:
        page = ports.table.page("0", from_sort, LATEST, 7)
        seen += page.schedules
        sizes.append(len(page.schedules))
        from_sort = page.next_sort
    assert (sorted(many, key=lambda each: each.key), [7, 7, 6]) == (seen, sizes)


def test_a_reader_may_change_what_it_has_read(ports):
    ports.table.put([schedule(1)])
    for _ in range(2):
        (found,) = ports.table.page("0", EARLIEST, LATEST, 7).schedules
        assert "data 1" == found.data
        found.data = "cut"


def test_a_range_without_items_is_an_empty_last_page(ports):
    page = ports.table.page("0", EARLIEST, LATEST, 7)
    assert ([], [], [], None) == (page.schedules, page.bundles, page.unreadable, page.next_sort)


def test_a_second_quarantine_of_a_schedule_overwrites_the_first(ports):
    """A crash before the delete of the original repeats it. Another schedule is an item of its own."""
    once, other = (QuarantinedItem(schedule(number).key, schedule(number), "refused") for number in (1, 2))
    assert [once, other] == ports.table.quarantine([once, other]).confirmed
    assert [replace(once, reason="closed")] == ports.table.quarantine([replace(once, reason="closed")]).confirmed
    assert [("data 1", "closed"), ("data 2", "refused")] == ports.quarantined()


def test_members_of_a_bundle_are_quarantined_one_by_one(ports):
    """They share the key of the bundle, and their indexes tell them apart."""
    bundle, members = packed("a", "b")
    ports.table.quarantine([QuarantinedItem(bundle.key, member, "refused") for member in members])
    assert [("a", "refused"), ("b", "refused")] == ports.quarantined()


def test_the_quarantine_leaves_the_original_in_the_table(ports):
    """The feed deletes it afterwards."""
    ports.table.put([schedule(1)])
    ports.table.quarantine([QuarantinedItem(schedule(1).key, schedule(1), "refused")])
    assert [schedule(1)] == ports.table.page("0", EARLIEST, LATEST, 7).schedules


def test_a_failure_of_a_schedule_at_one_time_is_kept_once(ports):
    """A repeat overwrites it. A failure at another time is another one."""
    report = failure_report.failed(schedule(1), "410", 3, NOON_MS)
    assert [report] == ports.table.put_failed([report]).confirmed
    ports.table.put_failed([report, failure_report.expired(schedule(2), NOON_MS)])
    ports.table.put_failed([failure_report.failed(schedule(1), "503", 3, NOON_MS + 1)])
    late = "it would have been 0.000 s late, past its expires_after"
    assert [("data 1", "410"), ("data 1", "503"), ("data 2", late)] == ports.failures()


def test_the_line_of_a_run_is_written_once(ports):
    """Its key is the start, the partition and the holder."""
    for moved, holder in ((1, "a"), (2, "a"), (3, "b")):
        ports.table.put_run(FeedRun("7", NOON_MS, NOON_MS + 5, moved, 0, "", holder))
    assert [("7", 2), ("7", 3)] == ports.runs()


def packed(*texts):
    """Return one bundle with these data, and its members."""
    requests = dict(enumerate(Request(NOON_MS, text) for text in texts))
    ((bundle, members),) = KeyGenerator(1, random.Random(1), 60_000).bundles(requests, None)
    return bundle, list(members.values())


def bundles(ports):
    return ports.table.page("0", EARLIEST, LATEST, 7).bundles


def test_the_rest_of_a_bundle_replaces_only_the_bundle_that_was_read(ports):
    """A write after another change is confirmed, and changes nothing. A deleted bundle does not come back."""
    bundle, members = packed("a", "b", "c")
    ports.table.put([bundle])
    kept, later = bundle.holding(members[1:]), bundle.holding(members[2:])
    assert [bundle] == ports.table.write_back(bundle, kept).confirmed
    assert [bundle] == ports.table.write_back(bundle, later).confirmed
    assert [kept] == bundles(ports)
    ports.table.delete([bundle.key])
    assert [kept] == ports.table.write_back(kept, later).confirmed
    assert [] == bundles(ports)


def test_a_lease_keeps_others_away_until_it_ends(ports):
    """Another feed gets the current lease. The holder gets it too, if it asks again."""
    assert ports.table.take_lease(FIRST, NOON_MS, None) is None
    for asking in (SECOND, FIRST):
        assert FIRST == ports.table.take_lease(asking, FIRST.ends_ms - 1, None)
    assert ports.table.take_lease(replace(SECOND, partition="4"), NOON_MS, None) is None
    assert ports.table.take_lease(SECOND, FIRST.ends_ms, None) is None
    assert SECOND == ports.table.take_lease(FIRST, FIRST.ends_ms, None)


def test_a_lease_is_inherited_once(ports):
    """The heir names the holder that invoked it, and holds the lease from then on."""
    ports.table.take_lease(FIRST, NOON_MS, None)
    assert FIRST == ports.table.take_lease(SECOND, NOON_MS, "nobody")
    assert ports.table.take_lease(SECOND, NOON_MS, "first") is None
    assert SECOND == ports.table.take_lease(replace(FIRST, holder="third"), NOON_MS, "first")


def test_only_its_holder_ends_a_lease(ports):
    """The end of a lease that is gone changes nothing."""
    ports.table.end_lease(FIRST)
    ports.table.take_lease(FIRST, NOON_MS, None)
    ports.table.end_lease(SECOND)
    assert FIRST == ports.table.take_lease(SECOND, NOON_MS, None)
    ports.table.end_lease(FIRST)
    assert ports.table.take_lease(SECOND, NOON_MS, None) is None


def test_the_end_of_a_lease_may_keep_when_the_partition_was_fed(ports):
    """Only the holder marks it. The time outlives later leases, and a feed takes the lease as if it were gone."""
    ports.table.take_lease(FIRST, NOON_MS, None)
    ports.table.mark_fed(SECOND, NOON_MS + 1)
    assert {} == ports.table.fed_times()
    assert FIRST == ports.table.take_lease(SECOND, NOON_MS, None)
    ports.table.mark_fed(FIRST, NOON_MS + 2)
    assert {"3": NOON_MS + 2} == ports.table.fed_times()
    assert ports.table.take_lease(SECOND, NOON_MS, None) is None
    assert {"3": NOON_MS + 2} == ports.table.fed_times()
    ports.table.mark_fed(SECOND, NOON_MS + 9)
    assert {"3": NOON_MS + 9} == ports.table.fed_times()
    assert ports.table.take_lease(FIRST, NOON_MS, None) is None


def test_the_times_are_those_of_partitions_and_not_of_applications(ports):
    """An application with much to do has leases of its own."""
    for number, partition in enumerate(["0", "255", "3#aaaaaaaa"]):
        lease = replace(FIRST, partition=partition)
        ports.table.take_lease(lease, NOON_MS, None)
        if "#" not in partition:
            ports.table.mark_fed(lease, NOON_MS + number)
    ports.table.remember_partitions([4])
    assert {"0": NOON_MS, "255": NOON_MS + 1} == ports.table.fed_times()


def test_an_unprocessed_failure_or_quarantine_is_left_unconfirmed(ports):
    """The feed then leaves the schedule in the table."""
    item = QuarantinedItem(schedule(1).key, schedule(1), "refused")
    ports.leave_unprocessed(schedule(1).key._replace(partition="quarantine"))
    outcome = ports.table.quarantine([item, QuarantinedItem(schedule(2).key, schedule(2), "refused")])
    assert (["data 2"], [item]) == ([each.content.data for each in outcome.confirmed], outcome.unconfirmed)
    assert [("data 2", "refused")] == ports.quarantined()


def test_a_table_that_does_not_answer_confirms_no_work_of_a_feed(ports):
    """A write stays unconfirmed. A read, a lease and a line raise NotConfirmed."""
    bundle, members = packed("a", "b")
    ports.go_down()
    report = failure_report.failed(schedule(1), "410", 3, NOON_MS)
    item = QuarantinedItem(schedule(1).key, schedule(1), "refused")
    for outcome, left in [
        (ports.table.quarantine([item]), item),
        (ports.table.put_failed([report]), report),
        (ports.table.write_back(bundle, bundle.holding(members[1:])), bundle),
    ]:
        assert ([], [left], True) == (outcome.confirmed, outcome.unconfirmed, bool(outcome.last_error))
    for call in (
        lambda: ports.table.page("0", EARLIEST, LATEST, 7),
        lambda: ports.table.take_lease(FIRST, NOON_MS, None),
        lambda: ports.table.end_lease(FIRST),
        lambda: ports.table.mark_fed(FIRST, NOON_MS),
        ports.table.fed_times,
        lambda: ports.table.put_run(FeedRun("7", NOON_MS, NOON_MS + 5, 1, 0)),
    ):
        with pytest.raises(NotConfirmed):
            call()
