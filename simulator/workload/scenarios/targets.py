"""Schedules for targets that are not queues, and bursts of schedules for hosts that hang.

They are near and far, single and in batches, with and without names.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from punctual.testing.timeline import US
from simulator.faults import external_targets
from simulator.faults.external_targets import FINE, HANGS
from simulator.workload.callers import Submission

if TYPE_CHECKING:
    from simulator.simulation import Simulation

WITHOUT_BURST = 0.5
"""The share of runs without faults that have no burst. A run with a burst takes as long as ten others."""
HUGE = 100
"""More deliveries than all environments together can make to one host at once. Each is tried once."""
ATTEMPTS = 5
"""The attempts of a delivery in a smaller burst. A delivery to a hanging host fails after some minutes, so the run does
not last for days.
"""


def plan(run: Simulation) -> None:
    """Plan schedules for targets that are not queues, from its own random source."""
    draw = random.Random(f"punctual targets {run.seed}")
    if draw.random() < 0.4:
        return
    for _ in range(draw.randint(1, 4)):
        at_us = run.start_us + round(draw.uniform(0, 3600) * US)
        ahead_s = draw.choice((0.0, 2.0, 30.0, 899.5, 901.0, draw.uniform(900, 7200), 10 ** draw.uniform(4, 9)))
        _submit(run, draw, at_us, at_us + round(ahead_s * US))
    for outage in run.faults.outages:
        _submit(run, draw, outage.begin_us - 20 * US, outage.begin_us + round(draw.uniform(-5, 40) * US))


def _submit(run: Simulation, draw: random.Random, at_us: int, focus_us: int) -> None:
    """Order schedules of one caller around one time."""
    size, named = draw.choice((1, 1, 3, 8, 25)), draw.random() < 0.45
    made = []
    for number in range(size):
        due_ms = (focus_us + round(draw.choice((0.0, 0.0, 0.5, 5.0, 50.0)) * US)) // 1000
        if named:
            name = f"delivery/{len(run.expected_schedules.by_tag)}/{number}"
            expected = run.expected_schedules.make_named(at_us, due_ms, name, "replace", None, True)
        else:
            expected = run.expected_schedules.make(at_us, due_ms, plain=draw.random() < 0.5, fixed=True)
        if draw.random() < 0.1:
            made.append(run.expected_schedules.wrap(expected, next(iter(run.targets))))
            continue
        expires_s = draw.choice((20, 60, 600)) if focus_us > at_us + 60 * US and draw.random() < 0.3 else None
        target, terms = external_targets.request(draw, run.external_targets, named)
        made.append(run.expected_schedules.direct(expected, target, terms, expires_s))
    run.requested_us.append(at_us)
    run.callers.begin(Submission(at_us, made, size > 1, None, 1))


def plan_bursts(run: Simulation) -> None:
    """Plan many schedules for a hanging and a healthy host around one time, in a run without other faults.

    The scenario has its own random source.
    """
    draw = random.Random(f"punctual crowds {run.seed}")
    if run.faults.rates or draw.random() < WITHOUT_BURST:
        return
    run.cloud.sqs.twice = 0.0
    for _ in range(draw.randint(1, 2)):
        at_us = run.start_us + round(draw.uniform(0, 3600) * US)
        begin_us, span_s = at_us + round(draw.choice((2.0, 20.0, 400.0)) * US), draw.choice((0.0, 0.0, 2.0, 40.0))
        huge = draw.random() < 0.3
        terms = {"retry": {"attempts": 1 if huge else ATTEMPTS}}
        hosts = [HANGS] * (HUGE if huge else draw.randint(1, 60)) + [FINE] * draw.randint(1, 60)
        if draw.random() < 0.5:
            draw.shuffle(hosts)
        made = []
        for host in hosts:
            due_ms = (begin_us + round(draw.uniform(0, span_s) * US)) // 1000
            expected = run.expected_schedules.make(at_us, due_ms, plain=True, fixed=True)
            made.append(run.expected_schedules.direct(expected, _hook(host), terms, None))
        run.requested_us.append(at_us)
        run.callers.begin(Submission(at_us, made, True, None, 1))
        _replaced(run, draw, at_us, begin_us)


def _replaced(run: Simulation, draw: random.Random, at_us: int, begin_us: int) -> None:
    """Add named schedules to a burst. Each is near and is replaced before it is due, so it has two timers."""
    for _ in range(draw.choice((0, 2, 8))):
        name, host = f"crowd/{len(run.expected_schedules.by_tag)}", draw.choice((HANGS, HANGS, FINE))
        for number in range(2):
            requested_us = at_us + number * US
            due_ms = (begin_us + round(draw.uniform(0, 5) * US)) // 1000
            expected = run.expected_schedules.make_named(requested_us, due_ms, name, "replace", None, True)
            run.expected_schedules.direct(expected, _hook(host), {}, None)
            run.callers.begin(Submission(requested_us, [expected], False, None, 1))


def _hook(host: str) -> dict[str, str]:
    return {"url": f"https://{host}/hook"}
