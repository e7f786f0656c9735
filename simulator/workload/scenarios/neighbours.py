"""Input messages of callers who would harm each other if the schedule function let them.

One message has a poisonous attribute. Some are for a queue that is throttled for a while. Some are refused while their
failure target does not answer. The harmful messages must not delay the valid messages beside them.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from punctual.testing.services.aws_errors import refusal
from punctual.testing.services.queues import Queue
from punctual.testing.timeline import US
from simulator.checks.decoding import REQUEUE_ATTRIBUTE
from simulator.workload.callers import QUEUE, Submission
from simulator.workload.expected import ExpectedSchedule

if TYPE_CHECKING:
    from simulator.simulation import Simulation

BUSY_S = 900
"""How long an external queue is throttled. Messages for it come again in that time and succeed afterwards."""
UNREACHABLE_S = 3_600
"""How long a failure target does not answer. SQS would deliver the message twenty times."""
POISON = {"poison": 1}
"""A request that is refused, and that no checker waits for."""
THROTTLED = refusal("KmsThrottled", "The request was denied due to request throttling.")


def plan(run: Simulation) -> None:
    draw = random.Random(f"punctual neighbours {run.seed}")
    if draw.random() < 0.5:
        return
    for _ in range(draw.randint(1, 2)):
        at_us = run.start_us + round(draw.uniform(0, 3600) * US)
        if draw.random() < 0.5:
            _close_for(run, run.external_targets.busy, at_us, BUSY_S)
            for _ in range(draw.randint(4, 6)):
                _post(run, at_us, [_for_the_busy(run, at_us) for _ in range(draw.choice((1, 1, 20)))])
        if draw.random() < 0.5:
            _close_for(run, run.external_targets.unreachable, at_us, UNREACHABLE_S)
            _post(run, at_us, [_refused(run, draw, at_us) for _ in range(draw.choice((1, 3)))])
        if draw.random() < 0.5:
            run.cloud.timeline.at(at_us, lambda: _poison(run))
        for _ in range(draw.randint(3, 5)):
            _post(run, at_us, [_good(run, at_us)])


def _post(run: Simulation, at_us: int, made: list[ExpectedSchedule]) -> None:
    run.requested_us.append(at_us)
    run.callers.begin(Submission(at_us, made, len(made) > 1, None, 1, QUEUE))


def _good(run: Simulation, at_us: int) -> ExpectedSchedule:
    """Create a valid request. It is long, so that the harmful messages come before it."""
    expected = run.expected_schedules.make(at_us, at_us // 1000 + 60_000, plain=True, fixed=True)
    expected.request["data"] = expected.text = f"{expected.tag} {'good ' * 200}"
    run.checker.input_messages.neighbours.append(expected)
    return expected


def _for_the_busy(run: Simulation, at_us: int) -> ExpectedSchedule:
    expected = run.expected_schedules.make(at_us, at_us // 1000 + 2_000, plain=True, fixed=True)
    queue = _queue(run, run.external_targets.busy)
    expected.request["target"], expected.queue_url = queue.arn, queue.url
    return expected


def _refused(run: Simulation, draw: random.Random, at_us: int) -> ExpectedSchedule:
    expected = run.expected_schedules.spoil(
        run.expected_schedules.make(at_us, at_us // 1000 + 60_000, plain=True, fixed=True), draw
    )
    expected.request["failure_target"] = _queue(run, run.external_targets.unreachable).arn
    return expected


def _poison(run: Simulation) -> None:
    """Send an attribute with the longest number that Python reads. The next number is too long for Python to write."""
    sent_ms = run.cloud.timeline.now_us // 1000
    again = f'{{"id":"a","sent":{sent_ms},"tries":{"9" * 4_300},"places":[0]}}'
    attributes: dict[str, Any] = {REQUEUE_ATTRIBUTE: {"DataType": "String", "StringValue": again}}
    run.callers.post_raw(json.dumps(POISON), attributes)


def _close_for(run: Simulation, url: str, at_us: int, seconds: int) -> None:
    """Close a queue for a while and tell the checker, so that it accepts late and refused schedules for the queue."""

    def set_closed(closed: bool) -> None:
        queue = _queue(run, url)
        if (queue.closed is not None) != closed:
            queue.closed = THROTTLED if closed else None
            run.checker.closed.append((run.cloud.timeline.now_us, url))

    run.cloud.timeline.at(at_us, lambda: set_closed(True))
    run.cloud.timeline.at(at_us + seconds * US, lambda: set_closed(False))


def _queue(run: Simulation, url: str) -> Queue:
    return run.cloud.sqs.queues[url]
