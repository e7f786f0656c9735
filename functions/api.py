"""Lambda: api. API Gateway invokes it with each request of the HTTP API, as an event of a Lambda proxy (format 1.0).

It calls the use cases of the schedule and the manage function in its own process.
"""

from typing import Any

from scheduler.serving import server
from scheduler.wiring import config, runtime
from scheduler.wiring.serving import ApiResources

settings = config.from_environment(
    "TABLE_NAME", *config.QUEUES, "INPUT_QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "PARTITION_COUNT", "REACH_SECONDS"
)
resources = ApiResources(settings, runtime.current())
dependencies = resources.for_serving()


@resources.measured
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return server.serve(event, dependencies, resources.deadline(context))
