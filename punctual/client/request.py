"""Turn the arguments of callers into the JSON of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from punctual.client import times
from punctual.client.errors import InvalidSchedule
from punctual.client.times import Moment
from punctual.client.values import UNSET

BYTES_MAX = 5_000_000
"""The size of a request or a batch. Lambda takes 6 MB."""
DATA_BYTES_MAX = 262_144
NESTING_MAX = 100
"""The limits of the schedule function."""
REQUEST_WANTED = 'a dict such as {"timestamp": 1893456000, "data": "some payload"}'


def schedule_fields(request: object, now_s: float) -> dict[str, object]:
    """Return the fields of a request as the schedule function takes them. A delay becomes a timestamp.

    Raise InvalidSchedule if a field is wrong, as far as the client can tell. The function checks everything else.
    """
    if not isinstance(request, Mapping):
        raise InvalidSchedule(f"the request is a {type(request).__name__}; wanted: {REQUEST_WANTED}")
    fields = {_field(field): value for field, value in request.items() if value is not UNSET}
    _one_time(fields)
    if "delay" in fields and fields.get("token") is not None:
        raise InvalidSchedule(
            "delay and token are both given, and a repeat would be another time; wanted: a time with a token",
            field="delay",
        )
    set_time(fields, now_s)
    for field in ("expires_after", "spread"):
        if isinstance(fields.get(field), timedelta):
            fields[field] = times.duration(field, fields[field])
    return fields


def _field(name: object) -> str:
    """Return the name of a field. Any other type would spoil the JSON of the whole batch."""
    if not isinstance(name, str):
        raise InvalidSchedule(f"the name of a field is a {type(name).__name__}; wanted: a string such as 'timestamp'")
    return name


def set_time(fields: dict[str, object], now_s: float) -> None:
    """Replace `at` or `delay` by the timestamp."""
    zone = fields.get("zone")
    if "at" in fields:
        fields["timestamp"] = times.timestamp("at", fields.pop("at"), zone if isinstance(zone, str) else None)
    elif isinstance(fields.get("timestamp"), datetime):
        fields["timestamp"] = times.timestamp("timestamp", fields["timestamp"], zone if isinstance(zone, str) else None)
    elif "delay" in fields:
        if zone is not None:
            raise InvalidSchedule("zone is given with a delay; wanted: zone only with a time without an offset")
        fields["timestamp"] = times.from_delay(fields.pop("delay"), now_s)


def encoded(fields: Mapping[str, object]) -> bytes:
    """Return the request as compact JSON in UTF-8.

    Raise TypeError for a value that JSON cannot hold, such as bytes, and InvalidSchedule for NaN or a cycle.
    """
    parts = [f"{_json('the name of a field', field)}:{_json(str(field), value)}" for field, value in fields.items()]
    text = "{" + ",".join(parts) + "}"
    try:
        content = text.encode()
    except UnicodeEncodeError:  # A lone surrogate. The function says where it is.
        content = json.dumps(dict(fields), separators=(",", ":")).encode()
    if len(content) > BYTES_MAX:
        raise InvalidSchedule(f"the request has {len(content)} bytes; wanted: data of at most {DATA_BYTES_MAX} bytes")
    return content


def one_time(at: object, delay: object) -> None:
    """Raise InvalidSchedule unless exactly one of the two is given."""
    if (at is None) == (delay is None):
        state = "missing" if at is None else "given"
        raise InvalidSchedule(f"at and delay are both {state}; wanted: exactly one of the two", field="at")


def which(name: str | None, id: str | None) -> dict[str, object]:
    """Return the field that says which schedule is meant."""
    if (name is None) == (id is None):
        state = "missing" if name is None else "given"
        raise InvalidSchedule(f"name and id are both {state}; wanted: exactly one of the two", field="name")
    return {"id": id} if name is None else {"name": name}


def span(start: Moment | None, end: Moment | None) -> dict[str, object]:
    """Return the fields of a time range."""
    given = {"from": start, "to": end}
    names = {"from": "start", "to": "end"}
    return {field: times.timestamp(names[field], value) for field, value in given.items() if value is not None}


def page_limit(limit: int | None, page_max: int) -> int:
    """Return how many items to ask for at once."""
    if limit is None:
        return page_max
    if limit < 1:
        raise InvalidSchedule(f"limit is {limit}; wanted: a whole number from 1", field="limit")
    return min(limit, page_max)


def _json(field: str, value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except TypeError as error:
        hint = "; decode it to str first" if isinstance(value, bytes | bytearray | memoryview) else ""
        raise TypeError(f"{field} cannot be written as JSON: {error}{hint}") from None
    except ValueError as error:
        raise InvalidSchedule(f"{field} cannot be written as JSON: {error}", field=field) from None
    except RecursionError:
        raise _too_deep(field) from None
    if text.count("[") + text.count("{") > NESTING_MAX and _deeper_than(value, NESTING_MAX):
        raise _too_deep(field)  # Lambda could not read the whole batch.
    return text


def _too_deep(field: str) -> InvalidSchedule:
    return InvalidSchedule(f"{field} is nested more than {NESTING_MAX} levels deep; wanted: fewer", field=field)


def _deeper_than(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            child
            for parent in layer
            if isinstance(parent, dict | list | tuple)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not layer:
            return False
    return True


def _one_time(fields: Mapping[str, object]) -> None:
    given = [field for field in ("at", "timestamp", "delay") if field in fields]
    if len(given) > 1:
        raise InvalidSchedule(f"{' and '.join(given)} are given together; wanted: only one of them", field=given[0])
