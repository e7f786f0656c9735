"""Named schedules whose delivery fails because their host is out of order. Callers redrive them when it works again.

A caller without an answer, or with the answer `NotConfirmed`, calls again. One failure must not be delivered under two
ids.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from punctual.testing.timeline import US
from simulator.faults.external_targets import MENDED
from simulator.workload.callers import Change, Submission

if TYPE_CHECKING:
    from simulator.simulation import Simulation

CHANCE = 0.25
NAMES_MAX = 6


def plan(run: Simulation) -> None:
    """Plan the schedules, the time when the host works again, and the redrives, from its own random source."""
    draw = random.Random(f"punctual redrives {run.seed}")
    if draw.random() >= CHANCE:
        return
    if run.faults.rates:
        run.faults.redrives_broken_off = draw.choice((0.0, 0.2, 0.5))
    at_us = run.start_us + round(draw.uniform(0, 600) * US)
    mended_us = at_us + 120 * US
    run.cloud.timeline.at(mended_us, run.external_targets.mend)
    for number in range(draw.randint(2, NAMES_MAX)):
        name = f"redrive/{number}"
        run.checker.names.only_redriven.add(name)
        due_ms = at_us // 1000 + round(draw.uniform(0, 60) * 1000)
        expected = run.expected_schedules.make_named(at_us, due_ms, name, "replace", None, True)
        run.expected_schedules.direct(expected, {"url": f"https://{MENDED}/hook"}, {"retry": {"attempts": 3}}, None)
        run.callers.begin(Submission(at_us, [expected], False, None, 1))
        for _ in range(draw.randint(1, 2)):
            begin_us = mended_us + round(draw.choice((0.0, draw.uniform(0, 1), draw.uniform(0, 600))) * US)
            run.requested_us.append(begin_us)
            run.callers.change(Change(begin_us, "redrive", expected=expected))
