"""Several callers use the same few names, all around one time.

Like every scenario except the first, this one has its own random source. A draw in one scenario therefore changes
nothing in the others.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from punctual.testing.timeline import US
from simulator.workload.callers import CALL, QUEUE, TOPIC, TRIES_MAX, Change, Submission

if TYPE_CHECKING:
    from simulator.simulation import Simulation


def plan(run: Simulation) -> None:
    """Plan several callers with the same few names from its own random source."""
    draw = random.Random(f"punctual names {run.seed}")
    if draw.random() < 0.3:
        return
    if run.faults.rates and draw.random() < 0.3:
        run.cloud.sqs.unruly, run.cloud.sqs.twice = random.Random(f"punctual sqs {run.seed}"), 0.03
        run.faults.counted["received twice"] += 1
    if run.faults.rates and draw.random() < 0.3:
        run.faults.broken_off = 0.2
    names = [f"name/{number}" for number in range(draw.randint(1, 3))]
    for _ in range(draw.randint(1, 3)):
        _plan_requests(run, draw, names, run.start_us + round(draw.uniform(0, 3600) * US))
    if draw.random() < 0.5:
        _sweep(run, draw)
    for outage in run.faults.outages:
        _plan_requests(run, draw, names, outage.begin_us + round(draw.uniform(-5, 40) * US))


def _plan_requests(run: Simulation, draw: random.Random, names: list[str], begin_us: int) -> None:
    """Plan requests around one time: soon, at the edge of the reach, beyond it, or far away."""
    ahead_s = draw.choice(
        (0.0, 1.0, 3.0, 30.0, 899.5, 901.0, 1500.0, draw.uniform(900, 7200), 10 ** draw.uniform(4, 9))
    )
    focus_us = begin_us + round(ahead_s * US)
    for _ in range(draw.randint(2, 7)):
        at_us = begin_us + round(draw.choice((0.0, draw.uniform(0, 5), draw.uniform(0, 600))) * US)
        if ahead_s < 7200 and draw.random() < 0.4:
            at_us = max(begin_us, focus_us + round(draw.uniform(-2.5, 0.5) * US))
        if draw.random() < 0.3:
            _change(run, draw, names, at_us, focus_us)
        else:
            _submit(run, draw, names, at_us, focus_us)


def _submit(run: Simulation, draw: random.Random, names: list[str], at_us: int, focus_us: int) -> None:
    size = draw.choice((1, 1, 2, 2, 4))
    batch = size > 1 or draw.random() < 0.1
    token = f"token {len(run.expected_schedules.by_tag)}" if draw.random() < 0.3 else None
    made = []
    if draw.random() < 0.7:
        # The members of a batch then have the same name.
        names = [draw.choice(names)]
    for _ in range(size):
        due_us = focus_us + round(draw.choice((0.0, 0.0, -5.0, -1.0, 1.0, 10.0, 60.0, 910.0)) * US)
        if_exists = draw.choice(("replace", "replace", "replace", "replace", "keep", "fail"))
        own_token = None if batch else token
        fixed = batch and token is not None
        expected = run.expected_schedules.make_named(
            at_us, due_us // 1000, draw.choice(names), if_exists, own_token, fixed
        )
        if draw.random() < 0.05:
            run.expected_schedules.spoil(expected)
        elif draw.random() < 0.04:
            run.checker.refused_by_sqs.add(expected.tag)
        made.append(expected)
    tries = draw.randint(2, TRIES_MAX) if token or draw.random() < 0.2 else 1
    run.requested_us.append(at_us)
    way = draw.choice((QUEUE, TOPIC)) if draw.random() < 0.25 else CALL
    run.callers.begin(Submission(at_us, made, batch, token, tries, way))


def _sweep(run: Simulation, draw: random.Random) -> None:
    """Cancel all names with a prefix, or only those that are due within some hours."""
    at_us = run.start_us + round(draw.uniform(0, 7200) * US)
    more: dict[str, Any] = {"prefix": draw.choice(("name/", "name/", "name/0", "delivery/", "")), "dry_run": False}
    if draw.random() < 0.3:
        more |= {"from": at_us // US, "to": at_us // US + draw.choice((1000, 7200))}
    run.requested_us.append(at_us)
    run.callers.change(Change(at_us, "cancel_where", more=more))


def _change(run: Simulation, draw: random.Random, names: list[str], at_us: int, focus_us: int) -> None:
    operation = draw.choice(("cancel", "cancel", "move", "fire"))
    due_us = focus_us + round(draw.choice((-5.0, 0.0, 5.0, 60.0, 910.0)) * US)
    more = {"timestamp": due_us / US} if operation == "move" else {}
    run.requested_us.append(at_us)
    run.callers.change(Change(at_us, operation, draw.choice(names), more=more))
