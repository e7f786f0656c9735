"""Builds what takes in messages of the input queue. Only such messages need it."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from scheduler.accepting import limited_queues, scheduling
from scheduler.accepting.from_queue import receiving
from scheduler.aws.input_queue import InputQueue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduler.accepting.keyed_batch import SchedulingDependencies
    from scheduler.execution.deadline import Deadline
    from scheduler.wiring.resources import Resources


def receive(
    records: Sequence[Mapping[str, Any]],
    resources: Resources,
    scheduling_dependencies: SchedulingDependencies,
    deadline: Deadline,
) -> dict[str, Any]:
    """Accept messages of the input queue. Failures of users' queues are forgotten after each invocation."""
    queues = limited_queues.LimitedQueues(resources.queues, resources.runtime.clock)
    limited = dataclasses.replace(scheduling_dependencies, queues=queues)
    dependencies = receiving.InputQueueDependencies(
        accept=functools.partial(scheduling.accept_message, dependencies=limited),
        requeue=InputQueue(resources.client("sqs"), resources.settings.input_queue_url).requeue,
        report=resources.queues.report,
        notify=resources.failure_targets.notify,
        allows=resources.settings.listed.arns.__contains__,
        pool=scheduling_dependencies.pool,
        metrics=resources.metrics,
    )
    return receiving.receive(records, deadline, dependencies)
