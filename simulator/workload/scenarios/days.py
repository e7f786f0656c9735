"""Callers with requests for soon and for much later over an hour or two, together with all kinds of faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from punctual.testing.services.aws_errors import refusal
from punctual.testing.timeline import US
from simulator.faults.faults import Outage
from simulator.workload.callers import TRIES_MAX, Submission
from simulator.workload.expected import ExpectedSchedule

if TYPE_CHECKING:
    from simulator.simulation import Simulation


def plan(run: Simulation, changing: bool) -> None:
    """Plan callers with requests for soon and for much later over an hour or two."""
    draw = run.draw
    span_s = draw.choice((300, 3600, 7200))
    epochs_s = [0, *(round(10 ** draw.uniform(3, 9.7)) for _ in range(draw.randint(0, 2)))]
    for _ in range(draw.randint(3, 10)):
        _submit(run, run.start_us + round(draw.uniform(0, span_s) * US), epochs_s)
    if changing:
        for _ in range(draw.randint(1, 3)):
            at_us = run.start_us + round(draw.uniform(0, span_s) * US)
            count = draw.choice((1, 1, 2, 4, 6))
            run.cloud.timeline.at(at_us, lambda count=count: run.deploy({"PartitionCount": count}))  # type: ignore[misc]
    if draw.random() < 0.25:
        tick_us = run.start_us + run.interval_s * US * draw.randint(1, 6)
        begin_us = draw.choice((tick_us - 5 * US, run.start_us + round(draw.uniform(0, span_s) * US)))
        service = draw.choice(("dynamodb", "sqs", "lambda"))
        run.faults.outages.append(Outage(service, begin_us, begin_us + draw.choice((50, 50, 900, 3600)) * US))
    if draw.random() < 0.15:
        _close_target(run, span_s)
    if draw.random() < 0.1:
        run.faults.pace_s = draw.choice((0.1, 0.5))


def _submit(run: Simulation, at_us: int, epochs_s: list[int]) -> None:
    draw = run.draw
    size = draw.choice((1, 1, 1, 2, 5, 12, 30, 80))
    batch = size > 1 or draw.random() < 0.1
    token = f"token {len(run.expected_schedules.by_tag)}" if draw.random() < 0.4 else None
    burst_us = _due_us(run, at_us, epochs_s) if draw.random() < 0.5 else None
    # All due times are within one bundle, or within a little more.
    spread_ms = draw.choice((0, 0, 1, 20_000, 90_000))
    made: list[ExpectedSchedule] = []
    for _ in range(size):
        due_us = _due_us(run, at_us, epochs_s)
        if burst_us is not None:
            due_us = burst_us + draw.randint(0, spread_ms) * 1000
        fixed = batch and token is not None
        expected = run.expected_schedules.make(at_us, due_us // 1000, None if batch else token, size > 20, fixed)
        if draw.random() < 0.08:
            run.expected_schedules.spoil(expected)
        elif draw.random() < 0.02:
            run.checker.refused_by_sqs.add(expected.tag)
        made.append(expected)
    tries = draw.randint(2, TRIES_MAX) if token or draw.random() < 0.3 else 1
    run.requested_us.append(at_us)
    run.orders.append((at_us, made))
    run.callers.begin(Submission(at_us, made, batch, token, tries))


def _due_us(run: Simulation, at_us: int, epochs_s: list[int]) -> int:
    """Draw a due time: soon, around the reach, within hours, or around one of the far epochs."""
    draw = run.draw
    kind = draw.randrange(6)
    if kind == 0:
        ahead_s = draw.choice((-86_400.0, -1.0, 0.0, 1.0, draw.uniform(0, 60)))
    elif kind == 1:
        ahead_s = 900 + draw.choice((-1.0, -0.001, 0.0, 0.001, 1.0, draw.uniform(-5, 5)))
    elif kind == 2:
        ahead_s = draw.uniform(900, 7200)
    elif kind == 3:
        ahead_s = float(draw.randrange(900, 3600, 60))
    else:
        ahead_s = draw.choice(epochs_s) + draw.uniform(0, 1800)
    return at_us + round(ahead_s * 1000) * 1000


def _close_target(run: Simulation, span_s: int) -> None:
    """Close an external queue for some hours. Schedules for other targets must not wait for it."""
    error = run.draw.choice(
        (
            refusal("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."),
            refusal("AccessDenied", "Access to the resource is denied.", 403),
        )
    )
    begin_us = run.start_us + round(run.draw.uniform(0, span_s) * US)
    run.cloud.timeline.at(begin_us, lambda: run.close_targets(error))
