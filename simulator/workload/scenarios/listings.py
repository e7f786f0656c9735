"""Callers who list upcoming schedules while others change them. Most are near, or come near in the meantime."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from punctual.testing.timeline import US
from simulator.workload.callers import Change

if TYPE_CHECKING:
    from simulator.simulation import Simulation


def plan(run: Simulation) -> None:
    draw = random.Random(f"punctual listings {run.seed}")
    if draw.random() < 0.3:
        return
    for _ in range(draw.randint(1, 3)):
        at_us = run.start_us + round(draw.uniform(0, 4500) * US)
        from_s = at_us // US - draw.choice((0, 0, 30, 600))
        more = {"from": from_s, "to": from_s + draw.choice((700, 1500, 7200)), "limit": draw.choice((5, 100, 1_000))}
        run.requested_us.append(at_us)
        run.callers.change(Change(at_us, "list", more=more))
