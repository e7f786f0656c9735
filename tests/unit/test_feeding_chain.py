"""A chain of feeds: it ends, it reports nothing twice, and it comes back to what it had to pass over."""

import json
from dataclasses import replace

import pytest

from fakes import DELIVERY, NOON_MS, OTHER_ARN, OUTPUT, schedule
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.feeding.feed import CALLS_AT_END, ROUNDS_MAX, TURNS_MAX
from scheduler.feeding.mover import RESERVE_S
from scheduler.feeding.outgoing import OTHERS_TRIES_MAX
from scheduler.feeding.reader import JOB_S
from scheduler.limits import LAMBDA_RETRIES_MAX, LAMBDA_RETRY_WAITS_S
from scheduler.model.schedule import sort_from
from test_feeding import REACH_MS, UNTIL_S, Feeding

TICK = {"partition": "0", "until": UNTIL_S}
FEEDS_MAX = 6
"""Of a tick in these tests: two attempts, one of which goes on twice, and Lambda's two retries of the last."""
FAILURE_TARGET = json.dumps({"failure_target": OTHER_ARN}, separators=(",", ":"))


class Chain(Feeding):
    """Feeds whose events Lambda tries again, as it does: 60 and 120 s later."""

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
        """Schedules that come within reach one after the other during the tick."""
        self.put(*[schedule(9000 + n, NOON_MS + REACH_MS - 1000 + 1000 * n // per_s) for n in range(per_s * seconds)])

    def run(self, event=TICK, feeds_max=200):
        """Run a tick until nobody comes back; Lambda hands a failed event on at most twice."""
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
    """A schedule that has expired."""
    made = schedule(number, NOON_MS - 60_000, expires_after_ms=1_000)
    return replace(made, terms=FAILURE_TARGET) if failure_target else made


def held_back(chain, failures):
    """Twenty schedules for a queue of others that fails so often, before a backlog that takes a few feeds."""
    chain.put(*[schedule(n, NOON_MS + 300_000, target=OTHER_ARN) for n in range(20)])
    chain.put(*[schedule(n, NOON_MS + 300_001 + n) for n in range(100, 6100)])
    chain.queues.failing = {f"data {n}": failures for n in range(10)}  # One batch: it is the first to be tried.


def test_what_was_passed_over_is_tried_again_at_the_end_of_the_chain(chain):
    """Its queue failed for 0.2 s in the first of several feeds. It is not left to the next tick, five minutes late."""
    held_back(chain, 3)
    chain.run()
    assert ([], []) == (chain.waiting, chain.errors)
    assert 6020 == len(chain.queues.sent)
    assert len(chain.began_s) > 2


def test_lambdas_retry_comes_back_to_what_was_passed_over_and_to_nothing_else(chain):
    """A queue that recovers within two minutes has its schedules within two minutes, though the chain went on."""
    held_back(chain, 9)
    chain.run()
    assert [] == chain.waiting
    assert 2 == len(chain.errors)
    before, first, second = chain.began_s[-3:]
    assert (True, True) == (60 <= first - before <= 62, 120 <= second - first <= 122)
    assert 6020 == len(chain.queues.sent)


def test_a_continuation_that_fails_keeps_what_was_passed_over_before_it(chain):
    """Its own event has the place, so Lambda's retry of it knows the place as well."""
    chain.put(*[schedule(n, NOON_MS + 300_000, target=OTHER_ARN) for n in range(20)])
    chain.put(*[schedule(n, NOON_MS + 300_001 + n) for n in range(100, 6100)])
    chain.queues.failing = {f"data {n}": 3 for n in range(20)}
    chain.feed(TICK)
    event = json.loads(chain.invoked.pop())
    assert event["behind"] <= sort_from(NOON_MS + 300_000)
    assert event["position"]["upcoming"] > sort_from(NOON_MS + 300_001)


def test_a_chain_goes_back_a_bounded_number_of_times(chain):
    """However little of it gets through each time."""
    event = {**TICK, "behind": sort_from(NOON_MS - 5), "rounds": ROUNDS_MAX}
    chain.put(schedule(1, NOON_MS + 1000))
    chain.feed(event)
    assert [] == chain.invoked
    chain.feed({**event, "rounds": ROUNDS_MAX - 1})
    (following,) = map(json.loads, chain.invoked)
    assert (ROUNDS_MAX, "behind" in following) == (following["rounds"], False)
    assert following["position"]["overdue"] == sort_from(NOON_MS - 5)


def test_the_horizon_of_a_chain_is_that_of_its_first_feed(chain):
    """What comes within reach meanwhile is for the next tick, which comes early enough for it."""
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
def test_one_expiry_that_cannot_be_told_keeps_no_chain_going(chain, per_s):
    """While others come within reach all the time. What brings the feed back is Lambda's retry, with its waits."""
    chain.put(late(1))
    chain.inflow(per_s, 60)
    told = []
    chain.queues.hand_over = lambda expired, _: (
        told.append(1) or BatchResult(unconfirmed=list(expired), last_error="throttled")
    )
    chain.run()
    assert len(chain.began_s) <= FEEDS_MAX
    assert len(told) <= OTHERS_TRIES_MAX * len(chain.began_s)
    assert [] == chain.queues.reports


@pytest.mark.parametrize("per_s", [1, 5, 50])
def test_a_delivery_queue_that_is_closed_keeps_no_chain_going(chain, per_s):
    """It is ours, so nothing is given up, and Lambda's retry comes back."""
    chain.put(schedule(1, NOON_MS - 60_000, target="arn:aws:sns:eu-central-1:123456789012:t"))
    chain.inflow(per_s, 60)
    chain.queues.closed = {DELIVERY}
    chain.run()
    assert len(chain.began_s) <= FEEDS_MAX
    assert "data 1" in chain.waiting


def test_an_own_queue_that_never_confirms_one_message_stops_the_chain_after_a_few_turns(chain):
    """Each goes back to it at once, while others get through. Then Lambda's retry comes back, with its waits."""
    chain.queues.failing = {"data 1": 10**6}
    chain.put(schedule(1, NOON_MS - 1000))

    def feed_with_progress(event):
        chain.put(schedule(5000 + len(chain.began_s), chain.clock.now_ms - 1))
        return Feeding.feed(chain, event)

    chain.feed = feed_with_progress
    chain.run()
    assert TURNS_MAX + 1 + LAMBDA_RETRIES_MAX == len(chain.began_s)
    assert ["data 1"] == chain.waiting


def test_a_report_that_failed_is_tried_a_few_times_and_holds_up_nobody(chain):
    """A hundred expired schedules cost three calls, not three each; what is in time goes out."""
    chain.put(*[late(n, failure_target=False) for n in range(500)])
    chain.put(*[schedule(n, NOON_MS + 1000) for n in range(500, 510)])
    calls = []
    chain.queues.report = lambda reports: (
        calls.append(1) or BatchResult(unconfirmed=list(reports), last_error="throttled")
    )
    with pytest.raises(NotConfirmed, match="500 schedules were not confirmed: failure queue: throttled"):
        chain.feed(TICK)
    assert (3, 10) == (len(calls), len(chain.queues.sent))


def test_a_report_that_was_confirmed_is_not_made_again_for_its_neighbours(chain):
    """Each is done with by itself."""
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


def test_an_event_of_the_version_before_is_understood(chain):
    """During an update feeds of both are under way."""
    chain.put(schedule(1), schedule(2, NOON_MS + 5))
    position = {"overdue": sort_from(0), "upcoming": sort_from(0), "between": sort_from(0)}
    chain.feed({"partition": "0", "until": UNTIL_S, "lease": "holder", "position": position})
    assert {(OUTPUT, "data 1", 0), (OUTPUT, "data 2", 1)} == set(chain.queues.sent)


@pytest.mark.parametrize("call_s", [0.02, 1.0, 2.0, 3.0])
def test_a_feed_ends_within_its_time_however_slow_every_call_is(chain, call_s):
    """A send that began last is deleted and the rest is handed over, before Lambda ends the function."""

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
    assert chain.clock.now_ms + call_s * 1000 <= begun_ms + (14 + RESERVE_S) * 1000
    assert 3000 == len(chain.queues.sent) + len(chain.waiting)


def test_tries_for_the_lease_are_not_taken_for_one_slow_call(chain):
    """Three calls of 1.4 s in vain say that a call takes 1.4 s, so the feed has most of its time."""
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
    assert sent_s[-1] > 14 - (CALLS_AT_END * 1.4 - RESERVE_S) - JOB_S - 1.4
