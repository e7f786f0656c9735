"""One seed: draw a stack, callers, faults and a clock from it, and run until every request is settled.

A run is a row of episodes. In each episode faults occur for a while and then stop. The system then has two feed
intervals to drain (promise 4). Between episodes the clock jumps to the time when the next schedule comes within reach.
The skipped feeds would have found nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from punctual.testing.cloud import Cloud
from punctual.testing.timeline import US
from simulator.checks.at_the_end import FinalChecks
from simulator.checks.releases import BrokenPromise, Checker, RunStats, Violation
from simulator.event_log import FAULT_EVENTS, EventLog
from simulator.faults import faults as fault_rates
from simulator.faults.external_targets import ExternalTargets
from simulator.faults.faults import Faults
from simulator.workload.callers import Callers, Change
from simulator.workload.expected import ExpectedSchedule, ExpectedSchedules
from simulator.workload.scenarios import (
    INTERVAL_S,
    changes,
    days,
    debounce,
    input_messages,
    listings,
    local_times,
    names,
    neighbours,
    outcomes,
    redrives,
    silent_hosts,
    targets,
)
from simulator.workload.scenarios.alone import chains, many, troubles
from simulator.workload.sharing import LEDGER_SEED, Sharing

EPISODES_MAX = 40
START_S_MIN, START_S_MAX = 1_000_000_000, 9_900_000_000
"""From 2001, when a time in milliseconds has twelve digits, to 2283. Due times go up to the year 9999."""
REACH_S = 900
CLOSING_S = 60
YEAR_S = 31_557_600
FAILURES_S = 2 * 86_400


@dataclass
class Result:
    """The result of one seed."""

    seed: int
    violation: Violation | None
    trace: list[str]
    stats: RunStats
    faults: Counter[str]
    fingerprint: str
    kinds: list[str] = field(default_factory=list)


class Simulation:
    def __init__(self, seed: int, folder: Path | None = None) -> None:
        self.seed = seed
        self.event_log = EventLog()
        self.draw = random.Random(f"punctual {seed}")
        start_s = self.draw.choice((1_700_000_000, self.draw.randrange(START_S_MIN, START_S_MAX)))
        self.checker = Checker(self.event_log)
        self.final_checks = FinalChecks(self.checker)
        self.cloud = Cloud(start_s, self._fork(), watcher=self.checker, folder=folder, write=self.checker.logged)
        self.faults = Faults(self.cloud.timeline, self._fork())
        self.faults.tell = self._tell
        self.checker.attach(self.cloud.timeline, self.faults)
        self.cloud.network.faults = self.faults
        self.cloud.functions.faults = self.faults
        self.cloud.sqs.refused = self._refused_by_sqs
        self.cloud.sns.copies = self.faults.copies_of_message
        self.interval_s = INTERVAL_S
        self.parameters: dict[str, Any] = {}
        self.targets: dict[str, str] = {}
        self._draining = False
        self.requested_us: list[int] = []
        self.orders: list[tuple[int, list[ExpectedSchedule]]] = []
        """The requests for unnamed schedules, each with the time of the request."""
        self.start_us = self.cloud.timeline.now_us

    # --------------------------------------------------------------------------------------------------------- plan

    def plan(self) -> None:
        """Draw the stack, the faults and the workload."""
        draw = self.draw
        self.faults.skewed = draw.random() < 0.6
        if draw.random() < 0.85:
            self.faults.rates = fault_rates.rates(self._fork())
        self.interval_s = 60 * draw.choice((10, 10, 10, 10, 10, 5))
        parameters = {
            "PartitionCount": draw.choice((1, 2, 3, 4, 4, 8)),
            "FeedIntervalMinutes": self.interval_s // 60,
            "ConsumerEnabled": draw.random() < 0.2,
        }
        self.checker.ledger.on = self.seed >= LEDGER_SEED
        if self.checker.ledger.on:
            parameters["Ledger"] = True
        self._prepare(parameters)
        if parameters["ConsumerEnabled"]:
            self.checker.consumed_from = self.cloud.output("OutputQueueUrl")
            self.cloud.sqs.unruly, self.cloud.sqs.twice = self._fork(), draw.choice((0.0, 0.05))
        kind = draw.random()
        if many.plan(self):
            pass
        elif kind < 0.07:
            troubles.backlog(self)
        elif kind < 0.12:
            troubles.hiccup(self)
        elif kind < 0.17:
            troubles.large_bundles(self)
        elif kind < 0.20:
            chains.held(self)
        elif kind < 0.23:
            chains.unreported(self)
        else:
            days.plan(self, changing=draw.random() < 0.3)
            names.plan(self)
            debounce.plan(self)
            targets.plan(self)
            targets.plan_bursts(self)
            input_messages.plan(self)
            changes.plan(self)
            silent_hosts.plan(self)
            listings.plan(self)
            neighbours.plan(self)
            outcomes.plan(self)
            redrives.plan(self)
            local_times.plan(self)
        self.checker.names.orderly = self.cloud.sqs.unruly is None

    def _prepare(self, parameters: Mapping[str, Any]) -> None:
        """Deploy the stack, add a queue outside the stack, and create the callers."""
        target = self.cloud.add_queue("other")
        self.targets[target] = next(queue.url for queue in self.cloud.sqs.queues.values() if queue.arn == target)
        own = random.Random(f"punctual others {self.seed}")
        self.external_targets = ExternalTargets(self.cloud, own, lambda: self._draining, self.faults.counted)
        allowed = self.external_targets.parameters()
        self.deploy({**parameters, **allowed, "TargetArns": f"{target},{allowed['TargetArns']}"})
        self.expected_schedules = ExpectedSchedules(self._fork(), self.cloud.output("OutputQueueUrl"), self.targets)
        checker = self.checker
        checker.expected_schedules = checker.names.expected_schedules = self.expected_schedules.by_tag
        checker.ledger.expected_schedules = self.expected_schedules.by_tag
        checker.deliveries.expected_schedules = self.expected_schedules.by_tag
        checker.deliveries.external_targets = self.external_targets
        checker.deliveries.interval_s = self.interval_s
        checker.names.closed, checker.names.interval_s = checker.closed, self.interval_s
        checker.delivery_queue = self.cloud.output("DeliveryQueueUrl")
        checker.input_queue = self.cloud.output("InputQueueUrl")
        checker.input_topic = self.cloud.output("InputTopicArn")
        sharing = Sharing(self.seed)
        hosts = allowed["WebhookHosts"].split(",")
        sharing.store(self.cloud, [target, *allowed["TargetArns"].split(",")], hosts)
        self.callers = Callers(
            self.cloud,
            self.event_log,
            self._fork(),
            checker.report_violation,
            checker.refused_by_sqs,
            checker.names,
            sharing=sharing,
        )

    def deploy(self, parameters: Mapping[str, Any]) -> None:
        self.checker.partitions_changed |= bool(self.parameters)
        self.parameters |= parameters
        self._tell("stack", f"deployed with {parameters}")
        self.cloud.deploy(self.parameters)
        for rule in self.cloud.functions.rules.values():
            rule.ticks = self.faults.ticks

    def close_targets(self, error: ClientError | None) -> None:
        for url in self.targets.values():
            queue = self.cloud.sqs.queues[url]
            if error is not None and self._draining:
                return
            if queue.closed is not error:
                self._tell(FAULT_EVENTS, "the other queue is closed" if error else "the other queue is open again")
                self.checker.closed.append((self.cloud.timeline.now_us, url))
            queue.closed = error

    def _refused_by_sqs(self, body: str) -> bool:
        return any(tag in body[:24] for tag in self.checker.refused_by_sqs)

    # --------------------------------------------------------------------------------------------------------- drive

    def run(self) -> Result:
        violation = None
        try:
            self.plan()
            self._drive()
            self.final_checks.check_all()
            self.checker.input_messages.check_all()
            self.checker.ledger.check_all(quiet=not self.faults.rates and not self.faults.outages)
            self.cloud.timeline.run(lambda: False)
            self._raise_violation()
        except BrokenPromise as broken:
            violation = broken.violation
        stats = self.checker.stats
        stats.virtual_s = (self.cloud.timeline.now_us - self.start_us) / US
        trace = self.event_log.trace(violation.tag) if violation is not None else []
        fingerprint = self.event_log.fingerprint()
        return Result(self.seed, violation, trace, stats, self.faults.counted, fingerprint, sorted(self.faults.rates))

    def _drive(self) -> None:
        timeline = self.cloud.timeline
        for _ in range(EPISODES_MAX):
            self.faults.start()
            self._draining = False
            timeline.run_until(timeline.now_us + round(self.draw.choice((900, 1800, 3600, 7200)) * US))
            self._drain()
            ahead = [at_us // 1000 for at_us in self.requested_us if at_us > timeline.now_us]
            upcoming = min([*self.final_checks.pending_ms(), *ahead], default=None)
            if upcoming is None:
                # The messages that were sent last become visible.
                timeline.run_until(timeline.now_us + (REACH_S + 2 * CLOSING_S) * US)
                return
            self._jump(upcoming)
        self.checker.report_violation(4, "", f"not settled within {EPISODES_MAX} episodes")
        self._raise_violation()

    def _drain(self) -> None:
        """Stop the faults and let pending calls finish. Then give the system two feed intervals to drain."""
        timeline = self.cloud.timeline
        self.faults.stop()
        self._draining = True
        self.close_targets(None)
        ends_us = [each.end_us for each in self.faults.outages]
        ends_us += [each.end_us for each in self.faults.closed_queues]
        over_us = max([timeline.now_us, *ends_us])
        self._tell(FAULT_EVENTS, "calm")
        timeline.run_until(over_us + (2 * self.interval_s + CLOSING_S) * US)
        until_ms = over_us // 1000
        tables = self.cloud.dynamodb.tables.values()
        items = [item for table in tables for rows in table.items.values() for item in rows.values()]
        self.final_checks.check_drained(until_ms, items)
        self._raise_violation()
        self._list_failures()

    def _list_failures(self) -> None:
        """Let a caller list the failures of the last two days, if there are any. No faults disturb it."""
        timeline = self.cloud.timeline
        from_s = timeline.now_us // US - FAILURES_S
        if self.checker.names.lying_failures(from_s * 1000):
            self.callers.change(Change(timeline.now_us, "failures", more={"from": from_s}))
            with self.faults.drawing_from(random.Random(f"punctual failures {self.seed}")):
                timeline.run_until(timeline.now_us + CLOSING_S * US)
            self._raise_violation()

    def _jump(self, due_ms: int) -> None:
        """Advance the clock to a little before the schedule comes within reach."""
        timeline = self.cloud.timeline
        begin_us = due_ms * 1000 - (REACH_S + 2 * self.interval_s + round(self.draw.uniform(0, self.interval_s))) * US
        begin_us = min([begin_us, *(at_us for at_us in self.requested_us if at_us > timeline.now_us)])
        if begin_us > timeline.now_us + self.interval_s * US:
            self.cloud.functions.skip_ticks(begin_us)
            timeline.run_until(begin_us)

    def _raise_violation(self) -> None:
        self.cloud.timeline.run_until(self.cloud.timeline.now_us)

    def _fork(self) -> random.Random:
        """Return a random source for one part, so that an extra draw in one part changes nothing in the others."""
        return random.Random(f"{self.draw.getrandbits(64)}")

    def _tell(self, who: str, what: str) -> None:
        self.event_log.add(self.cloud.timeline.now_us, who, what)


def simulate(seed: int, folder: Path | None = None) -> Result:
    return Simulation(seed, folder).run()
