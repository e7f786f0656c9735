"""Lambda: view. People who may only look invoke it with {"operation": "list"}, or another operation that reads."""

from typing import Any

from scheduler.managing import operations
from scheduler.wiring import config, runtime
from scheduler.wiring.resources import Resources

settings = config.from_environment(*config.MANAGING)
resources = Resources(settings, runtime.current())
dependencies = resources.for_managing()


def handler(event: Any, context: Any) -> dict[str, Any]:
    return operations.view(event, dependencies, resources.deadline(context))
