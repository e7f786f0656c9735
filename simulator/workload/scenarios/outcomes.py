"""Deliveries that fail while the table or a failure target is out of order, and deliveries that are long overdue."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from punctual.testing.timeline import US
from simulator.faults.external_targets import DEAD, GONE, SHAKY
from simulator.workload.callers import Submission

if TYPE_CHECKING:
    from simulator.simulation import Simulation

OVERDUE_S = (3_600, 2 * 86_400, 30 * 86_400)


def plan(run: Simulation) -> None:
    draw = random.Random(f"punctual outcomes {run.seed}")
    if draw.random() < 0.6:
        return
    for _ in range(draw.randint(1, 2)):
        at_us = run.start_us + round(draw.uniform(0, 3600) * US)
        _submit(run, draw, at_us, -draw.choice(OVERDUE_S))
    for outage in run.faults.outages:
        _submit(run, draw, outage.begin_us - 20 * US, 20 + draw.uniform(-5, 40))


def _submit(run: Simulation, draw: random.Random, at_us: int, ahead_s: float) -> None:
    """Order schedules for hosts that answer with permanent or temporary errors, with a failure target."""
    made = []
    for number in range(draw.choice((1, 3, 8))):
        due_ms = at_us // 1000 + round(ahead_s * 1000)
        if draw.random() < 0.4:
            name = f"outcome/{len(run.expected_schedules.by_tag)}/{number}"
            expected = run.expected_schedules.make_named(at_us, due_ms, name, "replace", None, True)
        else:
            expected = run.expected_schedules.make(at_us, due_ms, plain=True, fixed=True)
        terms: dict[str, Any] = {"retry": {"attempts": draw.choice((1, 3, 5))}}
        if draw.random() < 0.7:
            terms["failure_target"] = draw.choice(sorted(run.external_targets.failure_targets.values()))
        made.append(
            run.expected_schedules.direct(
                expected, {"url": f"https://{draw.choice((GONE, DEAD, SHAKY))}/hook"}, terms, None
            )
        )
    run.requested_us.append(at_us)
    run.callers.begin(Submission(at_us, made, len(made) > 1, None, 1))
