"""Chains of feeds: one schedule that cannot be finished, or an external queue that fails for a few seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from punctual.testing.timeline import US
from simulator.faults.external_targets import FINE
from simulator.faults.faults import ClosedQueue
from simulator.workload.callers import Submission
from simulator.workload.expected import ExpectedSchedule
from simulator.workload.scenarios import INTERVAL_S

if TYPE_CHECKING:
    from simulator.simulation import Simulation

INFLOW_S = 3600


def held(run: Simulation) -> None:
    """Plan an external queue that fails when a tick begins, on a slow day with a backlog.

    A chain of feeds works on the backlog. The schedules for that queue come first and are still in time minutes later.
    A feed gets through a page before its time is over, or it would begin with these schedules again.
    """
    draw = run.draw
    _prepare(run)
    run.faults.pace_s = 1.2
    tick_us = run.start_us + draw.randint(3, 5) * INTERVAL_S * US
    (arn, url), *_ = run.targets.items()
    run.faults.closed_queues.append(ClosedQueue(url, tick_us - 30 * US, tick_us + 110 * US))
    first_ms = tick_us // 1000 + 310_000
    made = [run.expected_schedules.make(run.start_us, first_ms + number, plain=True, fixed=True) for number in range(5)]
    for expected in made:
        expected.request["target"], expected.queue_url = arn, url
    _ask(run, [[expected] for expected in made])
    backlog = [
        run.expected_schedules.make(
            run.start_us, first_ms + draw.randrange(5_000, 200_000), f"held {number}", plain=True
        )
        # A token of its own keeps each schedule out of the bundles.
        for number in range(draw.randint(900, 1300))
    ]
    _ask(run, [backlog[start : start + 200] for start in range(0, len(backlog), 200)])


def unreported(run: Simulation) -> None:
    """Plan a delivery queue that takes no messages for most of an hour.

    A schedule expires in that time, and other schedules keep coming within reach.
    """
    draw = run.draw
    _prepare(run)
    begin_us = run.start_us + 1000 * US
    url = run.cloud.output("DeliveryQueueUrl")
    run.faults.closed_queues.append(ClosedQueue(url, begin_us, begin_us + INFLOW_S * US))
    failure_target = min(run.external_targets.failure_targets.values())
    expiring = []
    for _ in range(draw.randint(1, 3)):
        expected = run.expected_schedules.make(run.start_us, run.start_us // 1000 + 2_200_000, plain=True, fixed=True)
        expiring.append(
            run.expected_schedules.direct(
                expected, {"url": f"https://{FINE}/hook"}, {"failure_target": failure_target}, 20
            )
        )
    _ask(run, [expiring])
    _ask(run, [[expected] for expected in _inflow(run, draw.choice((10, 30)))])


def _inflow(run: Simulation, every_s: int) -> list[ExpectedSchedule]:
    moments_s = range(2_000, INFLOW_S, every_s)
    return [
        run.expected_schedules.make(run.start_us, run.start_us // 1000 + s * 1000, plain=True, fixed=True)
        for s in moments_s
    ]


def _prepare(run: Simulation) -> None:
    run.faults.rates, run.interval_s = {}, INTERVAL_S
    run.deploy({"PartitionCount": 1, "FeedIntervalMinutes": INTERVAL_S // 60})


def _ask(run: Simulation, orders: list[list[ExpectedSchedule]]) -> None:
    for number, expected_schedules in enumerate(orders):
        run.callers.begin(
            Submission(run.start_us + number * US // 10, expected_schedules, len(expected_schedules) > 1, None, 1)
        )
