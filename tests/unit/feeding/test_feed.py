"""The feed sends what is within reach, deletes only confirmed items, and lets no queue delay another."""

import json
from dataclasses import replace

import pytest

from fakes import DELIVERY, NOON_MS, OTHER, OTHER_ARN, OUTPUT, schedule
from feeds import REACH_MS, UNTIL_S, Feeding
from scheduler.errors import NotConfirmed, PartitionBusy
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import TRIES_MAX
from scheduler.feeding import lease as leasing
from scheduler.feeding.feed import ROUNDS_MAX, FeedEvent
from scheduler.feeding.jobs import QuarantinedItem
from scheduler.feeding.lease import Lease
from scheduler.feeding.mover import UNAVAILABLE_IN_TABLE_MS_MAX
from scheduler.feeding.outgoing import FOREIGN_TRIES_MAX
from scheduler.feeding.reader import JOB_S, PAGE_BYTES_AIM
from scheduler.measuring.metrics import Metrics
from scheduler.model.schedule import sort_from


def large(number, due_ms, size_bytes):
    return replace(schedule(number, due_ms), data=f"data {number}".ljust(size_bytes, "."))


@pytest.fixture
def feeding_():
    return Feeding()


def test_schedules_within_reach_go_to_their_queue_and_leave_the_table(feeding_):
    """An overdue schedule has no delay, and an upcoming one has the rest of its time. Schedules beyond reach stay."""
    feeding_.put(
        schedule(1, NOON_MS - 5_000),
        schedule(2, NOON_MS + 300_001),
        schedule(3, NOON_MS + REACH_MS - 1),
        schedule(4, NOON_MS + REACH_MS),
        schedule(5, NOON_MS, target=OTHER_ARN),
    )
    counts = feeding_.feed()
    assert {(OUTPUT, "data 1", 0), (OUTPUT, "data 2", 301), (OUTPUT, "data 3", 900), (OTHER, "data 5", 0)} == set(
        feeding_.queues.sent
    )
    assert ["data 4"] == feeding_.waiting
    assert (4, 4, 0) == (counts.sent, counts.deleted, counts.left)


def test_schedules_for_1970_and_9999_are_fed_like_others(feeding_):
    """The oldest is overdue, and the farthest waits."""
    feeding_.put(schedule(1, 0), schedule(2, 253_402_300_799_999))
    feeding_.feed()
    assert (["data 1"], ["data 2"]) == (feeding_.queues.data, feeding_.waiting)


def test_a_feed_leaves_other_partitions_alone(feeding_):
    """Each feed has one partition."""
    feeding_.put(schedule(1, partition="1"))
    feeding_.feed()
    assert ["data 1"] == feeding_.waiting


def test_a_message_that_failed_for_a_while_is_sent_in_the_same_run(feeding_):
    """The feed retries it with the remaining delay and deletes it after confirmation."""
    feeding_.put(schedule(1, NOON_MS + 100_000), schedule(2, NOON_MS + 100_000))
    feeding_.queues.failing = {"data 1": 6}
    feeding_.feed()
    late_s = (feeding_.clock.now_ms - NOON_MS) // 1000
    assert {(OUTPUT, "data 2", 100), (OUTPUT, "data 1", 100 - late_s)} == set(feeding_.queues.sent)
    assert [] == feeding_.waiting


def test_an_unconfirmed_message_stays_and_fails_the_feed(feeding_):
    """Lambda's retry sends it. Its neighbours are deleted and not sent again."""
    feeding_.put(schedule(1), schedule(2))
    feeding_.queues.failing = {"data 1": 1000}
    feeding_.feed()  # The batch moved one message, so the next feed retries the other at once,
    with pytest.raises(NotConfirmed, match="1 schedules were not confirmed: InternalError"):
        feeding_.feed(json.loads(feeding_.invoked.pop()))  # and then fails, so that Lambda retries.
    assert ["data 1"] == feeding_.waiting

    feeding_.queues.failing = {}
    feeding_.feed()
    assert ["data 1", "data 2"] == feeding_.queues.data
    assert [] == feeding_.waiting


def test_a_message_that_was_sent_and_not_deleted_is_sent_again(feeding_):
    """The feed sends first and deletes second. The other order would lose the message."""
    feeding_.put(schedule(1))
    feeding_.table.undone = lambda key: True
    assert 1 == feeding_.feed().undeleted
    feeding_.table.undone = lambda key: False
    feeding_.clock.now_ms += 600_000
    feeding_.feed({"partition": "0", "until": UNTIL_S + 600})
    assert ["data 1", "data 1"] == feeding_.queues.data
    assert [] == feeding_.waiting


def test_an_unprocessed_delete_is_retried_in_the_same_run(feeding_):
    """The feed reads UnprocessedItems. Otherwise the next run would send the message again."""
    feeding_.put(*[schedule(number) for number in range(100)])
    throttled = []
    feeding_.table.undone = lambda key: key not in throttled and not throttled.append(key)
    counts = feeding_.feed()
    assert (100, 100) == (counts.sent, counts.deleted)
    assert [] == feeding_.waiting


def test_a_message_with_refused_content_is_quarantined_alone(feeding_, capsys):
    """It keeps its reason, and the log shows no payload. Its neighbours are sent."""
    feeding_.put(schedule(1), schedule(2), schedule(3))
    feeding_.queues.refused = {"data 2"}
    counts = feeding_.feed()
    assert ["data 1", "data 3"] == feeding_.queues.data
    assert [("data 2", "InvalidMessageContents")] == [
        (each.content.data, each.reason) for each in feeding_.table.quarantined
    ]
    assert ([], 1, 0) == (feeding_.waiting, counts.quarantined, counts.left)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["outcome"] == "quarantined"]
    assert "InvalidMessageContents" == line["reason"]
    assert "data 2" not in str(line)


def test_an_item_that_is_no_schedule_is_quarantined_alone(feeding_):
    """The feed continues, whatever the item holds."""
    odd = QuarantinedItem(schedule(1).key, {"junk": {"S": "?"}}, "no schedule")
    feeding_.table.items[odd.key] = odd
    feeding_.put(schedule(2))
    feeding_.feed()
    assert ([odd], ["data 2"], {}) == (feeding_.table.quarantined, feeding_.queues.data, feeding_.table.items)


def test_a_closed_queue_is_tried_once_in_a_run_and_delays_no_other(feeding_):
    """Promise 7. Its schedules stay, and the feed does not fail, because a retry would not help."""
    feeding_.put(*[schedule(number, target=OTHER_ARN) for number in range(500)])
    feeding_.put(*[schedule(number, NOON_MS + 1) for number in range(500, 520)])
    feeding_.queues.closed = {OTHER}
    counts = feeding_.feed()
    assert 1 == feeding_.queues.calls.count(OTHER)
    assert (20, 500, 0) == (counts.sent, counts.closed, counts.left)
    assert 500 == len(feeding_.waiting)


def test_a_reopened_queue_gets_the_waiting_schedules(feeding_):
    """A mistake in a queue policy loses nothing."""
    feeding_.put(schedule(1, target=OTHER_ARN))
    feeding_.queues.closed = {OTHER}
    feeding_.feed()
    feeding_.queues.closed = set()
    feeding_.feed()
    assert [(OTHER, "data 1", 0)] == feeding_.queues.sent


def test_a_schedule_for_a_queue_closed_for_a_day_is_quarantined(feeding_):
    """It happens a millisecond after a day and not before."""
    feeding_.put(
        schedule(1, NOON_MS - UNAVAILABLE_IN_TABLE_MS_MAX, target=OTHER_ARN),
        schedule(2, NOON_MS - UNAVAILABLE_IN_TABLE_MS_MAX - 1, target=OTHER_ARN),
    )
    feeding_.queues.closed = {OTHER}
    feeding_.feed()
    assert ["data 2"] == [each.content.data for each in feeding_.table.quarantined]
    assert ["data 1"] == feeding_.waiting


def test_the_stacks_own_queue_is_never_given_up(feeding_):
    """Its schedules stay however long it is closed, and the feed fails so that Lambda retries."""
    feeding_.put(schedule(1, NOON_MS - 10 * UNAVAILABLE_IN_TABLE_MS_MAX))
    feeding_.queues.closed = {OUTPUT}
    with pytest.raises(NotConfirmed, match="NonExistentQueue"):
        feeding_.feed()
    assert ([], ["data 1"]) == (feeding_.table.quarantined, feeding_.waiting)


def test_an_expired_schedule_is_reported_and_not_sent(feeding_):
    """A schedule later than its expires_after goes to the failure queue as it was sent. Then the feed deletes it."""
    late, in_time = (schedule(n, NOON_MS - ms, expires_after_ms=5_000) for n, ms in ((1, 5_001), (2, 5_000)))
    feeding_.put(late, in_time)
    feeding_.feed()
    (report,) = [json.loads(report.body()) for report in feeding_.queues.reports]
    assert ["data 2"] == feeding_.queues.data
    assert [] == feeding_.waiting
    assert ("expired", 0, NOON_MS / 1000) == (report["reason"], report["attempts"], report["at"])
    sent = {"id": late.id, "timestamp": NOON_MS / 1000 - 5.001, "data": "data 1"}
    assert {**sent, "expires_after": 5.0} == report["schedule"]


def test_an_expiry_is_reported_then_kept_and_then_deleted(feeding_):
    """A crash between two of these steps loses nothing."""
    feeding_.put(schedule(1, NOON_MS - 5_001, expires_after_ms=5_000))
    seen = []
    put_failed, delete = feeding_.table.put_failed, feeding_.table.delete
    feeding_.table.put_failed = lambda reports: (seen.append(len(feeding_.queues.reports)), put_failed(reports))[1]
    feeding_.table.delete = lambda keys: (seen.append(len(feeding_.table.kept)), delete(keys))[1]
    assert 1 == feeding_.feed().expired
    assert ([1, 1], []) == (seen, feeding_.waiting)
    assert feeding_.queues.reports == feeding_.table.kept


def test_an_expiry_that_the_table_does_not_keep_stays_for_the_next_try(feeding_):
    """The others of its chunk leave the table."""
    feeding_.put(*(schedule(number, NOON_MS - 5_001, expires_after_ms=5_000) for number in range(3)))
    put_failed = feeding_.table.put_failed

    def keep_two(reports):
        outcome = put_failed([each for each in reports if each.schedule.data != "data 1"])
        outcome.unconfirmed = [each for each in reports if each.schedule.data == "data 1"]
        outcome.last_error = "UnprocessedItems"
        return outcome

    feeding_.table.put_failed = keep_two
    counts = feeding_.feed()
    assert (2, 1, 1, "UnprocessedItems") == (counts.expired, counts.left, counts.stuck, counts.why)
    assert (["data 1"], 1) == (feeding_.waiting, len(feeding_.invoked))
    feeding_.table.put_failed = put_failed
    feeding_.feed(json.loads(feeding_.invoked.pop()))
    assert [] == feeding_.waiting
    assert {"data 0", "data 1", "data 2"} == {report.schedule.data for report in feeding_.table.kept}


def test_an_expiry_that_the_failure_queue_does_not_take_is_not_kept(feeding_):
    """Otherwise each try would leave one more failure."""
    feeding_.put(schedule(1, NOON_MS - 5_001, expires_after_ms=5_000))
    feeding_.queues.report = lambda reports: BatchResult(unconfirmed=list(reports), last_error="down")
    with pytest.raises(NotConfirmed):
        feeding_.feed()
    assert ([], ["data 1"]) == (feeding_.table.kept, feeding_.waiting)


def test_an_expired_schedule_with_a_failure_target_goes_to_the_deliver_function(feeding_):
    """The deliver function notifies the failure queue and the failure target. A report by the feed would come twice."""
    late = schedule(1, NOON_MS - 5_001, expires_after_ms=5_000)
    late.terms = json.dumps({"failure_target": OTHER_ARN})
    feeding_.put(late)
    counts = feeding_.feed()
    assert [(DELIVERY, late.data, 0)] == feeding_.queues.sent
    assert ([], [], 1) == (feeding_.queues.reports, feeding_.waiting, counts.expired)


def test_a_backlog_does_not_delay_upcoming_schedules(feeding_):
    """The feed alternates pages of both, so a thousand overdue schedules do not delay the next one due."""
    feeding_.table.page_schedules_max = 10
    feeding_.put(*[schedule(number, NOON_MS - 1000) for number in range(1000)])
    feeding_.put(schedule(5000, NOON_MS + 60_000))
    feeding_.feed()
    assert [data for _, data, _ in feeding_.queues.sent].index("data 5000") < 20


def test_upcoming_schedules_do_not_delay_overdue_ones(feeding_):
    """Both kinds make progress."""
    feeding_.table.page_schedules_max = 10
    feeding_.put(*[schedule(number, NOON_MS + 1000) for number in range(1000)])
    feeding_.put(schedule(5000, NOON_MS - 60_000))
    feeding_.feed()
    assert [data for _, data, _ in feeding_.queues.sent].index("data 5000") < 20


def test_the_first_page_sets_the_size_of_the_next_pages(feeding_):
    """Small schedules come by the thousand, so that reading needs few calls."""
    feeding_.put(*[schedule(number, NOON_MS - 1) for number in range(2100)])
    feeding_.feed()
    assert [50, 1000, 1000, 1000] == [items_max for items_max, page in feeding_.table.pages if page.schedules]


def test_a_page_of_large_schedules_fits_the_memory_or_one_chunk(feeding_):
    """Schedules can be a hundred times larger than usual."""
    feeding_.put(*[large(number, NOON_MS - 2, 2_000) for number in range(500)])
    feeding_.put(*[large(number, NOON_MS - 1, 20_000) for number in range(500, 700)])
    feeding_.feed()
    overdue = [(items_max, page) for items_max, page in feeding_.table.pages if page.schedules]
    assert [50, 100, 100, 100, 100, 100, 50, 50, 50] == [items_max for items_max, _ in overdue]
    assert all(page.size_bytes <= PAGE_BYTES_AIM for _, page in overdue[:5])
    assert [] == feeding_.waiting


def test_a_feed_without_time_moves_one_batch_and_invokes_itself(feeding_):
    """It stops cleanly and continues as often as needed. Each schedule is sent once."""
    feeding_.put(*[schedule(number, NOON_MS - 1) for number in range(300)])
    assert 30 == feeding_.feed_to_the_end(seconds=0)
    assert 300 == len(feeding_.queues.sent) == len(set(feeding_.queues.sent))
    assert [] == feeding_.waiting


def test_a_continuation_does_not_reread_what_waits_for_a_closed_queue(feeding_):
    """It skips sent but undeleted items as well, and starts where the last feed stopped."""
    feeding_.table.page_schedules_max = 50
    feeding_.put(*[schedule(number, NOON_MS - 2000, target=OTHER_ARN) for number in range(500)])
    feeding_.put(*[schedule(number, NOON_MS - 1000) for number in range(500, 600)])
    feeding_.queues.closed = {OTHER}
    hops = feeding_.feed_to_the_end(seconds=JOB_S, hops_max=30)
    assert hops < 30
    assert 100 == len(feeding_.queues.sent)


def test_a_feed_leaves_the_rest_to_the_next_trigger(feeding_):
    """After `until`, the feed does not invoke itself."""
    feeding_.put(*[schedule(number) for number in range(100)])
    feeding_.feed({"partition": "0", "until": NOON_MS / 1000}, seconds=JOB_S)
    assert ([], 50) == (feeding_.invoked, len(feeding_.waiting))


def test_a_feed_without_until_makes_one_pass(feeding_):
    """An operator may invoke it by hand."""
    feeding_.put(*[schedule(number) for number in range(100)])
    feeding_.feed({"partition": "0"}, seconds=JOB_S)
    assert ([], 50) == (feeding_.invoked, len(feeding_.waiting))


class Measured(Metrics):
    on = True


@pytest.mark.parametrize("event", [{"until": NOON_MS / 1000}, {}], ids=["at its end", "without an end"])
def test_a_partition_that_a_feed_leaves_unfinished_does_not_count_as_fed(feeding_, event):
    """The alarm for stale partitions would otherwise miss a partition whose feeds cannot keep up."""
    feeding_.metrics = Measured()
    feeding_.put(*[schedule(number) for number in range(100)])
    feeding_.feed({"partition": "0", **event}, seconds=JOB_S)
    assert {} == feeding_.table.fed_ms
    feeding_.feed({"partition": "0", **event}, seconds=14)
    assert {"0"} == set(feeding_.table.fed_ms)


def test_a_partition_with_skipped_schedules_does_not_count_as_fed(feeding_):
    feeding_.metrics = Measured()
    feeding_.put(schedule(1))
    feeding_.feed({"partition": "0", "until": UNTIL_S, "behind": sort_from(NOON_MS), "rounds": ROUNDS_MAX})
    assert {} == feeding_.table.fed_ms


def test_a_feed_without_progress_does_not_invoke_itself(feeding_):
    """Lambda retries it instead, with pauses."""
    feeding_.put(*[schedule(number) for number in range(100)])
    feeding_.queues.failing = {f"data {number}": 10**6 for number in range(100)}
    with pytest.raises(NotConfirmed):
        feeding_.feed(seconds=0)
    assert [] == feeding_.invoked


def test_a_second_feed_of_the_same_tick_ends(feeding_, capsys):
    """Lambda may invoke twice for one event. The second feed would send everything twice."""
    feeding_.put(schedule(1))
    feeding_.table.leases["0"] = Lease("0", int(UNTIL_S * 1000), "first", NOON_MS + 1)
    feeding_.feed()
    assert ["data 1"] == feeding_.waiting
    assert "doubled" in capsys.readouterr().out


def test_a_feed_of_another_tick_comes_back_later(feeding_):
    """Lambda retries it. The feed before may still run, but this feed's schedules must not be forgotten."""
    feeding_.table.leases["0"] = Lease("0", NOON_MS, "first", NOON_MS + 1)
    with pytest.raises(PartitionBusy):
        feeding_.feed()


def test_an_expired_lease_is_taken_over(feeding_):
    """A crashed feed holds its partition no longer than its timeout."""
    feeding_.put(schedule(1))
    feeding_.table.leases["0"] = Lease("0", NOON_MS, "crashed", NOON_MS)
    feeding_.feed()
    assert [] == feeding_.waiting


def test_the_lease_lasts_as_long_as_the_feed_may_run_and_ends_with_it(feeding_):
    """The deadline and the reserve after it make up the function's timeout."""
    taken = []
    take = feeding_.table.take_lease
    feeding_.table.take_lease = lambda lease, now_ms, inherited: taken.append(lease) or take(lease, now_ms, inherited)
    feeding_.feed(seconds=14)
    assert [NOON_MS + 20_000] == [lease.ends_ms for lease in taken]
    assert {} == feeding_.table.leases


def test_a_failed_feed_releases_its_lease(feeding_):
    """Lambda's retry after 60 s finds the lease free."""
    feeding_.put(schedule(1))
    feeding_.queues.failing = {"data 1": 1000}
    with pytest.raises(NotConfirmed):
        feeding_.feed()
    assert {} == feeding_.table.leases


def test_a_continuation_inherits_the_lease_once(feeding_):
    """A duplicate continuation finds that the other one took the lease, and ends."""
    feeding_.put(*[schedule(number) for number in range(200)])
    feeding_.feed(seconds=JOB_S)
    continuation = json.loads(feeding_.invoked.pop())
    feeding_.feed(continuation, seconds=JOB_S)
    assert 100 == len(feeding_.waiting)
    feeding_.feed(continuation, seconds=JOB_S)
    assert 100 == len(feeding_.waiting)


def test_a_feed_works_without_a_writable_lease(feeding_):
    """The lease only avoids repeats. No guarantee depends on it."""
    feeding_.put(schedule(1))

    def down(*_):
        raise NotConfirmed("throttled")

    feeding_.table.take_lease = feeding_.table.end_lease = down
    feeding_.feed()
    assert ["data 1"] == feeding_.queues.data


def test_a_lease_written_without_an_answer_is_ours(feeding_):
    """The retried write finds its own lease, and the feed continues."""
    lease = Lease("0", NOON_MS, "me", NOON_MS + 20_000)
    feeding_.table.leases["0"] = lease
    assert leasing.take(lease, feeding_.table, feeding_.clock.deadline(), None)


@pytest.mark.parametrize("partition", ["256", "-1", "names#0", "", 3, None])
def test_an_order_for_an_unknown_partition_is_refused(partition):
    """Names and the quarantine are not fed."""
    with pytest.raises(ValueError, match="partition is"):
        FeedEvent.read({"partition": partition})


def test_a_continuation_begins_with_the_pace_of_the_feed_before():
    """Throttled calls cost money, and the table takes as much as it did a moment ago."""
    order = FeedEvent.read({"partition": "0", "until": UNTIL_S, "pace": 812.4})
    assert FeedEvent.read(order.event()).units_per_s == 812
    assert "pace" not in FeedEvent.read({"partition": "0"}).event()


def test_a_schedule_beyond_reach_after_a_clock_step_stays(feeding_):
    """SQS would refuse the long delay, and a shorter delay would deliver too early."""
    feeding_.put(schedule(1, NOON_MS + REACH_MS - 1))
    page = feeding_.table.page

    def and_back(*arguments):
        feeding_.clock.now_ms -= 60_000
        return page(*arguments)

    feeding_.table.page = and_back
    with pytest.raises(NotConfirmed, match="out of reach by this clock"):
        feeding_.feed()
    assert ([], ["data 1"]) == (feeding_.queues.sent, feeding_.waiting)


def test_a_target_that_fails_for_now_delays_no_other(feeding_):
    """After a few tries the feed holds its schedules for Lambda's retry. All others are sent in this run."""
    feeding_.table.page_schedules_max = 100
    feeding_.put(*[schedule(number, NOON_MS - 2000, target=OTHER_ARN) for number in range(2000)])
    feeding_.put(*[schedule(number, NOON_MS - 1000) for number in range(2000, 2100)])
    feeding_.queues.failing = {f"data {number}": 10**6 for number in range(2000)}
    with pytest.raises(NotConfirmed, match="2000 schedules were not confirmed: InternalError"):
        feeding_.feed()
    assert FOREIGN_TRIES_MAX == feeding_.queues.calls.count(OTHER)
    assert 100 == len(feeding_.queues.sent)
    assert feeding_.clock.now_ms - NOON_MS < 1000


def test_a_chunk_ends_after_a_batch_without_progress(feeding_):
    """Eight tries for each of its batches would use all the time."""
    feeding_.put(*[schedule(number) for number in range(50)])
    feeding_.queues.failing = {f"data {number}": 10**6 for number in range(50)}
    with pytest.raises(NotConfirmed, match="50 schedules"):
        feeding_.feed()
    assert TRIES_MAX == len(feeding_.queues.calls)


def test_a_continuation_begins_with_the_first_unfinished_page(feeding_):
    """It does not reread the earlier pages, whose schedules wait for a closed queue."""
    feeding_.table.page_schedules_max = 50
    feeding_.put(*[schedule(number, NOON_MS - 3000, target=OTHER_ARN) for number in range(50)])
    feeding_.put(*[schedule(number, NOON_MS - 2000) for number in range(50, 100)])
    feeding_.queues.closed, feeding_.queues.failing = {OTHER}, {"data 77": 8}
    feeding_.feed()
    (continuation,) = map(json.loads, feeding_.invoked)
    assert sort_from(NOON_MS - 3000) < continuation["position"]["overdue"] < sort_from(NOON_MS - 2000)

    read = []
    page = feeding_.table.page
    feeding_.table.page = lambda *arguments: read.append(arguments) or page(*arguments)
    feeding_.feed(continuation)
    assert "data 77" in feeding_.queues.data
    assert continuation["position"]["overdue"] in [from_sort for _, from_sort, *_ in read]
    assert 50 == len(feeding_.waiting)


def test_two_feeds_leave_no_gap_between_their_time_ranges_if_the_second_clock_is_behind(feeding_):
    """A schedule that was upcoming for the first feed is overdue or upcoming for the second."""
    feeding_.put(*[schedule(number, NOON_MS - 60_000) for number in range(100)])
    feeding_.put(*[schedule(number, NOON_MS - 100) for number in range(100, 110)])
    feeding_.clock.now_ms = NOON_MS - 300
    feeding_.feed(seconds=JOB_S)
    (continuation,) = map(json.loads, feeding_.invoked)
    feeding_.invoked.clear()
    for key in [key for key in feeding_.table.items if key.due_ms > NOON_MS - 60_000]:
        del feeding_.table.items[key]
    feeding_.put(*[schedule(number, NOON_MS - 400) for number in range(200, 210)])
    feeding_.clock.now_ms = NOON_MS - 500
    feeding_.feed(continuation)
    assert [] == feeding_.waiting


def test_a_schedule_that_expires_during_retries_is_not_sent_late(feeding_):
    """The next feed finds it expired and reports it."""
    feeding_.put(schedule(1, NOON_MS, expires_after_ms=100))
    feeding_.queues.failing = {"data 1": 4}
    with pytest.raises(NotConfirmed, match="expired"):
        feeding_.feed()
    feeding_.feed()
    assert ([], 1, []) == (feeding_.queues.sent, len(feeding_.queues.reports), feeding_.waiting)


def test_an_older_tick_ends_while_a_newer_one_runs(feeding_):
    """The newer tick feeds the same schedules."""
    feeding_.put(schedule(1))
    feeding_.table.leases["0"] = Lease("0", int(UNTIL_S * 1000) + 600_000, "newer", NOON_MS + 1)
    assert 0 == feeding_.feed().sent


def test_a_schedule_stays_if_the_failure_queue_refuses_its_report(feeding_):
    """The schedule is not lost, and the error says where to look."""
    feeding_.put(schedule(1, NOON_MS - 9_000, expires_after_ms=5_000))
    feeding_.queues.report = lambda reports: BatchResult(
        unavailable=[(report, "NonExistentQueue") for report in reports]
    )
    with pytest.raises(NotConfirmed, match="failure queue: NonExistentQueue"):
        feeding_.feed()
    assert ["data 1"] == feeding_.waiting


def test_a_throttled_lease_takes_little_time(feeding_):
    """The feed makes three tries. More would leave no time for the feed itself on a slow day."""
    tries = []

    def throttled(*_):
        tries.append(1)
        raise NotConfirmed("throttled")

    feeding_.table.take_lease = throttled
    feeding_.feed()
    assert leasing.LEASE_TRIES_MAX == len(tries) == 3


# The line of a run.


def test_the_line_of_a_run_comes_after_the_last_delete_and_the_end_of_the_lease(feeding_):
    """A crash before it costs only the line."""
    feeding_.put(schedule(1), schedule(2))
    seen = []
    put_run = feeding_.table.put_run
    feeding_.table.put_run = lambda run: (seen.append((feeding_.waiting, dict(feeding_.table.leases))), put_run(run))
    feeding_.feed()
    assert [([], {})] == seen
    (run,) = feeding_.table.runs
    assert ("0", 2, 0, "") == (run.partition, run.moved, run.left, run.error)
    assert (NOON_MS, feeding_.clock.now_ms) == (run.begun_ms, run.ended_ms)


def test_each_feed_of_a_chain_writes_a_line_of_its_own(feeding_):
    feeding_.put(*(schedule(number) for number in range(120)))
    send = feeding_.queues.send
    feeding_.queues.send = lambda *arguments: (feeding_.clock.sleep(2), send(*arguments))[1]
    hops = feeding_.feed_to_the_end(seconds=5)
    assert hops > 2
    assert (hops, 120) == (len(feeding_.table.runs), sum(run.moved for run in feeding_.table.runs))
    assert hops == len({run.key for run in feeding_.table.runs})


def test_a_failed_run_has_a_line_with_what_it_left_and_why(feeding_):
    feeding_.put(schedule(2, NOON_MS - 1), schedule(1, target=OTHER_ARN))
    feeding_.queues.failing = {"data 1": 1_000}
    with pytest.raises(NotConfirmed):
        feeding_.feed()
    (run,) = feeding_.table.runs
    assert (1, 1, "InternalError") == (run.moved, run.left, run.error)


def test_a_run_that_cannot_read_has_a_line_with_the_reason(feeding_):
    def down(*_):
        raise NotConfirmed("throttled")

    feeding_.table.page = down
    with pytest.raises(NotConfirmed):
        feeding_.feed()
    (run,) = feeding_.table.runs
    assert (0, 0, "throttled") == (run.moved, run.left, run.error)


def test_a_doubled_feed_writes_no_line(feeding_):
    """It did nothing, and the line of the feed that holds the lease tells what happened."""
    feeding_.table.leases["0"] = Lease("0", int(UNTIL_S * 1000), "other", NOON_MS + 20_000)
    feeding_.feed()
    assert [] == feeding_.table.runs


def test_a_run_with_too_little_time_left_writes_no_line(feeding_, capsys):
    """Lambda would end a feed whose last call hangs, and retry it."""
    feeding_.put(schedule(1))
    end_lease = feeding_.table.end_lease
    feeding_.table.end_lease = lambda lease: (feeding_.clock.sleep(15.1), end_lease(lease))
    feeding_.feed(seconds=14)
    assert ([], []) == (feeding_.table.runs, feeding_.waiting)
    assert '"run not written"' in capsys.readouterr().out
