"""Format a schedule as its target expects it.

Data that is JSON text is sent unchanged. Parsing and writing it again would change numbers, duplicate keys and spaces.
"""

from __future__ import annotations

import json

from scheduler.model.schedule import Schedule
from scheduler.model.targets import envelope
from scheduler.timestamps import epoch_s

Attributes = dict[str, dict[str, str]]


def body(schedule: Schedule, application: str = "") -> str:
    """Return the data, or the envelope if the target asks for one."""
    return enveloped(schedule, application) if envelope(schedule.target) else schedule.data


def document(schedule: Schedule, application: str = "") -> str:
    """Return the body for a target that accepts only JSON. A body that is not JSON becomes a JSON string."""
    text = body(schedule, application)
    return text if _is_json(text, object) else _compact(text)


def detail(schedule: Schedule, application: str = "") -> str:
    """Return the body for a target that accepts only a JSON object. Any other body goes into the field `data`."""
    text = body(schedule, application)
    return text if _is_json(text, dict) else f'{{"data":{_value(text)}}}'


def enveloped(schedule: Schedule, application: str = "") -> str:
    """Return the envelope {"id", "due", "name", "user", "application", "data"}.

    It has a name and a user only if the schedule does, and an application unless the schedule is the owner's.
    """
    facts = {
        "id": schedule.id,
        "due": epoch_s(schedule.due_ms),
        "name": schedule.name,
        "user": schedule.user,
        "application": application or None,
    }
    given = _compact({field: value for field, value in facts.items() if value is not None})
    return f'{given[:-1]},"data":{_value(schedule.data)}}}'


def attributes(schedule: Schedule, application: str = "") -> Attributes:
    """Return the message attributes, in the format that SQS and SNS share."""
    found = {
        "id": {"DataType": "String", "StringValue": schedule.id},
        "due": {"DataType": "Number", "StringValue": f"{schedule.due_ms // 1000}.{schedule.due_ms % 1000:03d}"},
    }
    if schedule.name is not None:
        found["name"] = {"DataType": "String", "StringValue": schedule.name}
    if schedule.user is not None:
        found["user"] = {"DataType": "String", "StringValue": schedule.user}
    if application:
        found["application"] = {"DataType": "String", "StringValue": application}
    return found


def _value(text: str) -> str:
    """Return the text as a JSON value. An object or a list stays unchanged. Other data becomes a string, even "5"."""
    return text if _is_json(text, dict, list) else _compact(text)


def _is_json(text: str, *of: type) -> bool:
    """Return whether the text is strict JSON of one of these types.

    Python's parser also accepts NaN, and refuses numbers of thousands of digits. The `parse_` arguments change both.
    """
    try:
        return isinstance(json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_number), of)
    except (ValueError, RecursionError):
        return False


def _no_number(name: str) -> None:
    raise ValueError(name)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
