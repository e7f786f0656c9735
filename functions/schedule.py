"""Lambda: schedule. Anyone invokes it with {"timestamp": 1893456000, "data": "some payload"}, or a batch of these.

SQS invokes it with messages of the input queue, which hold the same. With `application`, a direct call schedules for
that application.
"""

from typing import Any

from scheduler import log
from scheduler.accepting import batch, scheduling
from scheduler.wiring import config, runtime
from scheduler.wiring.resources import Resources

RESERVE_S = 6  # A call that starts at the last moment may take 5 s, and the answer needs time too.

settings = config.from_environment("TABLE_NAME", *config.QUEUES, "INPUT_QUEUE_URL", "PARTITION_COUNT", "REACH_SECONDS")
resources = Resources(settings, runtime.current(), threads=16)
dependencies = resources.for_scheduling()


@resources.measured
def handler(event: Any, context: Any) -> dict[str, Any]:
    deadline = resources.deadline(context, RESERVE_S)
    if batch.is_from_queue(event):
        return resources.receive(event["Records"], dependencies, deadline)
    its = dependencies
    if batch.is_for_application(event):
        event, its = resources.for_named_application(event, deadline)
    answer = scheduling.accept(event, its, deadline)
    accepted, rejected = answer.get("accepted", 1), answer.get("rejected", 0)
    facts = {"accepted": accepted, "rejected": rejected, "id": answer.get("id")}
    log.about(its.key_generator.application, lambda: log.outcome("scheduled", **facts))
    return answer
