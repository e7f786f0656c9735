"""Lambda: manage. Anyone invokes it with {"operation": "get", "name": "reminder/1"}, or another operation."""

from typing import Any

from scheduler.audit import Actor
from scheduler.managing import operations
from scheduler.wiring import config, runtime
from scheduler.wiring.resources import Resources

settings = config.from_environment(*config.MANAGING)
resources = Resources(settings, runtime.current())
dependencies = resources.for_managing()


def handler(event: Any, context: Any) -> dict[str, Any]:
    return operations.manage(event, dependencies, resources.deadline(context), Actor.of(context, "owner"))
