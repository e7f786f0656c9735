"""A chain of feeds ends, reports nothing twice, and returns to the schedules it had to skip."""

import json
from dataclasses import replace

import pytest

from fakes import DELIVERY, NOON_MS, OTHER_ARN, OUTPUT, schedule
from feeds import REACH_MS, UNTIL_S, Feeding
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.feeding.feed import CALLS_AT_END, ROUNDS_MAX, TURNS_MAX
from scheduler.feeding.mover import FEED_RESERVE_S
from scheduler.feeding.outgoing import FOREIGN_TRIES_MAX
from scheduler.feeding.reader import JOB_S
from scheduler.limits import LAMBDA_RETRIES_MAX, LAMBDA_RETRY_WAITS_S
from scheduler.model.schedule import sort_from

TICK = {"partition": "0", "until": UNTIL_S}
FEEDS_MAX = 6
"""Feeds of one tick in these tests: two attempts, one of them with two continuations, and Lambda's two retries."""
FAILURE_TARGET = json.dumps({"failure_target": OTHER_ARN}, separators=(",", ":"))


class Chain(Feeding):
    """Feeds with Lambda's retries of failed events, after 60 and 120 s."""

    def __init__(self):
        super().__init__()
        self.table.page_schedules_max = 50
        self.began_s = []
        self.errors = []
        send = self.queues.send

        def slow(*arguments):
            self.clock.sleep(0.05)
            return send(*arguments)

        self.queues.send = slow

    def inflow(self, per_s, seconds=600):
        """Return schedules that come within reach one after the other during the tick."""
        self.put(*[schedule(9000 + n, NOON_MS + REACH_MS - 1000 + 1000 * n // per_s) for n in range(per_s * seconds)])

    def run(self, event=TICK, feeds_max=200):
        """Run a tick until no continuation or retry is left. Lambda retries a failed event at most twice."""
        tries = 0
        while len(self.began_s) < feeds_max:
            self.began_s.append(round(self.clock() - NOON_MS / 1000))
            try:
                self.feed(event)
                failed = False
            except NotConfirmed as failure:
                failed = True
                self.errors.append(str(failure))
            if self.invoked:
                event, tries = json.loads(self.invoked.pop()), 0
                self.clock.sleep(0.1)
            elif failed and tries < LAMBDA_RETRIES_MAX:
                self.clock.sleep(LAMBDA_RETRY_WAITS_S[tries])
                tries += 1
            else:
                return
        raise AssertionError(f"more than {feeds_max} feeds in a tick")


@pytest.fixture
def chain():
    return Chain()


def late(number, failure_target=True):
    """Return an expired schedule."""
    made = schedule(number, NOON_MS - 60_000, expires_after_ms=1_000)
    return replace(made, terms=FAILURE_TARGET) if failure_target else made


def held_back(chain, failures):
    """Store twenty schedules for a queue that fails `failures` times, before a backlog for several feeds."""
    chain.put(*[schedule(n, NOON_MS + 300_000, target=OTHER_ARN) for n in range(20)])
    chain.put(*[schedule(n, NOON_MS + 300_001 + n) for n in range(100, 6100)])
    chain.queues.failing = {f"data {n}": failures for n in range(10)}  # The first batch of the feed.


def test_skipped_schedules_are_tried_again_at_the_end_of_the_chain(chain):
    """Their queue failed for 0.2 s in the first of several feeds. The next tick would be five minutes late."""
    held_back(chain, 3)
    chain.run()
    assert ([], []) == (chain.waiting, chain.errors)
    assert 6020 == len(chain.queues.sent)
    assert len(chain.began_s) > 2


def test_lambdas_retry_returns_only_to_the_skipped_schedules(chain):
    """A queue that recovers within two minutes gets its schedules within two minutes, although the chain continued."""
    held_back(chain, 9)
    chain.run()
    assert [] == chain.waiting
    assert 2 == len(chain.errors)
    before, first, second = chain.began_s[-3:]
    assert (True, True) == (60 <= first - before <= 62, 120 <= second - first <= 122)
    assert 6020 == len(chain.queues.sent)


def test_a_failed_continuation_keeps_the_schedules_skipped_before_it(chain):
    """Its own event holds the position, so Lambda's retry knows the position as well."""
    chain.put(*[schedule(n, NOON_MS + 300_000, target=OTHER_ARN) for n in range(20)])
    chain.put(*[schedule(n, NOON_MS + 300_001 + n) for n in range(100, 6100)])
    chain.queues.failing = {f"data {n}": 3 for n in range(20)}
    chain.feed(TICK)
    event = json.loads(chain.invoked.pop())
    assert event["behind"] <= sort_from(NOON_MS + 300_000)
    assert event["position"]["upcoming"] > sort_from(NOON_MS + 300_001)


def test_a_chain_goes_back_a_bounded_number_of_times(chain):
    """The bound holds however little progress each pass makes."""
    event = {**TICK, "behind": sort_from(NOON_MS - 5), "rounds": ROUNDS_MAX}
    chain.put(schedule(1, NOON_MS + 1000))
    chain.feed(event)
    assert [] == chain.invoked
    chain.feed({**event, "rounds": ROUNDS_MAX - 1})
    (following,) = map(json.loads, chain.invoked)
    assert (ROUNDS_MAX, "behind" in following) == (following["rounds"], False)
    assert following["position"]["overdue"] == sort_from(NOON_MS - 5)


def test_the_horizon_of_a_chain_is_that_of_its_first_feed(chain):
    """The next tick comes early enough for schedules that come within reach meanwhile."""
    chain.put(*[schedule(n, NOON_MS + 1000) for n in range(6000)])
    chain.inflow(1)
    chain.run()
    assert len(chain.began_s) > 1
    dues_ms = {each.due_ms for each in chain.table.items.values()}
    assert NOON_MS + REACH_MS == min(dues_ms)


def test_a_clock_that_is_behind_reads_no_further_than_its_own_reach(chain):
    """SQS would refuse a longer delay."""
    chain.put(schedule(1, NOON_MS + REACH_MS - 10))
    chain.clock.now_ms -= 500
    counts = chain.feed({**TICK, "horizon": sort_from(NOON_MS + REACH_MS)})
    assert (0, 0, []) == (counts.sent, counts.left, chain.errors)


@pytest.mark.parametrize("per_s", [1, 5, 50])
def test_an_expiry_that_cannot_be_reported_does_not_keep_a_chain_running(chain, per_s):
    """Other schedules come within reach all the time. Lambda retries the feed, with pauses."""
    chain.put(late(1))
    chain.inflow(per_s, 60)
    told = []
    chain.queues.send_to_delivery = lambda expired, now_ms: (
        told.append(1) or BatchResult(unconfirmed=list(expired), last_error="throttled")
    )
    chain.run()
    assert len(chain.began_s) <= FEEDS_MAX
    assert len(told) <= FOREIGN_TRIES_MAX * len(chain.began_s)
    assert [] == chain.queues.reports


@pytest.mark.parametrize("per_s", [1, 5, 50])
def test_a_closed_delivery_queue_does_not_keep_a_chain_running(chain, per_s):
    """The queue is our own, so the feed gives nothing up and Lambda retries it."""
    chain.put(schedule(1, NOON_MS - 60_000, target="arn:aws:sns:eu-central-1:123456789012:t"))
    chain.inflow(per_s, 60)
    chain.queues.closed = {DELIVERY}
    chain.run()
    assert len(chain.began_s) <= FEEDS_MAX
    assert "data 1" in chain.waiting


def test_one_unconfirmed_message_stops_the_chain_after_a_few_feeds(chain):
    """Each feed returns to the message at once while others are sent. Then Lambda retries, with pauses."""
    chain.queues.failing = {"data 1": 10**6}
    chain.put(schedule(1, NOON_MS - 1000))

    def feed_with_progress(event):
        chain.put(schedule(5000 + len(chain.began_s), chain.clock.now_ms - 1))
        return Feeding.feed(chain, event)

    chain.feed = feed_with_progress
    chain.run()
    assert TURNS_MAX + 1 + LAMBDA_RETRIES_MAX == len(chain.began_s)
    assert ["data 1"] == chain.waiting


def test_a_failed_report_is_tried_a_few_times_and_delays_no_schedule(chain):
    """A hundred expired schedules cost three calls in all, and schedules in time are sent."""
    chain.put(*[late(n, failure_target=False) for n in range(500)])
    chain.put(*[schedule(n, NOON_MS + 1000) for n in range(500, 510)])
    calls = []
    chain.queues.report = lambda reports: (
        calls.append(1) or BatchResult(unconfirmed=list(reports), last_error="throttled")
    )
    with pytest.raises(NotConfirmed, match="500 schedules were not confirmed: failure queue: throttled"):
        chain.feed(TICK)
    assert (3, 10) == (len(calls), len(chain.queues.sent))


def test_a_confirmed_report_is_not_repeated_for_its_neighbours(chain):
    """Each expired schedule is finished on its own."""
    chain.put(*[late(n, failure_target=False) for n in range(3)])

    def all_but_one(reports):
        done = [each for each in reports if each.schedule.data != "data 1"]
        chain.queues.reports += done
        return BatchResult(
            confirmed=done, unconfirmed=[each for each in reports if each not in done], last_error="throttled"
        )

    chain.queues.report = all_but_one
    chain.run()
    assert ["data 0", "data 2"] == sorted(each.schedule.data for each in chain.queues.reports)
    assert ["data 1"] == chain.waiting


def test_an_event_of_the_previous_version_is_understood(chain):
    """Feeds of both versions run during an update."""
    chain.put(schedule(1), schedule(2, NOON_MS + 5))
    position = {"overdue": sort_from(0), "upcoming": sort_from(0), "between": sort_from(0)}
    chain.feed({"partition": "0", "until": UNTIL_S, "lease": "holder", "position": position})
    assert {(OUTPUT, "data 1", 0), (OUTPUT, "data 2", 1)} == set(chain.queues.sent)


@pytest.mark.parametrize("call_s", [0.02, 1.0, 2.0, 3.0])
def test_a_feed_ends_within_its_time_even_with_slow_calls(chain, call_s):
    """It deletes the messages that it sent last and invokes its continuation before Lambda ends the function."""

    def slowed(call):
        def slow(*arguments):
            chain.clock.sleep(call_s)
            return call(*arguments)

        return slow

    for owner, names in ((chain.table, ("take_lease", "end_lease", "page")), (chain.queues, ("send",))):
        for name in names:
            setattr(owner, name, slowed(getattr(owner, name)))
    delete = slowed(chain.table.delete)

    def of_25(keys):
        outcome = delete(keys[:25])
        outcome.not_attempted += keys[25:]
        return outcome

    chain.table.delete = of_25
    chain.put(*[schedule(n) for n in range(3000)])
    begun_ms = chain.clock.now_ms
    chain.feed(TICK)
    assert 1 == len(chain.invoked)
    assert chain.clock.now_ms + call_s * 1000 <= begun_ms + (14 + FEED_RESERVE_S) * 1000
    assert 3000 == len(chain.queues.sent) + len(chain.waiting)


def test_retries_for_the_lease_do_not_count_as_one_slow_call(chain):
    """Three failed calls of 1.4 s mean that a call takes 1.4 s, so the feed has most of its time left."""
    begun_s, sent_s, send = chain.clock.now_ms / 1000, [], chain.queues.send

    def throttled(*_):
        chain.clock.sleep(1.4)
        raise NotConfirmed("throttled")

    def slow(*arguments):
        sent_s.append(chain.clock.now_ms / 1000 - begun_s)
        chain.clock.sleep(1.4)
        return send(*arguments)

    chain.table.take_lease, chain.queues.send = throttled, slow
    chain.put(*[schedule(n) for n in range(3000)])
    chain.feed(TICK)
    assert sent_s[-1] > 14 - (CALLS_AT_END * 1.4 - FEED_RESERVE_S) - JOB_S - 1.4
