"""Lambda: admin. The owner invokes it with {"operation": "create", "name": "billing"}, or another operation."""

from typing import Any

from scheduler.administering import operations
from scheduler.audit import Actor
from scheduler.wiring import config, runtime
from scheduler.wiring.administration import AdminResources

settings = config.from_environment("TABLE_NAME", "PARTITION_COUNT")
resources = AdminResources(settings, runtime.current())
dependencies = resources.for_administering()


def handler(event: Any, context: Any) -> dict[str, Any]:
    return operations.administer(event, Actor.of(context, "owner"), dependencies, resources.deadline(context))
