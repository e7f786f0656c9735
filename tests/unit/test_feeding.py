"""The feed: what is within reach goes out, nothing unconfirmed is deleted, and nobody holds up another."""

import json
from dataclasses import replace

import pytest

from fakes import DELIVERY, NOON_MS, OTHER, OTHER_ARN, OUTPUT, Clock, FakeQueues, FakeTable, schedule
from scheduler.errors import NotConfirmed, PartitionBusy
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import TRIES_MAX
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding import feed as feeding
from scheduler.feeding import lease as leasing
from scheduler.feeding.feed import FeedEvent
from scheduler.feeding.jobs import QuarantinedItem
from scheduler.feeding.lease import Lease
from scheduler.feeding.mover import CLOSED_MS_MAX
from scheduler.feeding.outgoing import OTHERS_TRIES_MAX
from scheduler.feeding.reader import JOB_S, PAGE_BYTES_AIM
from scheduler.model.schedule import sort_from

REACH_MS = 900_000
UNTIL_S = NOON_MS / 1000 + 600


class Feeding:
    """A table, queues and a clock, and the feeds on them; continuations are kept to be run by hand."""

    def __init__(self):
        self.table, self.queues, self.clock = FakeTable(), FakeQueues(), Clock()
        self.invoked = []
        self.holders = 0

    def put(self, *schedules):
        self.table.put(schedules)

    def feed(self, event=None, seconds=14):
        self.holders += 1
        line = feeding.FeedDependencies(
            self.table,
            self.queues,
            SerialPool(),
            REACH_MS,
            lambda payload, _: self.invoked.append(json.dumps(payload)),
        )
        order = FeedEvent.read(event or {"partition": "0", "until": UNTIL_S})
        return feeding.feed(order, line, self.clock.deadline(seconds), f"holder {self.holders}")

    def feed_to_the_end(self, seconds, hops_max=1000):
        """Run each continuation until there is none; how many feeds it took."""
        self.feed(seconds=seconds)
        hops = 1
        while self.invoked and hops < hops_max:
            self.feed(json.loads(self.invoked.pop()), seconds)
            hops += 1
        return hops

    @property
    def waiting(self):
        return sorted(each.data for each in self.table.items.values())


def large(number, due_ms, size_bytes):
    return replace(schedule(number, due_ms), data=f"data {number}".ljust(size_bytes, "."))


@pytest.fixture
def feeding_():
    return Feeding()


def test_what_is_within_reach_goes_to_its_queue_and_leaves_the_table(feeding_):
    """Overdue without a delay, upcoming with what is left of its time, and what is beyond reach stays."""
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


def test_one_for_1970_and_one_for_9999_behave(feeding_):
    """The oldest is overdue like any other; the farthest waits."""
    feeding_.put(schedule(1, 0), schedule(2, 253_402_300_799_999))
    feeding_.feed()
    assert (["data 1"], ["data 2"]) == (feeding_.queues.data, feeding_.waiting)


def test_another_partition_is_left_alone(feeding_):
    """A feed has one partition."""
    feeding_.put(schedule(1, partition="1"))
    feeding_.feed()
    assert ["data 1"] == feeding_.waiting


def test_a_message_that_failed_for_a_while_is_sent_in_the_same_run(feeding_):
    """Tried again with the delay that is left by then, and deleted when confirmed."""
    feeding_.put(schedule(1, NOON_MS + 100_000), schedule(2, NOON_MS + 100_000))
    feeding_.queues.failing = {"data 1": 6}
    feeding_.feed()
    late_s = (feeding_.clock.now_ms - NOON_MS) // 1000
    assert {(OUTPUT, "data 2", 100), (OUTPUT, "data 1", 100 - late_s)} == set(feeding_.queues.sent)
    assert [] == feeding_.waiting


def test_what_was_never_confirmed_stays_and_calls_for_lambdas_retry(feeding_):
    """The feed ends with an error; the next one sends it. Its neighbours are gone and not sent again."""
    feeding_.put(schedule(1), schedule(2))
    feeding_.queues.failing = {"data 1": 1000}
    feeding_.feed()  # Which got through with one, and so tries the other again at once,
    with pytest.raises(NotConfirmed, match="1 schedules were not confirmed: InternalError"):
        feeding_.feed(json.loads(feeding_.invoked.pop()))  # and then leaves it to Lambda.
    assert ["data 1"] == feeding_.waiting

    feeding_.queues.failing = {}
    feeding_.feed()
    assert ["data 1", "data 2"] == feeding_.queues.data
    assert [] == feeding_.waiting


def test_what_is_sent_and_not_deleted_comes_out_again_rather_than_never(feeding_):
    """Send first, delete second: the other order would lose it."""
    feeding_.put(schedule(1))
    feeding_.table.undone = lambda key: True
    assert 1 == feeding_.feed().undeleted
    feeding_.table.undone = lambda key: False
    feeding_.clock.now_ms += 600_000
    feeding_.feed({"partition": "0", "until": UNTIL_S + 600})
    assert ["data 1", "data 1"] == feeding_.queues.data
    assert [] == feeding_.waiting


def test_a_delete_that_was_not_processed_is_tried_again_in_the_same_run(feeding_):
    """UnprocessedItems are read; otherwise the next run would send it again."""
    feeding_.put(*[schedule(number) for number in range(100)])
    bounced = []
    feeding_.table.undone = lambda key: key not in bounced and not bounced.append(key)
    counts = feeding_.feed()
    assert (100, 100) == (counts.sent, counts.deleted)
    assert [] == feeding_.waiting


def test_what_a_queue_refuses_for_its_content_is_put_aside_at_once_and_alone(feeding_, capsys):
    """With its reason, told in the log without its payload; its neighbours go through."""
    feeding_.put(schedule(1), schedule(2), schedule(3))
    feeding_.queues.refused = {"data 2"}
    counts = feeding_.feed()
    assert ["data 1", "data 3"] == feeding_.queues.data
    assert [("data 2", "InvalidMessageContents")] == [(each.content.data, each.reason) for each in feeding_.table.aside]
    assert ([], 1, 0) == (feeding_.waiting, counts.quarantined, counts.left)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["outcome"] == "quarantined"]
    assert "InvalidMessageContents" == line["reason"]
    assert "data 2" not in str(line)


def test_an_item_that_is_no_schedule_is_put_aside_and_stops_nobody(feeding_):
    """Whoever wrote it: the feed goes on."""
    odd = QuarantinedItem(schedule(1).key, {"junk": {"S": "?"}}, "no schedule")
    feeding_.table.items[odd.key] = odd
    feeding_.put(schedule(2))
    feeding_.feed()
    assert ([odd], ["data 2"], {}) == (feeding_.table.aside, feeding_.queues.data, feeding_.table.items)


def test_a_closed_queue_is_tried_once_in_a_run_and_holds_up_nobody(feeding_):
    """Promise 7. Its schedules stay, without an error: there is nothing that a retry would mend."""
    feeding_.put(*[schedule(number, target=OTHER_ARN) for number in range(500)])
    feeding_.put(*[schedule(number, NOON_MS + 1) for number in range(500, 520)])
    feeding_.queues.closed = {OTHER}
    counts = feeding_.feed()
    assert 1 == feeding_.queues.calls.count(OTHER)
    assert (20, 500, 0) == (counts.sent, counts.closed, counts.left)
    assert 500 == len(feeding_.waiting)


def test_a_queue_that_opens_again_gets_what_waited(feeding_):
    """Nothing is lost to an accident with a policy."""
    feeding_.put(schedule(1, target=OTHER_ARN))
    feeding_.queues.closed = {OTHER}
    feeding_.feed()
    feeding_.queues.closed = set()
    feeding_.feed()
    assert [(OTHER, "data 1", 0)] == feeding_.queues.sent


def test_what_a_closed_queue_has_not_taken_for_a_day_is_put_aside(feeding_):
    """A millisecond over a day, no earlier."""
    feeding_.put(
        schedule(1, NOON_MS - CLOSED_MS_MAX, target=OTHER_ARN),
        schedule(2, NOON_MS - CLOSED_MS_MAX - 1, target=OTHER_ARN),
    )
    feeding_.queues.closed = {OTHER}
    feeding_.feed()
    assert ["data 2"] == [each.content.data for each in feeding_.table.aside]
    assert ["data 1"] == feeding_.waiting


def test_the_stacks_own_queue_is_never_given_up(feeding_):
    """However long it is closed, what is for it stays where it is, and Lambda's retry is called for."""
    feeding_.put(schedule(1, NOON_MS - 10 * CLOSED_MS_MAX))
    feeding_.queues.closed = {OUTPUT}
    with pytest.raises(NotConfirmed, match="NonExistentQueue"):
        feeding_.feed()
    assert ([], ["data 1"]) == (feeding_.table.aside, feeding_.waiting)


def test_what_has_expired_is_reported_and_not_sent(feeding_):
    """Late by more than its expires_after: to the failure queue, in the shape it was sent in, and then deleted."""
    late, in_time = (schedule(n, NOON_MS - ms, expires_after_ms=5_000) for n, ms in ((1, 5_001), (2, 5_000)))
    feeding_.put(late, in_time)
    feeding_.feed()
    (report,) = [json.loads(report.body()) for report in feeding_.queues.reports]
    assert ["data 2"] == feeding_.queues.data
    assert [] == feeding_.waiting
    assert ("expired", 0, NOON_MS / 1000) == (report["reason"], report["attempts"], report["at"])
    sent = {"id": late.id, "timestamp": NOON_MS / 1000 - 5.001, "data": "data 1"}
    assert {**sent, "expires_after": 5.0} == report["schedule"]


def test_an_expired_schedule_with_a_failure_target_goes_to_the_deliver_function(feeding_):
    """That tells the failure queue and the failure target. A report made here as well would come twice."""
    late = schedule(1, NOON_MS - 5_001, expires_after_ms=5_000)
    late.terms = json.dumps({"failure_target": OTHER_ARN})
    feeding_.put(late)
    counts = feeding_.feed()
    assert [(DELIVERY, late.data, 0)] == feeding_.queues.sent
    assert ([], [], 1) == (feeding_.queues.reports, feeding_.waiting, counts.expired)


def test_a_backlog_does_not_make_late_what_is_still_in_time(feeding_):
    """Pages of both in turns: a thousand overdue do not stand before the next one due."""
    feeding_.table.page_schedules_max = 10
    feeding_.put(*[schedule(number, NOON_MS - 1000) for number in range(1000)])
    feeding_.put(schedule(5000, NOON_MS + 60_000))
    feeding_.feed()
    assert [data for _, data, _ in feeding_.queues.sent].index("data 5000") < 20


def test_what_is_upcoming_does_not_hold_up_what_is_overdue(feeding_):
    """The other way round too."""
    feeding_.table.page_schedules_max = 10
    feeding_.put(*[schedule(number, NOON_MS + 1000) for number in range(1000)])
    feeding_.put(schedule(5000, NOON_MS - 60_000))
    feeding_.feed()
    assert [data for _, data, _ in feeding_.queues.sent].index("data 5000") < 20


def test_the_first_page_shows_how_much_the_next_ones_may_ask_for(feeding_):
    """Of small ones a thousand, so that reading costs next to no calls."""
    feeding_.put(*[schedule(number, NOON_MS - 1) for number in range(2100)])
    feeding_.feed()
    assert [50, 1000, 1000, 1000] == [items_max for items_max, page in feeding_.table.pages if page.schedules]


def test_of_large_ones_a_page_has_no_more_than_memory_is_meant_for_or_a_parcel(feeding_):
    """They may be a hundred times as large as the usual ones."""
    feeding_.put(*[large(number, NOON_MS - 2, 2_000) for number in range(500)])
    feeding_.put(*[large(number, NOON_MS - 1, 20_000) for number in range(500, 700)])
    feeding_.feed()
    overdue = [(items_max, page) for items_max, page in feeding_.table.pages if page.schedules]
    assert [50, 100, 100, 100, 100, 100, 50, 50, 50] == [items_max for items_max, _ in overdue]
    assert all(page.size_bytes <= PAGE_BYTES_AIM for _, page in overdue[:5])
    assert [] == feeding_.waiting


def test_a_feed_without_time_moves_a_batch_and_hands_on(feeding_):
    """It stops cleanly and invokes itself, as often as it takes; each comes forward, none repeats."""
    feeding_.put(*[schedule(number, NOON_MS - 1) for number in range(300)])
    assert 30 == feeding_.feed_to_the_end(seconds=0)
    assert 300 == len(feeding_.queues.sent) == len(set(feeding_.queues.sent))
    assert [] == feeding_.waiting


def test_a_continuation_does_not_read_again_what_waits_for_a_closed_queue(feeding_):
    """Nor what is sent and not deleted: it goes on where the feed before it stopped."""
    feeding_.table.page_schedules_max = 50
    feeding_.put(*[schedule(number, NOON_MS - 2000, target=OTHER_ARN) for number in range(500)])
    feeding_.put(*[schedule(number, NOON_MS - 1000) for number in range(500, 600)])
    feeding_.queues.closed = {OTHER}
    hops = feeding_.feed_to_the_end(seconds=JOB_S, hops_max=30)
    assert hops < 30
    assert 100 == len(feeding_.queues.sent)


def test_when_the_next_trigger_has_come_the_feed_hands_on_to_that(feeding_):
    """Past `until` it does not invoke itself."""
    feeding_.put(*[schedule(number) for number in range(100)])
    feeding_.feed({"partition": "0", "until": NOON_MS / 1000}, seconds=JOB_S)
    assert ([], 50) == (feeding_.invoked, len(feeding_.waiting))


def test_without_until_it_makes_one_pass(feeding_):
    """As when an operator invokes it by hand."""
    feeding_.put(*[schedule(number) for number in range(100)])
    feeding_.feed({"partition": "0"}, seconds=JOB_S)
    assert ([], 50) == (feeding_.invoked, len(feeding_.waiting))


def test_against_a_wall_it_does_not_invoke_itself_over_and_over(feeding_):
    """Where nothing at all comes through, Lambda's retry with its waits comes back instead."""
    feeding_.put(*[schedule(number) for number in range(100)])
    feeding_.queues.failing = {f"data {number}": 10**6 for number in range(100)}
    with pytest.raises(NotConfirmed):
        feeding_.feed(seconds=0)
    assert [] == feeding_.invoked


def test_a_second_feed_of_the_same_tick_ends(feeding_, capsys):
    """Lambda may invoke twice for one event; the second would send everything twice."""
    feeding_.put(schedule(1))
    feeding_.table.leases["0"] = Lease("0", int(UNTIL_S * 1000), "first", NOON_MS + 1)
    feeding_.feed()
    assert ["data 1"] == feeding_.waiting
    assert "doubled" in capsys.readouterr().out


def test_a_feed_of_another_tick_comes_back_later(feeding_):
    """By Lambda's retry: the one before may still be at it, but what this one is for must not be forgotten."""
    feeding_.table.leases["0"] = Lease("0", NOON_MS, "first", NOON_MS + 1)
    with pytest.raises(PartitionBusy):
        feeding_.feed()


def test_a_lease_that_has_run_out_is_taken_over(feeding_):
    """A crashed feed holds its partition no longer than its timeout."""
    feeding_.put(schedule(1))
    feeding_.table.leases["0"] = Lease("0", NOON_MS, "crashed", NOON_MS)
    feeding_.feed()
    assert [] == feeding_.waiting


def test_the_lease_lasts_as_long_as_the_feed_may_run_and_ends_with_it(feeding_):
    """The deadline and the reserve after it are the function's timeout."""
    taken = []
    take = feeding_.table.take_lease
    feeding_.table.take_lease = lambda lease, now_ms, inherited: taken.append(lease) or take(lease, now_ms, inherited)
    feeding_.feed(seconds=14)
    assert [NOON_MS + 20_000] == [lease.ends_ms for lease in taken]
    assert {} == feeding_.table.leases


def test_the_lease_ends_with_a_feed_that_fails_too(feeding_):
    """Lambda's retry, 60 s later, is not kept out by it."""
    feeding_.put(schedule(1))
    feeding_.queues.failing = {"data 1": 1000}
    with pytest.raises(NotConfirmed):
        feeding_.feed()
    assert {} == feeding_.table.leases


def test_a_continuation_inherits_the_lease_once(feeding_):
    """A doubled continuation finds it taken by its twin, and ends."""
    feeding_.put(*[schedule(number) for number in range(200)])
    feeding_.feed(seconds=JOB_S)
    continuation = json.loads(feeding_.invoked.pop())
    feeding_.feed(continuation, seconds=JOB_S)
    assert 100 == len(feeding_.waiting)
    feeding_.feed(continuation, seconds=JOB_S)
    assert 100 == len(feeding_.waiting)


def test_where_the_lease_cannot_be_written_it_feeds_all_the_same(feeding_):
    """The lease saves repeats; no promise hangs on it."""
    feeding_.put(schedule(1))

    def down(*_):
        raise NotConfirmed("throttled")

    feeding_.table.take_lease = feeding_.table.end_lease = down
    feeding_.feed()
    assert ["data 1"] == feeding_.queues.data


def test_a_lease_that_was_written_without_an_answer_is_ours(feeding_):
    """The write is tried again, finds itself, and the feed goes on."""
    lease = Lease("0", NOON_MS, "me", NOON_MS + 20_000)
    feeding_.table.leases["0"] = lease
    assert leasing.take(lease, feeding_.table, feeding_.clock.deadline(), None)


@pytest.mark.parametrize("partition", ["256", "-1", "names#0", "", 3, None])
def test_an_order_for_what_is_no_partition_is_refused(partition):
    """Names and quarantine are not fed."""
    with pytest.raises(ValueError, match="partition is"):
        FeedEvent.read({"partition": partition})


def test_a_feed_that_goes_on_begins_with_the_pace_of_the_one_before():
    """What bounces costs calls, and the same table takes as much as it did a moment ago."""
    order = FeedEvent.read({"partition": "0", "until": UNTIL_S, "pace": 812.4})
    assert FeedEvent.read(order.event()).pace == 812
    assert "pace" not in FeedEvent.read({"partition": "0"}).event()


def test_a_schedule_out_of_reach_by_a_clock_set_back_is_left_rather_than_early(feeding_):
    """SQS would refuse the delay, and a shorter one would be before its time."""
    feeding_.put(schedule(1, NOON_MS + REACH_MS - 1))
    page = feeding_.table.page

    def and_back(*arguments):
        feeding_.clock.now_ms -= 60_000
        return page(*arguments)

    feeding_.table.page = and_back
    with pytest.raises(NotConfirmed, match="out of reach by this clock"):
        feeding_.feed()
    assert ([], ["data 1"]) == (feeding_.queues.sent, feeding_.waiting)


def test_a_target_that_fails_for_now_holds_up_nobody(feeding_):
    """Few tries in a run, then its schedules are held for Lambda's retry; all others go out in this one."""
    feeding_.table.page_schedules_max = 100
    feeding_.put(*[schedule(number, NOON_MS - 2000, target=OTHER_ARN) for number in range(2000)])
    feeding_.put(*[schedule(number, NOON_MS - 1000) for number in range(2000, 2100)])
    feeding_.queues.failing = {f"data {number}": 10**6 for number in range(2000)}
    with pytest.raises(NotConfirmed, match="2000 schedules were not confirmed: InternalError"):
        feeding_.feed()
    assert OTHERS_TRIES_MAX == feeding_.queues.calls.count(OTHER)
    assert 100 == len(feeding_.queues.sent)
    assert feeding_.clock.now_ms - NOON_MS < 1000


def test_a_parcel_is_not_tried_further_where_nothing_of_a_batch_gets_through(feeding_):
    """Eight tries for each of its batches would take all the time there is."""
    feeding_.put(*[schedule(number) for number in range(50)])
    feeding_.queues.failing = {f"data {number}": 10**6 for number in range(50)}
    with pytest.raises(NotConfirmed, match="50 schedules"):
        feeding_.feed()
    assert TRIES_MAX == len(feeding_.queues.calls)


def test_a_continuation_begins_with_the_page_of_which_something_is_left(feeding_):
    """And not from the beginning: what waits there for a closed queue is not read again."""
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


def test_between_the_strands_of_two_feeds_nothing_falls_when_the_second_clock_is_behind(feeding_):
    """What was upcoming to the first is overdue or upcoming to the second, not neither."""
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


def test_what_expires_while_it_is_tried_again_is_not_sent_late(feeding_):
    """The next feed finds it expired, and reports it."""
    feeding_.put(schedule(1, NOON_MS, expires_after_ms=100))
    feeding_.queues.failing = {"data 1": 4}
    with pytest.raises(NotConfirmed, match="expired"):
        feeding_.feed()
    feeding_.feed()
    assert ([], 1, []) == (feeding_.queues.sent, len(feeding_.queues.reports), feeding_.waiting)


def test_an_older_tick_ends_where_a_newer_one_is_at_it(feeding_):
    """What it is for is done by the other."""
    feeding_.put(schedule(1))
    feeding_.table.leases["0"] = Lease("0", int(UNTIL_S * 1000) + 600_000, "newer", NOON_MS + 1)
    assert 0 == feeding_.feed().sent


def test_a_report_that_the_failure_queue_does_not_take_keeps_the_schedule(feeding_):
    """It is not silently gone, and the error says where to look."""
    feeding_.put(schedule(1, NOON_MS - 9_000, expires_after_ms=5_000))
    feeding_.queues.report = lambda reports: BatchResult(
        unavailable=[(report, "NonExistentQueue") for report in reports]
    )
    with pytest.raises(NotConfirmed, match="failure queue: NonExistentQueue"):
        feeding_.feed()
    assert ["data 1"] == feeding_.waiting


def test_a_lease_that_is_refused_for_now_takes_little_of_the_time(feeding_):
    """Three tries; with more, on a slow day, nothing would be left for the feed itself."""
    tries = []

    def throttled(*_):
        tries.append(1)
        raise NotConfirmed("throttled")

    feeding_.table.take_lease = throttled
    feeding_.feed()
    assert leasing.TRIES_MAX == len(tries) == 3
