"""Lambda: canary. A rule invokes it every minute if Canary is true. It schedules like a user, and checks the result."""

from typing import Any

from scheduler import timestamps
from scheduler.canary import watching
from scheduler.wiring import config, runtime
from scheduler.wiring.canary import CanaryResources

settings = config.from_environment(
    "TABLE_NAME", "SCHEDULE_FUNCTION", "CANARY_QUEUE_URL", "CANARY_QUEUE_ARN", "REACH_SECONDS", "STACK_NAME"
)
resources = CanaryResources(settings, runtime.current(), threads=1)
dependencies = resources.for_watching()


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    moment_s = timestamps.from_event_time(event["time"]) if "time" in event else resources.runtime.clock()
    return watching.watch(moment_s, dependencies, resources.deadline(context))
