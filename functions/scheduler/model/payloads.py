"""What is sent of a schedule, in the forms that targets take.

Where the data is JSON text it goes on as it stands: to read and write it again would change how its numbers, its
doubled keys and its spaces are written.
"""

from __future__ import annotations

import json

from scheduler.model.schedule import Schedule
from scheduler.model.targets import envelope
from scheduler.timestamps import epoch_s

Attributes = dict[str, dict[str, str]]


def body(schedule: Schedule) -> str:
    """The data, or the envelope where the target wants one."""
    return enveloped(schedule) if envelope(schedule.target) else schedule.data


def document(schedule: Schedule) -> str:
    """The body for who takes nothing but JSON: itself where it is that, or else as a JSON string."""
    text = body(schedule)
    return text if _is_json(text, object) else _compact(text)


def detail(schedule: Schedule) -> str:
    """The body for who takes nothing but a JSON object: itself where it is that, or else in one."""
    text = body(schedule)
    return text if _is_json(text, dict) else f'{{"data":{_value(text)}}}'


def enveloped(schedule: Schedule) -> str:
    """{"id", "due", "name", "user", "data"}, name and user only where given."""
    facts = {"id": schedule.id, "due": epoch_s(schedule.due_ms), "name": schedule.name, "user": schedule.user}
    given = _compact({field: value for field, value in facts.items() if value is not None})
    return f'{given[:-1]},"data":{_value(schedule.data)}}}'


def attributes(schedule: Schedule) -> Attributes:
    """Message attributes, in the shape that SQS and SNS share."""
    found = {
        "id": {"DataType": "String", "StringValue": schedule.id},
        "due": {"DataType": "Number", "StringValue": f"{schedule.due_ms // 1000}.{schedule.due_ms % 1000:03d}"},
    }
    if schedule.name is not None:
        found["name"] = {"DataType": "String", "StringValue": schedule.name}
    if schedule.user is not None:
        found["user"] = {"DataType": "String", "StringValue": schedule.user}
    return found


def _value(text: str) -> str:
    """As a value within JSON: an object or a list as that, everything else as a string. The data "5" is a string."""
    return text if _is_json(text, dict, list) else _compact(text)


def _is_json(text: str, *of: type) -> bool:
    """Whether it is JSON as others read it: Python takes NaN as well, and stops at numbers of thousands of digits."""
    try:
        return isinstance(json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_number), of)
    except (ValueError, RecursionError):
        return False


def _no_number(name: str) -> None:
    raise ValueError(name)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
