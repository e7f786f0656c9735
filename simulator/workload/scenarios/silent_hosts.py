"""Many hosts of one domain that do not answer, beside a healthy host. The healthy host's deliveries are on time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from punctual.testing.timeline import US
from simulator.faults.external_targets import FINE, SILENT_HOSTS_MAX, silent_host
from simulator.workload.callers import Submission

if TYPE_CHECKING:
    from simulator.simulation import Simulation

PER_HOST_MAX = 4
FINE_MAX = 120


def plan(run: Simulation) -> None:
    """Plan a burst for silent hosts in a run without other faults, from its own random source."""
    draw = random.Random(f"punctual strangers {run.seed}")
    if run.faults.rates or draw.random() < 0.5:
        return
    run.cloud.sqs.twice = 0.0
    at_us = run.start_us + round(draw.uniform(3700, 7200) * US)
    begin_us = at_us + round(draw.choice((20.0, 400.0)) * US)
    per_host = draw.randint(2, PER_HOST_MAX)
    burst = [(silent_host(number % SILENT_HOSTS_MAX), 0.0) for number in range(SILENT_HOSTS_MAX * per_host)]
    fine = [(FINE, draw.uniform(0, 40)) for _ in range(draw.randint(40, FINE_MAX))]
    made = []
    for host, after_s in [*burst, *fine]:
        expected = run.expected_schedules.make(at_us, (begin_us + round(after_s * US)) // 1000, plain=True, fixed=True)
        terms = {} if host == FINE else {"retry": {"attempts": 1}}
        made.append(run.expected_schedules.direct(expected, {"url": f"https://{host}/hook"}, terms, None))
    run.requested_us.append(at_us)
    run.callers.begin(Submission(at_us, made, True, None, 1))
