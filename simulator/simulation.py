"""One seed: a stack, callers, weather and a clock, all drawn from it; run until all that was asked for is settled.

A run is a row of episodes. In each the storm rages for a while and then stops, whereupon the system has two feed
intervals to drain (promise 4). Between episodes the clock jumps to where the next schedule comes within reach: the
feeds left out would have found nothing.
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
from punctual.testing.refusal import refusal
from punctual.testing.timeline import US
from simulator import others
from simulator import storm as weather
from simulator.chronicle import Chronicle
from simulator.others import FINE, HANGS, Others
from simulator.storm import Outage, Storm
from simulator.witness import Breach, Broken, Figures, Witness
from simulator.workload import TRIES_MAX, Callers, Change, Order, Wish, Wishes

EPISODES_MAX = 40
START_S_MIN, START_S_MAX = 1_000_000_000, 9_900_000_000
"""From 2001, when milliseconds have twelve digits, to 2283; what is due goes on to 9999."""
INTERVAL_S = 600
REACH_S = 900
CLOSING_S = 60
YEAR_S = 31_557_600


@dataclass
class Result:
    """What came of one seed."""

    seed: int
    breach: Breach | None
    story: list[str]
    figures: Figures
    faults: Counter[str]
    fingerprint: str
    kinds: list[str] = field(default_factory=list)


class Simulation:
    def __init__(self, seed: int, folder: Path | None = None) -> None:
        self.seed = seed
        self.chronicle = Chronicle()
        self._draw = random.Random(f"punctual {seed}")
        start_s = self._draw.choice((1_700_000_000, self._draw.randrange(START_S_MIN, START_S_MAX)))
        self.witness = Witness(self.chronicle)
        self.cloud = Cloud(start_s, self._fork(), watcher=self.witness, folder=folder, write=self.witness.heard)
        self.storm = Storm(self.cloud.timeline, self._fork())
        self.storm.tell = self._tell
        self.witness.attach(self.cloud.timeline, self.storm)
        self.cloud.network.weather = self.storm
        self.cloud.functions.chance = self.storm
        self.cloud.sqs.refused = self._refused_by_sqs
        self.interval_s = INTERVAL_S
        self.parameters: dict[str, Any] = {}
        self._targets: dict[str, str] = {}
        self._draining = False
        self._asked_us: list[int] = []
        self._batches: list[tuple[int, list[Wish]]] = []
        self._start_us = self.cloud.timeline.now_us

    # --------------------------------------------------------------------------------------------------------- plan

    def plan(self) -> None:
        """Draw the stack, the weather and the work."""
        draw = self._draw
        self.storm.skewed = draw.random() < 0.6
        if draw.random() < 0.85:
            self.storm.rates = weather.rates(self._fork())
        self.interval_s = 60 * draw.choice((10, 10, 10, 10, 10, 5))
        parameters = {
            "PartitionCount": draw.choice((1, 2, 3, 4, 4, 8)),
            "FeedIntervalMinutes": self.interval_s // 60,
            "ConsumerEnabled": draw.random() < 0.2,
        }
        self._prepare(parameters)
        if parameters["ConsumerEnabled"]:
            self.witness.consumed_from = self.cloud.output("OutputQueueUrl")
            self.cloud.sqs.unruly, self.cloud.sqs.twice = self._fork(), draw.choice((0.0, 0.05))
        kind = draw.random()
        if kind < 0.07:
            self._plan_backlog()
        elif kind < 0.12:
            self._plan_hiccup()
        elif kind < 0.17:
            self._plan_large_bundles()
        else:
            self._plan_days(changing=draw.random() < 0.3)
            self._plan_names()
            self._plan_targets()
            self._plan_crowds()
            self._plan_withdrawals()

    def _prepare(self, parameters: Mapping[str, Any]) -> None:
        """The stack, a queue that is not of it, and callers."""
        target = self.cloud.add_queue("other")
        self._targets[target] = next(queue.url for queue in self.cloud.sqs.queues.values() if queue.arn == target)
        own = random.Random(f"punctual others {self.seed}")
        self.others = Others(self.cloud, own, lambda: self._draining)
        allowed = self.others.parameters()
        self.deploy({**parameters, **allowed, "TargetArns": f"{target},{allowed['TargetArns']}"})
        self.wishes = Wishes(self._fork(), self.cloud.output("OutputQueueUrl"), self._targets)
        witness = self.witness
        witness.wishes = witness.names.wishes = self.wishes.by_tag
        witness.deliveries.wishes, witness.deliveries.others = self.wishes.by_tag, self.others
        witness.deliveries.interval_s = self.interval_s
        witness.names.closed, witness.names.interval_s = witness.closed, self.interval_s
        witness.delivery_queue = self.cloud.output("DeliveryQueueUrl")
        witness.input_queue = self.cloud.output("InputQueueUrl")
        self.callers = Callers(
            self.cloud, self.chronicle, self._fork(), witness.breach, witness.refused_by_sqs, witness.names
        )

    def _plan_days(self, changing: bool) -> None:
        """Callers who come and go for an hour or two, for soon and for much later."""
        draw = self._draw
        span_s = draw.choice((300, 3600, 7200))
        epochs_s = [0, *(round(10 ** draw.uniform(3, 9.7)) for _ in range(draw.randint(0, 2)))]
        for _ in range(draw.randint(3, 10)):
            self._plan_order(self._start_us + round(draw.uniform(0, span_s) * US), epochs_s)
        if changing:
            for _ in range(draw.randint(1, 3)):
                at_us = self._start_us + round(draw.uniform(0, span_s) * US)
                count = draw.choice((1, 1, 2, 4, 6))
                self.cloud.timeline.at(at_us, lambda count=count: self.deploy({"PartitionCount": count}))  # type: ignore[misc]
        if draw.random() < 0.25:
            tick_us = self._start_us + self.interval_s * US * draw.randint(1, 6)
            begin_us = draw.choice((tick_us - 5 * US, self._start_us + round(draw.uniform(0, span_s) * US)))
            service = draw.choice(("dynamodb", "sqs", "lambda"))
            self.storm.outages.append(Outage(service, begin_us, begin_us + draw.choice((50, 50, 900, 3600)) * US))
        if draw.random() < 0.15:
            self._plan_closed_target(span_s)
        if draw.random() < 0.1:
            self.storm.pace_s = draw.choice((0.1, 0.5))

    def _plan_order(self, at_us: int, epochs_s: list[int]) -> None:
        draw = self._draw
        size = draw.choice((1, 1, 1, 2, 5, 12, 30, 80))
        batch = size > 1 or draw.random() < 0.1
        token = f"token {len(self.wishes.by_tag)}" if draw.random() < 0.4 else None
        burst_us = self._due_us(at_us, epochs_s) if draw.random() < 0.5 else None
        spread_ms = draw.choice((0, 0, 1, 20_000, 90_000))  # Within one bundle, or a little more.
        made: list[Wish] = []
        for _ in range(size):
            due_us = self._due_us(at_us, epochs_s)
            if burst_us is not None:
                due_us = burst_us + draw.randint(0, spread_ms) * 1000
            fixed = batch and token is not None
            wish = self.wishes.make(at_us, due_us // 1000, None if batch else token, size > 20, fixed)
            if draw.random() < 0.08:
                self.wishes.spoil(wish)
            elif draw.random() < 0.02:
                self.witness.refused_by_sqs.add(wish.tag)
            made.append(wish)
        tries = draw.randint(2, TRIES_MAX) if token or draw.random() < 0.3 else 1
        self._asked_us.append(at_us)
        self._batches += [(at_us, made)] if batch else []
        self.callers.begin(Order(at_us, made, batch, token, tries))

    def _plan_withdrawals(self) -> None:
        """Several callers at once cancel members of one batch by their ids, far enough ahead; drawn by itself."""
        draw = random.Random(f"punctual withdrawals {self.seed}")
        if "ManageFunction" not in self.cloud.template.outputs:
            return
        for at_us, wishes in self._batches:
            begin_us = at_us + round(draw.uniform(30, 200) * US)
            far = [each for each in wishes if (each.due_ms or 0) * 1000 > begin_us + 1000 * US]
            for wish in draw.sample(far, min(len(far), draw.choice((0, 2, 3, 5)))):
                self.callers.withdraw(begin_us + draw.randrange(20_000), wish)

    # -------------------------------------------------------------------------------------------------------- names

    def _plan_names(self) -> None:
        """Several callers at the same few names. All of it is drawn by itself, so that it changes nothing else."""
        draw = random.Random(f"punctual names {self.seed}")
        if draw.random() < 0.3:
            return
        if self.storm.rates and draw.random() < 0.3:
            self.cloud.sqs.unruly, self.cloud.sqs.twice = random.Random(f"punctual sqs {self.seed}"), 0.03
            self.storm.counted["received twice"] += 1
        if self.storm.rates and draw.random() < 0.2:
            self.storm.broken_off = 0.15
        names = [f"name/{number}" for number in range(draw.randint(1, 3))]
        for _ in range(draw.randint(1, 3)):
            self._plan_scene(draw, names, self._start_us + round(draw.uniform(0, 3600) * US))
        for outage in self.storm.outages:
            self._plan_scene(draw, names, outage.begin_us + round(draw.uniform(-5, 40) * US))

    def _plan_scene(self, draw: random.Random, names: list[str], begin_us: int) -> None:
        """All around one moment: soon, at the edge of the reach, beyond it, or far away."""
        ahead_s = draw.choice(
            (0.0, 1.0, 3.0, 30.0, 899.5, 901.0, 1500.0, draw.uniform(900, 7200), 10 ** draw.uniform(4, 9))
        )
        focus_us = begin_us + round(ahead_s * US)
        for _ in range(draw.randint(2, 7)):
            at_us = begin_us + round(draw.choice((0.0, draw.uniform(0, 5), draw.uniform(0, 600))) * US)
            if ahead_s < 7200 and draw.random() < 0.4:
                at_us = max(begin_us, focus_us + round(draw.uniform(-2.5, 0.5) * US))
            if draw.random() < 0.3 and "ManageFunction" in self.cloud.template.outputs:
                self._plan_change(draw, names, at_us, focus_us)
            else:
                self._plan_named(draw, names, at_us, focus_us)

    def _plan_named(self, draw: random.Random, names: list[str], at_us: int, focus_us: int) -> None:
        size = draw.choice((1, 1, 1, 2, 4))
        batch = size > 1 or draw.random() < 0.1
        token = f"token {len(self.wishes.by_tag)}" if draw.random() < 0.3 else None
        made = []
        if draw.random() < 0.7:
            names = [draw.choice(names)]  # The members of a batch come upon each other.
        for _ in range(size):
            due_us = focus_us + round(draw.choice((0.0, 0.0, -5.0, -1.0, 1.0, 10.0, 60.0, 910.0)) * US)
            if_exists = draw.choice(("replace", "replace", "replace", "replace", "keep", "fail"))
            own_token = None if batch else token
            fixed = batch and token is not None
            wish = self.wishes.make_named(at_us, due_us // 1000, draw.choice(names), if_exists, own_token, fixed)
            if draw.random() < 0.05:
                self.wishes.spoil(wish)
            elif draw.random() < 0.04:
                self.witness.refused_by_sqs.add(wish.tag)
            made.append(wish)
        tries = draw.randint(2, TRIES_MAX) if token or draw.random() < 0.2 else 1
        self._asked_us.append(at_us)
        by_letter = token is None and draw.random() < 0.25
        (self.callers.post if by_letter else self.callers.begin)(Order(at_us, made, batch, token, tries))

    # ------------------------------------------------------------------------------------------------------ targets

    def _plan_targets(self) -> None:
        """Schedules for what is no queue, near and far, alone and in batches, with names and without; by itself."""
        draw = random.Random(f"punctual targets {self.seed}")
        if draw.random() < 0.4:
            return
        for _ in range(draw.randint(1, 4)):
            at_us = self._start_us + round(draw.uniform(0, 3600) * US)
            ahead_s = draw.choice((0.0, 2.0, 30.0, 899.5, 901.0, draw.uniform(900, 7200), 10 ** draw.uniform(4, 9)))
            self._plan_deliveries(draw, at_us, at_us + round(ahead_s * US))
        for outage in self.storm.outages:
            self._plan_deliveries(draw, outage.begin_us - 20 * US, outage.begin_us + round(draw.uniform(-5, 40) * US))

    def _plan_deliveries(self, draw: random.Random, at_us: int, focus_us: int) -> None:
        """Some of one caller, all about one moment."""
        size, named = draw.choice((1, 1, 3, 8, 25)), draw.random() < 0.45
        made = []
        for number in range(size):
            due_ms = (focus_us + round(draw.choice((0.0, 0.0, 0.5, 5.0, 50.0)) * US)) // 1000
            if named:
                name = f"delivery/{len(self.wishes.by_tag)}/{number}"
                wish = self.wishes.make_named(at_us, due_ms, name, "replace", None, True)
            else:
                wish = self.wishes.make(at_us, due_ms, plain=draw.random() < 0.5, fixed=True)
            expires_s = draw.choice((20, 60, 600)) if focus_us > at_us + 60 * US and draw.random() < 0.3 else None
            made.append(self.wishes.direct(wish, *others.request(draw, self.others, named), expires_s))
        self._asked_us.append(at_us)
        self.callers.begin(Order(at_us, made, size > 1, None, 1))

    def _plan_crowds(self) -> None:
        """Many for a host that hangs, and for one that does not, about one moment, where nothing else goes wrong; by
        itself."""
        draw = random.Random(f"punctual crowds {self.seed}")
        if self.storm.rates or draw.random() < 0.2:
            return
        self.cloud.sqs.twice = 0.0
        for _ in range(draw.randint(1, 2)):
            at_us = self._start_us + round(draw.uniform(0, 3600) * US)
            begin_us, span_s = at_us + round(draw.choice((2.0, 20.0, 400.0)) * US), draw.choice((0.0, 0.0, 2.0, 40.0))
            hosts = [HANGS] * draw.randint(1, 60) + [FINE] * draw.randint(1, 60)
            if draw.random() < 0.5:
                draw.shuffle(hosts)
            made = []
            for host in hosts:
                due_ms = (begin_us + round(draw.uniform(0, span_s) * US)) // 1000
                wish = self.wishes.make(at_us, due_ms, plain=True, fixed=True)
                made.append(self.wishes.direct(wish, {"url": f"https://{host}/hook"}, {}, None))
            self._asked_us.append(at_us)
            self.callers.begin(Order(at_us, made, True, None, 1))

    def _plan_change(self, draw: random.Random, names: list[str], at_us: int, focus_us: int) -> None:
        operation = draw.choice(("cancel", "cancel", "move", "fire"))
        due_us = focus_us + round(draw.choice((-5.0, 0.0, 5.0, 60.0, 910.0)) * US)
        more = {"timestamp": due_us / US} if operation == "move" else {}
        self._asked_us.append(at_us)
        self.callers.change(Change(at_us, draw.choice(names), operation, more))

    def _due_us(self, at_us: int, epochs_s: list[int]) -> int:
        """Soon, around the reach, within hours, or around one of the far epochs."""
        draw = self._draw
        kind = draw.randrange(6)
        if kind == 0:
            ahead_s = draw.choice((-86_400.0, -1.0, 0.0, 1.0, draw.uniform(0, 60)))
        elif kind == 1:
            ahead_s = 900 + draw.choice((-1.0, -0.001, 0.0, 0.001, 1.0, draw.uniform(-5, 5)))
        elif kind == 2:
            ahead_s = draw.uniform(900, 7200)
        elif kind == 3:
            ahead_s = float(draw.randrange(900, 3600, 60))
        else:
            ahead_s = draw.choice(epochs_s) + draw.uniform(0, 1800)
        return at_us + round(ahead_s * 1000) * 1000

    def _plan_closed_target(self, span_s: int) -> None:
        """Somebody's queue is gone for some hours. It holds up nobody else."""
        error = self._draw.choice(
            (
                refusal("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."),
                refusal("AccessDenied", "Access to the resource is denied.", 403),
            )
        )
        begin_us = self._start_us + round(self._draw.uniform(0, span_s) * US)
        self.cloud.timeline.at(begin_us, lambda: self._close_targets(error))

    def _plan_backlog(self) -> None:
        """An outage, then a slow day: what is overdue is more than can be sent at once, and more is on its way."""
        draw = self._draw
        self.storm.rates, self.storm.pace_s = {}, 1.9
        self.interval_s = INTERVAL_S
        self.deploy({"PartitionCount": 1, "FeedIntervalMinutes": INTERVAL_S // 60})
        begin_us = self._start_us + 650 * US
        tick_us = self._start_us + (1 + draw.randint(4, 6)) * INTERVAL_S * US
        self.storm.outages.append(Outage(draw.choice(("sqs", "dynamodb", "lambda")), begin_us, tick_us - 20 * US))
        overdue_us = self._start_us + 2000 * US
        backlog = [
            self.wishes.make(self._start_us, overdue_us // 1000, f"backlog {number}", plain=True)  # So not in bundles.
            for number in range(draw.randint(850, 1100))
        ]
        upcoming = [
            self.wishes.make(
                self._start_us, tick_us // 1000 + draw.randrange(18_000, 24_000), f"upcoming {number}", plain=True
            )
            for number in range(20)
        ]
        self.callers.begin(Order(self._start_us, backlog, True, "backlog", TRIES_MAX))
        self.callers.begin(Order(self._start_us + US, upcoming, True, "upcoming", TRIES_MAX))

    def _plan_large_bundles(self) -> None:
        """Bundles of hundreds on a slow day, so that feeds run out of time within one; and no lease can be written
        while invocations are doubled, so that two feeds are at the same bundle."""
        draw = self._draw
        self.storm.rates, self.storm.pace_s = {"doubled": 0.8}, 1.9
        self.storm.leases_throttled = draw.random() < 0.8
        self.interval_s = INTERVAL_S
        self.deploy({"PartitionCount": 1, "FeedIntervalMinutes": INTERVAL_S // 60})
        tick_us = self._start_us + 2 * INTERVAL_S * US
        for number in range(2):
            due_ms = tick_us // 1000 + draw.randrange(300_000, 800_000)
            wishes = [
                self.wishes.make(self._start_us, due_ms + draw.randrange(0, 50_000), plain=True, fixed=True)
                for _ in range(draw.randint(100, 250))
            ]
            self.callers.begin(Order(self._start_us + number * US, wishes, True, None, 1))

    def _plan_hiccup(self) -> None:
        """A service is gone for less than a minute, just as a tick comes. Lambda's second attempt makes up for it."""
        draw = self._draw
        self.storm.rates, self.interval_s = {}, INTERVAL_S
        self.deploy({"FeedIntervalMinutes": INTERVAL_S // 60})
        tick_us = self._start_us + draw.randint(2, 4) * INTERVAL_S * US
        begin_us = tick_us - draw.randint(1, 9) * US
        self.storm.outages.append(Outage(draw.choice(("sqs", "dynamodb", "lambda")), begin_us, begin_us + 50 * US))
        wishes = [
            self.wishes.make(self._start_us, tick_us // 1000 + draw.randrange(250_000, 890_000), plain=True, fixed=True)
            for _ in range(20)
        ]
        self.callers.begin(Order(self._start_us, wishes, True, "hiccup", TRIES_MAX))

    def deploy(self, parameters: Mapping[str, Any]) -> None:
        self.witness.partitions_changed |= bool(self.parameters)
        self.parameters |= parameters
        self._tell("stack", f"deployed with {parameters}")
        self.cloud.deploy(self.parameters)
        for rule in self.cloud.functions.rules.values():
            rule.ticks = self.storm.ticks

    def _close_targets(self, error: ClientError | None) -> None:
        for url in self._targets.values():
            queue = self.cloud.sqs.queues[url]
            if error is not None and self._draining:
                return
            if queue.closed is not error:
                self._tell("weather", "the other queue is closed" if error else "the other queue is open again")
                self.witness.closed.append((self.cloud.timeline.now_us, url))
            queue.closed = error

    def _refused_by_sqs(self, body: str) -> bool:
        return any(tag in body[:24] for tag in self.witness.refused_by_sqs)

    # --------------------------------------------------------------------------------------------------------- drive

    def run(self) -> Result:
        breach = None
        try:
            self.plan()
            self._drive()
            self.witness.check_all()
            self.cloud.timeline.run(lambda: False)
            self._raise_breach()
        except Broken as broken:
            breach = broken.breach
        figures = self.witness.figures
        figures.virtual_s = (self.cloud.timeline.now_us - self._start_us) / US
        story = self.chronicle.story(breach.tag) if breach is not None else []
        fingerprint = self.chronicle.fingerprint()
        return Result(self.seed, breach, story, figures, self.storm.counted, fingerprint, sorted(self.storm.rates))

    def _drive(self) -> None:
        timeline = self.cloud.timeline
        for _ in range(EPISODES_MAX):
            self.storm.rage()
            self._draining = False
            timeline.run_until(timeline.now_us + round(self._draw.choice((900, 1800, 3600, 7200)) * US))
            self._calm_down()
            ahead = [at_us // 1000 for at_us in self._asked_us if at_us > timeline.now_us]
            upcoming = min([*self.witness.pending_ms(), *ahead], default=None)
            if upcoming is None:
                timeline.run_until(
                    timeline.now_us + (REACH_S + 2 * CLOSING_S) * US
                )  # What was sent last becomes visible.
                return
            self._jump(upcoming)
        self.witness.breach(4, "", f"not settled within {EPISODES_MAX} episodes")
        self._raise_breach()

    def _calm_down(self) -> None:
        """The faults stop, and whoever still waits for an answer gets it; then the system has two feed intervals."""
        timeline = self.cloud.timeline
        self.storm.rest()
        self._draining = True
        self._close_targets(None)
        over_us = max([timeline.now_us, *(outage.end_us for outage in self.storm.outages)])
        self._tell("weather", "calm")
        timeline.run_until(over_us + (2 * self.interval_s + CLOSING_S) * US)
        until_ms = over_us // 1000
        tables = self.cloud.dynamodb.tables.values()
        items = [item for table in tables for rows in table.items.values() for item in rows.values()]
        self.witness.check_drained(until_ms, items)
        self._raise_breach()

    def _jump(self, due_ms: int) -> None:
        """To where it comes within reach, and a little before."""
        timeline = self.cloud.timeline
        begin_us = due_ms * 1000 - (REACH_S + 2 * self.interval_s + round(self._draw.uniform(0, self.interval_s))) * US
        begin_us = min([begin_us, *(at_us for at_us in self._asked_us if at_us > timeline.now_us)])
        if begin_us > timeline.now_us + self.interval_s * US:
            self.cloud.functions.skip_ticks(begin_us)
            timeline.run_until(begin_us)

    def _raise_breach(self) -> None:
        self.cloud.timeline.run_until(self.cloud.timeline.now_us)

    def _fork(self) -> random.Random:
        """A chance of its own for each part, so that a draw more in one changes nothing in the others."""
        return random.Random(f"{self._draw.getrandbits(64)}")

    def _tell(self, who: str, what: str) -> None:
        self.chronicle.add(self.cloud.timeline.now_us, who, what)


def simulate(seed: int, folder: Path | None = None) -> Result:
    return Simulation(seed, folder).run()
