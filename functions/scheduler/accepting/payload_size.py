"""Check the payload against the target's size limit when a schedule is accepted, and not when it is due.

Only for topics and state machines can a payload be too large. For SQS, Lambda and EventBridge the limit is 1 MiB. The
largest payload is half of that, even if every character is escaped and the data is in an envelope.
"""

from __future__ import annotations

from collections.abc import Callable

from scheduler.errors import InvalidSchedule
from scheduler.limits import DUE_MS_MAX, SNS_MESSAGE_BYTES_MAX, STEP_FUNCTIONS_INPUT_BYTES_MAX
from scheduler.model import payloads
from scheduler.model.schedule import Key, Request, Schedule
from scheduler.model.targets import SNS, STATES, is_tight, kind

_LONGEST_KEY = Key("255", f"{'9' * 15}#{'f' * 16}")
_LONGEST_INDEX = 9_999


def check(request: Request) -> None:
    """Raise InvalidSchedule if the payload is larger than the target accepts."""
    if not is_tight(request.target):
        return
    size_bytes_of, bytes_max, what = _LIMITS[kind(request.target)]
    size_bytes = size_bytes_of(_as_sent(request))
    if size_bytes > bytes_max:
        raise InvalidSchedule(f"data comes to {size_bytes} bytes as {what}; wanted: at most {bytes_max} bytes")


def _as_sent(request: Request) -> Schedule:
    """Return the schedule with the longest id and, if it has a spread, the longest due time that it could have."""
    return Schedule(
        _LONGEST_KEY,
        DUE_MS_MAX if request.spread_ms else request.due_ms,
        request.data,
        request.target,
        request.user,
        index=_LONGEST_INDEX,
        name=request.name,
    )


def _topic_bytes(schedule: Schedule) -> int:
    """Return the size as SNS counts it: the body, and the name, type and value of each attribute."""
    attributes = payloads.attributes(schedule)
    notifications = [
        notification for name, attribute in attributes.items() for notification in (name, *attribute.values())
    ]
    return sum(len(notification.encode()) for notification in (payloads.body(schedule), *notifications))


def _machine_bytes(schedule: Schedule) -> int:
    return len(payloads.document(schedule).encode())


_LIMITS: dict[str, tuple[Callable[[Schedule], int], int, str]] = {
    SNS: (_topic_bytes, SNS_MESSAGE_BYTES_MAX, "a message of an SNS topic with its attributes"),
    STATES: (_machine_bytes, STEP_FUNCTIONS_INPUT_BYTES_MAX, "the input of a state machine"),
}
