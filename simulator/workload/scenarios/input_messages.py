"""Unnamed schedules by the input queue or the input topic: single and in batches, near and far.

They are for queues and other targets. Valid requests stand beside invalid ones.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from punctual.testing.timeline import US
from simulator.faults import external_targets
from simulator.workload.callers import QUEUE, TOPIC, Submission
from simulator.workload.expected import ExpectedSchedule

if TYPE_CHECKING:
    from simulator.simulation import Simulation


def plan(run: Simulation) -> None:
    draw = random.Random(f"punctual letters {run.seed}")
    if draw.random() < 0.3:
        return
    for _ in range(draw.randint(2, 5)):
        _submit(run, draw, run.start_us + round(draw.uniform(0, 3600) * US))
    for outage in run.faults.outages:
        _submit(run, draw, outage.begin_us + round(draw.uniform(-5, 40) * US))


def _submit(run: Simulation, draw: random.Random, at_us: int) -> None:
    size = draw.choice((1, 1, 2, 6, 15))
    batch = size > 1 or draw.random() < 0.2
    token = f"letter {len(run.expected_schedules.by_tag)}" if draw.random() < 0.3 else None
    ahead_s = draw.choice((0.0, 2.0, 30.0, 899.5, 901.0, draw.uniform(900, 7200), 10 ** draw.uniform(4, 9)))
    made = [_expected(run, draw, at_us, ahead_s, None if batch else token, token is not None) for _ in range(size)]
    run.requested_us.append(at_us)
    run.callers.begin(Submission(at_us, made, batch, token, 1, draw.choice((QUEUE, TOPIC))))


def _expected(
    run: Simulation, draw: random.Random, at_us: int, ahead_s: float, token: str | None, fixed: bool
) -> ExpectedSchedule:
    due_ms = at_us // 1000 + round((ahead_s + draw.choice((0.0, 0.0, 0.5, 20.0))) * 1000)
    expected = run.expected_schedules.make(at_us, due_ms, token, draw.random() < 0.5, fixed)
    if "target" not in expected.request and draw.random() < 0.3:
        run.expected_schedules.direct(expected, *external_targets.request(draw, run.external_targets, False), None)
    elif draw.random() < 0.05:
        run.checker.refused_by_sqs.add(expected.tag)
    if draw.random() < 0.15:
        if fixed and draw.random() < 0.5:
            run.expected_schedules.hurry(expected, token or f"own {expected.tag}")
        else:
            run.expected_schedules.spoil(expected, draw)
        if draw.random() < 0.5:
            expected.request["failure_target"] = draw.choice(sorted(run.external_targets.failure_targets.values()))
    return expected
