"""One run of the canary: read the messages, write the state, report, and schedule for the next runs.

A crash leaves behind:
- Between the claim of the minute and the state: nothing. The messages come again, to the next run.
- Between the state and the delete: messages that come again. The state has their ids, so they do not count twice.
- Between the state and the schedules: schedules that a later run finds missing. The alarm then tells of the crash.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import Any, Protocol

from scheduler import log
from scheduler.canary.probes import Came, State
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.model.application import CANARY_NAME
from scheduler.value_class import value_class

METRIC = "CanaryMissed"


class Table(Protocol):
    def claim(self, minute: int) -> bool: ...
    def state(self) -> str: ...
    def save(self, text: str) -> None: ...
    def ensure_application(self, name: str, target_arn: str, new_id: str, now_ms: int) -> None: ...


class Queue(Protocol):
    def receive(self, now_ms: int) -> list[Came]: ...
    def delete(self) -> None: ...


class ScheduleFunction(Protocol):
    def ask(self, event: dict[str, Any]) -> dict[str, Any]: ...


@value_class
class CanaryDependencies:
    table: Table
    queue: Queue
    queue_arn: str
    schedule_function: ScheduleFunction
    new_id: str
    """The id of the canary's application, if it is to be created."""
    stack_name: str
    reach_ms: int


def watch(moment_s: float, dependencies: CanaryDependencies, deadline: Deadline) -> dict[str, int]:
    """Check the messages since the last run, and schedule for the next runs. Return how many schedules are at fault.

    Raise NotConfirmed if the table or the queue does not answer. The metric of this minute is then missing, and the
    alarm takes many missing ones for a fault.
    """
    minute = int(moment_s // 60)
    if not retry_call(lambda: dependencies.table.claim(minute), deadline):
        log.outcome("doubled", minute=minute)
        return {"missed": 0}
    state = State.read(retry_call(dependencies.table.state, deadline))
    messages = retry_call(lambda: dependencies.queue.receive(deadline.now_ms()), deadline)
    faults = state.faults(messages, deadline.now_ms())
    added = state.begin(minute, deadline.now_ms(), dependencies.reach_ms)
    retry_call(lambda: dependencies.table.save(state.text()), deadline)
    for probe, why in faults:
        log.outcome("canary missed", kind=probe.kind, due=probe.due_s, why=why)
    print(metric_line(dependencies.stack_name, len(faults), deadline.now_ms()) + "\n", end="", flush=True)
    _delete(dependencies.queue)
    _schedule([each.request() for each in added], dependencies, deadline)
    return {"missed": len(faults)}


def metric_line(stack_name: str, missed: int, now_ms: int) -> str:
    """Return the metric in CloudWatch's embedded metric format. A zero is printed, too: without it the canary is dead.

    The line has the configured level and a timestamp. Lambda drops lines below that level, and takes others for INFO.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    metric = {"Namespace": "Punctual", "Dimensions": [["Stack"]], "Metrics": [{"Name": METRIC, "Unit": "Count"}]}
    return json.dumps(
        {
            "_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [metric]},
            "Stack": stack_name,
            METRIC: missed,
            "level": os.environ.get("AWS_LAMBDA_LOG_LEVEL", log.INFO),
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_ms / 1000)),
        }
    )


def _delete(queue: Queue) -> None:
    try:
        queue.delete()
    except NotConfirmed as failure:  # The messages come again, and do not count again.
        log.outcome("not confirmed", error=str(failure))


def _schedule(requests: Sequence[dict[str, object]], dependencies: CanaryDependencies, deadline: Deadline) -> None:
    """Schedule like a user. A schedule that is not accepted is missing at the next run, so nothing is tried again."""
    try:
        dependencies.table.ensure_application(
            CANARY_NAME, dependencies.queue_arn, dependencies.new_id, deadline.now_ms()
        )
        answer = dependencies.schedule_function.ask({"application": CANARY_NAME, "schedules": list(requests)})
    except NotConfirmed as failure:
        log.outcome("canary not accepted", why=str(failure))
        return
    for result in answer.get("results", [answer]):
        if "error" in result:
            log.outcome("canary not accepted", why=f"{result['error']}: {result.get('message', '')}")
