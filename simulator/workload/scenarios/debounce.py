"""A name that is postponed repeatedly before it is due, like a debounce, a session timeout or a heartbeat."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from punctual.testing.timeline import US
from simulator.workload.callers import Change, Submission

if TYPE_CHECKING:
    from simulator.simulation import Simulation

CHANCE = 0.25
REQUESTS_MAX = 40


def plan(run: Simulation) -> None:
    """Plan the scenario from its own random source, so that it changes nothing in other scenarios."""
    draw = random.Random(f"punctual debounce {run.seed}")
    if draw.random() >= CHANCE:
        return
    if run.faults.rates:
        run.faults.broken_off = draw.choice((0.0, 0.2, 0.5))
    for number in range(draw.randint(1, 2)):
        _put_off(run, draw, f"session/{number}", run.start_us + round(draw.uniform(0, 1200) * US))
    if run.faults.rates:
        run.faults.follows_broken_off = draw.choice((0.0, 0.5))


def _put_off(run: Simulation, draw: random.Random, name: str, at_us: int) -> None:
    """Request the name again, mostly before its delay is over, so that timers find another schedule."""
    delay_s = draw.choice((5, 20, 60, 60, 300))
    for number in range(draw.randint(10, REQUESTS_MAX)):
        due_us = at_us + round(draw.choice((1.0, 1.0, draw.uniform(0.5, 1.5))) * delay_s * US)
        if number and draw.random() < 0.25:
            run.callers.change(Change(at_us, "move", name, more={"timestamp": due_us / US}))
        else:
            if_exists = "keep" if draw.random() < 0.1 else "replace"
            expected = run.expected_schedules.make_named(at_us, due_us // 1000, name, if_exists, None, False)
            run.callers.begin(Submission(at_us, [expected], False, None, 1))
        run.requested_us.append(at_us)
        at_us += round(draw.uniform(0.02, 0.4) * delay_s * US)
