"""Lambda: caller. Programs invoke it with {"operation": "cancel", "name": "reminder/1"}, for their own schedules."""

from typing import Any

from scheduler.audit import Actor
from scheduler.managing import operations
from scheduler.wiring import config, runtime
from scheduler.wiring.resources import Resources

RESERVE_S = 6  # A call that starts at the last moment may take 5 s, and the answer needs time too.

settings = config.from_environment(*config.MANAGING)
resources = Resources(settings, runtime.current(), threads=16)
dependencies = resources.for_managing()


def handler(event: Any, context: Any) -> dict[str, Any]:
    return operations.call(event, dependencies, resources.deadline(context, RESERVE_S), Actor.of(context, "caller"))
