"""Lambda: caller. Programs invoke it with {"operation": "cancel", "name": "reminder/1"}, for their own schedules."""

from typing import Any

from scheduler.audit import Actor
from scheduler.managing import operations
from scheduler.wiring import config, runtime
from scheduler.wiring.resources import Resources

settings = config.from_environment(*config.MANAGING)
resources = Resources(settings, runtime.current())
dependencies = resources.for_managing()


def handler(event: Any, context: Any) -> dict[str, Any]:
    return operations.call(event, dependencies, resources.deadline(context), Actor.of(context, "caller"))
