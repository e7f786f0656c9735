"""A small workload that crashes at each call of a function in turn, before and after the effect of the call.

The workload covers every way through the system: overdue, near and far, single and batch, with and without a token. It
also covers a name that is replaced and kept, and the input queue. The first run counts the calls. Each further run
crashes one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from punctual.testing.calls import Call, CallFault
from punctual.testing.services.environments import Environment
from punctual.testing.timeline import US
from simulator.checks.releases import BrokenPromise, Violation
from simulator.simulation import Simulation
from simulator.workload.callers import CALL, QUEUE, TOPIC, Submission
from simulator.workload.scenarios import INTERVAL_S

SEED = 7
POINTS_MAX = 2000
SPAN_S = 3 * INTERVAL_S


@dataclass
class Point:
    """One run: the call that crashed, and the result."""

    name: str
    violation: Violation | None
    trace: list[str]


@dataclass
class One:
    """A source of faults that crashes one call of a function and does nothing else."""

    number: int
    moment: str
    seen: list[str] = field(default_factory=list)

    def call_fault(self, call: Call) -> CallFault:
        fault = CallFault()
        if isinstance(call.process, Environment):
            self.seen.append(f"{call.process.function.name} at {call.operation}")
            if len(self.seen) - 1 == self.number:
                fault.crash = self.moment
        return fault


class Small(Simulation):
    """The small workload with its own source of faults."""

    def __init__(self, plan: One) -> None:
        super().__init__(SEED)
        self._plan = plan

    def plan(self) -> None:
        self._prepare({"PartitionCount": 2})
        self.faults.rates, self.faults.skewed = {}, False
        self.cloud.network.faults = self._plan
        start_us, make = self.start_us, self.expected_schedules.make
        near = [make(start_us, start_us // 1000 + 1000 * ahead_s, plain=True, fixed=True) for ahead_s in (-5, 30, 890)]
        far = [
            make(start_us, start_us // 1000 + 1000 * ahead_s, plain=True, fixed=True) for ahead_s in (905, 1300, 1500)
        ]
        token = make(start_us, start_us // 1000 + 1_100_000, token="token", plain=True)
        self.callers.begin(Submission(start_us, near + far, True, "batch", 3))
        self.callers.begin(Submission(start_us + US, [token], False, "token", 3))
        alone = make(start_us, start_us // 1000 + 1_200_000, plain=True, fixed=True)
        self.callers.begin(Submission(start_us + 2 * US, [alone], False, None, 1))
        self._plan_one_name(start_us)

    def _plan_one_name(self, start_us: int) -> None:
        """Plan named schedules: near, replaced by a far one, twice within a batch, kept, and by the input queue."""
        asked = ((3, 30, "replace"), (4, 1000, "replace"), (5, 1200, "keep"), (20, 1100, "replace"))
        for at_s, ahead_s, if_exists in asked:
            at_us = start_us + at_s * US
            due_ms = start_us // 1000 + ahead_s * 1000
            expected = self.expected_schedules.make_named(at_us, due_ms, "name/1", if_exists, f"token {at_s}", True)
            self.callers.begin(Submission(at_us, [expected], False, None, 3))
        for at_s, way in ((40, CALL), (60, QUEUE), (80, TOPIC)):
            at_us = start_us + at_s * US
            expected_schedules = [
                self.expected_schedules.make_named(at_us, at_us // 1000 + ahead_ms, "name/2", "replace", None, True)
                for ahead_ms in (920_000, 5_000)
            ]
            self.callers.begin(Submission(at_us, expected_schedules, True, None, 1, way))

    def _drive(self) -> None:
        self.cloud.timeline.run_until(self.start_us + SPAN_S * US)
        self._drain()


def exhaust() -> list[Point]:
    """Run every crash point, in the order of the calls."""
    fair = One(-1, "")
    nothing = _point(fair, "nothing crashed")
    return [nothing] + [
        _point(One(number, moment), f"call {number}, {name}, crashed {moment} its effect")
        for number, name in enumerate(fair.seen[:POINTS_MAX])
        for moment in ("before", "after")
    ]


def _point(plan: One, name: str) -> Point:
    simulation = Small(plan)
    result = simulation.run()
    if plan.number >= 0 and len(plan.seen) <= plan.number:
        raise BrokenPromise(Violation(0, "", f"{name}: it was never reached"))
    return Point(name, result.violation, result.trace)
