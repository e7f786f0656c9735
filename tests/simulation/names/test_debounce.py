"""A name that is postponed repeatedly: how many timers wake, and that its schedule is still sent."""

import json
import random
from collections import Counter

import pytest

from punctual.testing import Refused, Stack
from punctual.testing.calls import CallFault, Fair

pytestmark = pytest.mark.slow

SETTLED_S = 7_200
"""Longer than any delay, and than the return of a message after a crash."""
NEAR_S = (5, 30, 60, 300, 870)
FAR_S = (1_000, 4_000)


def named(data, delay=5, name="bill", **fields):
    return {"delay": delay, "data": data, "name": name, **fields}


class Trouble:
    """Faults in which a process dies at some of its calls."""

    def __init__(self, draw, callers, deliveries):
        self.draw, self.quiet = draw, False
        self.rates = {"ScheduleFunction": callers, "ManageFunction": callers, "DeliverFunction": deliveries}

    def call_fault(self, call):
        rate = next((rate for name, rate in self.rates.items() if name in call.process.name), 0)
        if not self.quiet and self.draw.random() < rate:
            return CallFault(0, 0, crash=self.draw.choice(("before", "after")))
        return CallFault(0, 0)


def table_of(stack):
    (table,) = stack._cloud.dynamodb.tables.values()
    return table


def watch_wakings(stack):
    """Count how often the deliver function gets each message of the delivery queue."""
    handed, start = Counter(), stack._cloud.functions.start

    def counting(name, payload, cause):
        if "Deliver" in name:
            handed.update(record["messageId"] for record in json.loads(payload)["Records"])
        return start(name, payload, cause)

    stack._cloud.functions.start = counting
    return handed


def done(act, *arguments, **fields):
    """Return whether the caller got an answer. A crashed function gives none."""
    try:
        act(*arguments, **fields)
    except Refused as refused:
        return refused.kind in ("NotFound", "OnItsWay")
    return True


class Pattern:
    """Random requests for a few names. The pattern knows which names must be delivered."""

    def __init__(self, seed, stack):
        self.draw, self.stack = random.Random(f"pattern {seed}"), stack
        self.names = [f"name/{number}" for number in range(self.draw.choice((1, 1, 3)))]
        self.delays = self.draw.sample(NEAR_S + FAR_S, self.draw.choice((1, 2, 4)))
        self.interval_s = self.draw.choice((1, 5, 5, 20, 100))
        every = ("replace", "replace", "move", "move", "keep", "repeat", "batch", "cancel")
        self.kinds = self.draw.choice((("replace",), ("move",), every, every))
        self.requests, self.owed = 0, set()

    def step(self):
        kind, name = self.draw.choice(self.kinds), self.draw.choice(self.names)
        getattr(self, kind)(name)
        self.stack.advance(seconds=self.draw.choice((self.interval_s, self.draw.uniform(0, 2 * self.interval_s))))

    def _request(self, name, **fields):
        return named("x", self.draw.choice(self.delays), name, **fields)

    def _schedule(self, names, request):
        self.requests += len(names)
        if done(self.stack.schedule, request):
            self.owed.update(names)

    def replace(self, name):
        self._schedule([name], self._request(name))

    def keep(self, name):
        self._schedule([name], self._request(name, if_exists="keep"))

    def repeat(self, name):
        request = {**self._request(name), "token": "t"}
        request["timestamp"] = self.stack.now + request.pop("delay")
        for _ in range(2):
            self._schedule([name], request)

    def batch(self, name):
        others = [self.draw.choice(self.names) for _ in range(2)]
        names = [name, *others]
        self._schedule(names, [self._request(each) for each in names])

    def move(self, name):
        self.requests += 1
        try:
            self.stack.manage("move", name=name, delay=self.draw.choice(self.delays))
        except Refused as refused:
            if refused.kind in ("NotFound", "OnItsWay"):
                self.replace(name)

    def cancel(self, name):
        if done(self.stack.manage, "cancel", name=name):
            self.owed.discard(name)


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize(("callers", "deliveries"), [(0, 0), (0.1, 0), (0.05, 0.05)])
def test_at_most_two_timers_wake_per_request(seed, callers, deliveries):
    """This holds for any pattern, except that a message repeated by SQS may set one more timer. No schedule is lost."""
    stack = Stack(seed=seed)
    trouble = stack._cloud.network.faults = Trouble(random.Random(f"trouble {seed}"), callers, deliveries)
    handed, pattern = watch_wakings(stack), Pattern(seed, stack)
    for _ in range(120):
        pattern.step()
    trouble.quiet = True
    stack.advance(seconds=SETTLED_S)
    again = sum(handed.values()) - len(handed)
    assert len(handed) <= 2 * pattern.requests + again
    for name in pattern.owed:
        assert "queued" != stack.manage("get", name=name)["state"]
    if not deliveries:
        assert [1] == list({*Counter(each.id for each in stack.released()).values(), 1})


def test_an_hour_of_requests_every_five_seconds_costs_two_wakings_each():
    """The timer of the request, and at most one second timer."""
    stack = Stack()
    handed = watch_wakings(stack)
    for _ in range(720):
        stack.schedule(named("x", 60))
        stack.advance(seconds=5)
    stack.advance(seconds=SETTLED_S)
    assert len(handed) <= 2 * 720
    assert 1 == len(stack.released())


def test_two_timers_at_one_time_deliver_once():
    """A backlog delays the deliver function by more than the distance of the two timers."""
    stack = Stack()
    stack._cloud.network.faults = Fair(0.01, 0.01)
    stack.schedule(named("old", 10))
    stack.schedule(named("new", 15))
    stack.advance(seconds=12)  # The timer of the old schedule has set a second timer for the new one.
    functions, url = stack._cloud.functions, stack.output("DeliveryQueueUrl")
    (mapping,) = [each for each in functions.mappings if each.queue_url == url]
    functions.mappings.remove(mapping)
    stack.advance(seconds=30)
    assert 2 == len(stack._cloud.sqs.queues[url].messages)
    functions.mappings.append(mapping)
    stack.schedule(named("wakes the pollers", 0, "other"))
    stack.advance(minutes=10)
    assert ["new", "wakes the pollers"] == sorted(each.data for each in stack.released())
    assert "delivered" == stack.manage("get", name="bill")["state"]


@pytest.mark.parametrize("delay", [884, 890, 899, 900])
def test_a_second_timer_at_the_edge_of_the_reach_comes_after_the_first(delay):
    """It goes to the queue like the first. In the table it would come together with the first, as a first timer."""
    stack = Stack()
    stack._cloud.network.faults = Fair(0.01, 0.01)
    handed = watch_wakings(stack)
    stack.schedule(named("old", 3))
    stack.schedule(named("new", delay))
    for _ in range(20):
        stack.advance(seconds=60)
    assert ["new"] == [each.data for each in stack.released()]
    told = [line["outcome"] for line in stack.log() if line["outcome"] in ("followed", "delivered", "dropped")]
    assert ["followed", "delivered", "dropped"] == told
    assert len(handed) <= 4
    assert not [key for key in table_of(stack).order if key.isdigit() and table_of(stack).order[key]]
