"""Which targets a schedule may name, and the queue behind an ARN."""

from __future__ import annotations

import re

from scheduler.errors import InvalidSchedule
from scheduler.text import fault, shown

TARGET_WANTED = "the ARN of a standard SQS queue that the stack's TargetArns lists; left out, it is the output queue"

_QUEUE_ARN = re.compile(
    r"arn:aws[a-z-]*:sqs:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<name>[A-Za-z0-9_-]{1,80}(\.fifo)?)"
)


def checked(value: object, listed: frozenset[str], region: str) -> str:
    """The target as it may be stored, or InvalidSchedule."""
    found = _QUEUE_ARN.fullmatch(value) if isinstance(value, str) else None
    if found is None or not isinstance(value, str):
        raise InvalidSchedule(f"target is {shown(value)}; wanted: {TARGET_WANTED}")
    if found["name"].endswith(".fifo"):
        raise InvalidSchedule(f"target is {shown(value)}, a FIFO queue, which takes no delay; wanted: {TARGET_WANTED}")
    if region and found["region"] != region:
        raise InvalidSchedule(f"target is {shown(value)}, not in this stack's region {region}; wanted: {TARGET_WANTED}")
    if value not in listed:
        raise InvalidSchedule(f"target is {shown(value)}, which is not listed; wanted: {TARGET_WANTED}")
    return value


def unfit(data: str, target: str | None) -> str | None:
    """Why no queue would take this, for what is read from the table: not everything in it need be from this code."""
    if not data:
        return "its data is empty"
    if target is not None and not _QUEUE_ARN.fullmatch(target):
        return "its target is no queue"
    return fault(data)


def goes_straight(target: str | None) -> bool:
    """Whether a queue is the target, which needs nobody to deliver to it."""
    return target is None or target.split(":", 3)[2:3] == ["sqs"]


def queue_url(target: str | None, output_queue_url: str) -> str:
    """The URL of a target queue: that of the output queue with the other account and name at its end."""
    if target is None:
        return output_queue_url
    account, name = target.split(":")[4:6]
    return "/".join([output_queue_url.rsplit("/", 2)[0], account, name])
