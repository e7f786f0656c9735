"""Several callers at once cancel what has no name, by the ids that they were told."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from punctual.testing.timeline import US

if TYPE_CHECKING:
    from simulator.simulation import Simulation


def plan(run: Simulation) -> None:
    """Several callers at once cancel members of one batch by their ids, far enough ahead; drawn by itself."""
    draw = random.Random(f"punctual withdrawals {run.seed}")
    if "ManageFunction" not in run.cloud.template.outputs:
        return
    for at_us, wishes in run.batches:
        begin_us = at_us + round(draw.uniform(30, 200) * US)
        far = [each for each in wishes if (each.due_ms or 0) * 1000 > begin_us + 1000 * US]
        for wish in draw.sample(far, min(len(far), draw.choice((0, 2, 3, 5)))):
            run.callers.withdraw(begin_us + draw.randrange(20_000), wish)
