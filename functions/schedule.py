"""Lambda: schedule. Anyone invokes it with {"timestamp": 1893456000, "data": "some payload"}, or a batch of these.

SQS invokes it with messages of the input queue, which hold the same. With `application`, a direct call schedules for
that application.
"""

from typing import Any

from scheduler.accepting import batch, scheduling
from scheduler.wiring import config, runtime
from scheduler.wiring.resources import Resources

settings = config.from_environment("TABLE_NAME", *config.QUEUES, "INPUT_QUEUE_URL", "PARTITION_COUNT", "REACH_SECONDS")
resources = Resources(settings, runtime.current())
dependencies = resources.for_scheduling()


@resources.measured
def handler(event: Any, context: Any) -> dict[str, Any]:
    deadline = resources.deadline(context)
    if batch.is_from_queue(event):
        return resources.receive(event["Records"], dependencies, deadline)
    event, its = resources.for_call(event, dependencies, deadline)
    return scheduling.accept_call(event, its, deadline)
