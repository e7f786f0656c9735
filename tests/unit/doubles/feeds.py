"""A table, queues and a clock, and feeds on them."""

import json

from fakes import NOON_MS, Clock, FakeQueues, FakeTable
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding import feed as feeding
from scheduler.feeding.feed import FeedEvent
from scheduler.measuring.metrics import NO_METRICS

REACH_MS = 900_000
UNTIL_S = NOON_MS / 1000 + 600


class Feeding:
    """Runs feeds. The test runs the continuations by hand."""

    def __init__(self):
        self.table, self.queues, self.clock = FakeTable(), FakeQueues(), Clock()
        self.invoked = []
        self.holders = 0
        self.metrics = NO_METRICS

    def put(self, *schedules):
        self.table.add(*schedules)

    def feed(self, event=None, seconds=14):
        self.holders += 1
        dependencies = feeding.FeedDependencies(
            self.table,
            self.queues,
            SerialPool(),
            REACH_MS,
            lambda payload, _: self.invoked.append(json.dumps(payload)),
            metrics=self.metrics,
        )
        order = FeedEvent.read(event or {"partition": "0", "until": UNTIL_S})
        return feeding.feed(order, dependencies, self.clock.deadline(seconds), f"holder {self.holders}")

    def feed_to_the_end(self, seconds, hops_max=1000):
        """Run each continuation until none is left. Return the number of feeds."""
        self.feed(seconds=seconds)
        hops = 1
        while self.invoked and hops < hops_max:
            self.feed(json.loads(self.invoked.pop()), seconds)
            hops += 1
        return hops

    @property
    def waiting(self):
        return sorted(each.data for each in self.table.items.values())
