"""Lambda: consume. SQS invokes it with up to ten schedules that have just become due, if ConsumerEnabled is set."""

from typing import Any

from scheduler.delivering import consuming
from scheduler.delivering.consuming import Due
from scheduler.wiring import runtime

clock = runtime.current().clock


def handle(schedule: Due) -> None:
    """YOUR CODE GOES HERE. It may see the same id twice. If it raises, only this schedule comes again."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return consuming.consume(event["Records"], handle, clock)
