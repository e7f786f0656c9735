"""Several callers at once cancel, move and fire unnamed schedules by their ids, long enough before the due times."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from punctual.testing.timeline import US
from simulator.workload.callers import Change

if TYPE_CHECKING:
    from simulator.simulation import Simulation

OPERATIONS = ("cancel", "cancel", "move", "move", "fire")


def plan(run: Simulation) -> None:
    draw = random.Random(f"punctual changes {run.seed}")
    for at_us, expected_schedules in run.orders:
        begin_us = at_us + round(draw.uniform(30, 200) * US)
        far = [each for each in expected_schedules if (each.due_ms or 0) * 1000 > begin_us + 1000 * US]
        for expected in draw.sample(far, min(len(far), draw.choice((0, 1, 2, 3, 5)))):
            for _ in range(draw.choice((1, 1, 1, 2))):
                operation = draw.choice(OPERATIONS)
                ahead_s = draw.choice((0.0, 5.0, 890.0, 1000.0, draw.uniform(900, 7200), 10 ** draw.uniform(4, 9)))
                more = {"timestamp": (begin_us // 1000 + round(ahead_s * 1000)) / 1000} if operation == "move" else {}
                run.callers.change(Change(begin_us + draw.randrange(20_000), operation, expected=expected, more=more))
