"""One trouble at a time, on days without other faults: a backlog, a hiccup, or bundles too large for one feed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from punctual.testing.timeline import US
from simulator.faults.faults import Outage
from simulator.workload.callers import TRIES_MAX, Submission
from simulator.workload.scenarios import INTERVAL_S

if TYPE_CHECKING:
    from simulator.simulation import Simulation


def backlog(run: Simulation) -> None:
    """Plan an outage and then a slow day, with more overdue schedules than one feed can send and more to come."""
    draw = run.draw
    run.faults.rates, run.faults.pace_s = {}, 1.9
    run.interval_s = INTERVAL_S
    run.deploy({"PartitionCount": 1, "FeedIntervalMinutes": INTERVAL_S // 60})
    begin_us = run.start_us + 650 * US
    tick_us = run.start_us + (1 + draw.randint(4, 6)) * INTERVAL_S * US
    run.faults.outages.append(Outage(draw.choice(("sqs", "dynamodb", "lambda")), begin_us, tick_us - 20 * US))
    overdue_us = run.start_us + 2000 * US
    # A token keeps each schedule out of the bundles.
    backlog = [
        run.expected_schedules.make(run.start_us, overdue_us // 1000, f"backlog {number}", plain=True)
        for number in range(draw.randint(850, 1100))
    ]
    upcoming = [
        run.expected_schedules.make(
            run.start_us, tick_us // 1000 + draw.randrange(18_000, 24_000), f"upcoming {number}", plain=True
        )
        for number in range(20)
    ]
    run.callers.begin(Submission(run.start_us, backlog, True, "backlog", TRIES_MAX))
    run.callers.begin(Submission(run.start_us + US, upcoming, True, "upcoming", TRIES_MAX))


def large_bundles(run: Simulation) -> None:
    """Plan bundles of hundreds on a slow day, so that feeds run out of time within a bundle.

    No lease can be written while invocations are doubled, so two feeds work on the same bundle.
    """
    draw = run.draw
    run.faults.rates, run.faults.pace_s = {"doubled": 0.8}, 1.9
    run.faults.leases_throttled = draw.random() < 0.8
    run.interval_s = INTERVAL_S
    run.deploy({"PartitionCount": 1, "FeedIntervalMinutes": INTERVAL_S // 60})
    tick_us = run.start_us + 2 * INTERVAL_S * US
    for number in range(2):
        due_ms = tick_us // 1000 + draw.randrange(300_000, 800_000)
        expected_schedules = [
            run.expected_schedules.make(run.start_us, due_ms + draw.randrange(0, 50_000), plain=True, fixed=True)
            for _ in range(draw.randint(250, 450))
        ]
        run.callers.begin(Submission(run.start_us + number * US, expected_schedules, True, None, 1))


def hiccup(run: Simulation) -> None:
    """Plan a service outage of less than a minute at a tick. Lambda's second attempt makes up for it."""
    draw = run.draw
    run.faults.rates, run.interval_s = {}, INTERVAL_S
    run.deploy({"FeedIntervalMinutes": INTERVAL_S // 60})
    tick_us = run.start_us + draw.randint(2, 4) * INTERVAL_S * US
    begin_us = tick_us - draw.randint(1, 9) * US
    run.faults.outages.append(Outage(draw.choice(("sqs", "dynamodb", "lambda")), begin_us, begin_us + 50 * US))
    expected_schedules = [
        run.expected_schedules.make(
            run.start_us, tick_us // 1000 + draw.randrange(250_000, 890_000), plain=True, fixed=True
        )
        for _ in range(20)
    ]
    run.callers.begin(Submission(run.start_us, expected_schedules, True, "hiccup", TRIES_MAX))
