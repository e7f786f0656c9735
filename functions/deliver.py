"""Lambda: deliver. SQS invokes it with up to ten messages of the delivery queue, each shortly before it is due."""

from typing import Any

from scheduler.delivering import delivery
from scheduler.wiring import config, runtime
from scheduler.wiring.resources import Resources

settings = config.from_environment("TABLE_NAME", *config.QUEUES, "REACH_SECONDS")
resources = Resources(settings, runtime.current(), delivery.DELIVER_THREADS_MAX)
dependencies = resources.for_delivery()


@resources.measured
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return delivery.deliver(event["Records"], dependencies, resources.deadline(context, delivery.DELIVER_RESERVE_S))
