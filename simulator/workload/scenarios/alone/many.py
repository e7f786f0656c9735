"""One batch of many names, on a slow day without faults or with faults. The batch needs more than one slice.

On the slow day one call has no time for all names. The scenario checks that a caller succeeds with repeats of the batch
under its token.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from punctual.testing.timeline import US
from simulator.workload.callers import Submission

if TYPE_CHECKING:
    from simulator.simulation import Simulation

CHANCE = 0.03
"""A run with this many names takes as long as ten others."""
NAMES_ON_SLOW_DAY, NAMES_WITH_FAULTS = 240, 210
PACE_S = 2.4
"""Sixteen parallel writes of records take this long, so 160 of them need 24 s."""
SLOW_S = 600
"""Long enough for all tries, and over before the first name is due. The deliver function treats a queue as silent if
one message takes more than two seconds. Deliveries on the slow day would therefore be late on purpose.
"""
TRIES = 8


def plan(run: Simulation) -> bool:
    """Return whether this seed tests many names and nothing else."""
    draw = random.Random(f"punctual many {run.seed}")
    if draw.random() >= CHANCE:
        return False
    slow = draw.random() < 0.5
    if slow:
        run.faults.rates, run.faults.pace_s = {}, PACE_S
        run.cloud.timeline.at(run.start_us + SLOW_S * US, lambda: _quicken(run))
    elif run.faults.rates and draw.random() < 0.5:
        run.faults.broken_off = 0.2
    at_us = run.start_us + 5 * US
    ahead_s, apart_s = draw.choice((1_800, 86_400)), draw.choice((1, 7))
    if not slow and draw.random() < 0.5:
        ahead_s = 300
    made = []
    for number in range(NAMES_ON_SLOW_DAY if slow else NAMES_WITH_FAULTS):
        due_ms = at_us // 1000 + (ahead_s + number * apart_s) * 1000
        made.append(run.expected_schedules.make_named(at_us, due_ms, f"many/{number}", "replace", None, True))
    run.requested_us.append(at_us)
    run.callers.begin(Submission(at_us, made, True, f"many {run.seed}", TRIES, must=slow))
    return True


def _quicken(run: Simulation) -> None:
    """End the slow day."""
    run.faults.pace_s = 0.0
