"""Convert requests in the two older formats to the current one, so that existing publishers work unchanged.

    {"date", "payload", "target", "user", "failure_topic"}             a topic gets the payload
    {"date", "url", "method", "payload", "headers", "cookies"}         a webhook gets a request

A request in an older format may use the newer fields (token, name, if_exists, retry, expires_after), but no field under
both its names. `with_older_field_names` puts the older field names into error messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from scheduler.errors import InvalidSchedule
from scheduler.model.schedule import OLDER_FIELDS

RENAMED = {"date": "timestamp", "payload": "data", "failure_topic": "failure_target"}
WEBHOOK_FIELDS = ("url", "method", "headers", "cookies")

TOPIC_SHAPE = '{"date", "payload", "target", "user", "failure_topic"}'
WEBHOOK_SHAPE = '{"date", "url", "method", "payload", "headers", "cookies"}'
SHAPES_WANTED = f'{{"timestamp", "data", "target", ...}}, or of the older shapes {TOPIC_SHAPE} or {WEBHOOK_SHAPE}'

_PRESENT = ("timestamp", "delay", "data", "failure_target")
_OFTEN_EMPTY = ("user", "failure_topic")
"""Optional in the older format. Callers that always send every field fill these with null or an empty string."""
_BODILESS = ("GET", "HEAD")
_BEHIND_THE_HOST = re.compile(r"(?<=[^/?#:])[/?#].*", re.DOTALL)
_UNQUOTED = re.compile(r"[^!#-;=?-\[\]_a-z~%\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that are not valid in a URL and can be percent-encoded. The validation refuses control characters."""


def to_current(raw: dict[str, object]) -> dict[str, object]:
    """Return the request in the current format. Refuse a mix of formats; the values are not checked here."""
    if OLDER_FIELDS.isdisjoint(raw):
        return raw
    _not_mixed(raw)
    fields = {
        RENAMED.get(field, field): value
        for field, value in raw.items()
        if field not in WEBHOOK_FIELDS and not (field in _OFTEN_EMPTY and value in (None, ""))
    }
    if "url" in raw:
        fields["target"] = target = _target(raw)
        # The older system sent an empty object if there was no payload, and receivers may rely on some JSON.
        if "payload" not in raw and target.get("method") not in _BODILESS:
            fields["data"] = {}
    return fields


def with_older_field_names(refusal: InvalidSchedule, raw: Mapping[str, object]) -> InvalidSchedule:
    """Return the refusal with the field name that the caller wrote. Every message begins with the field name."""
    if OLDER_FIELDS.isdisjoint(raw):
        return refusal
    field, space, rest = str(refusal).partition(" ")
    written = {present: older for older, present in RENAMED.items()}.get(field, field)
    if "url" in raw:
        written = written.removeprefix("target.")
    return InvalidSchedule(written + space + rest)


def _not_mixed(raw: Mapping[str, object]) -> None:
    older = [field for field in raw if field in OLDER_FIELDS]
    webhook = [field for field in older if field in WEBHOOK_FIELDS]
    present = [field for field in raw if field in _PRESENT]
    if present:
        raise _mixed(older[0], present[0])
    for field in ("target", "failure_topic"):
        if webhook and field in raw:
            raise _mixed(webhook[0], field)
    if webhook and "url" not in raw:
        raise InvalidSchedule(f"{webhook[0]} is given without url; wanted: {WEBHOOK_SHAPE}")
    if "date" not in raw:
        raise InvalidSchedule(f"date is missing beside {older[0]}; wanted: {SHAPES_WANTED}")


def _mixed(one: str, other: str) -> InvalidSchedule:
    return InvalidSchedule(f"{one} and {other} are fields of two different shapes; wanted: one shape, {SHAPES_WANTED}")


def _target(raw: Mapping[str, object]) -> dict[str, object]:
    """Return the webhook. The older system accepted methods in lower case, and spaces and the like in URLs."""
    target = {field: raw[field] for field in WEBHOOK_FIELDS if field in raw}
    method, url = target.get("method"), target["url"]
    if isinstance(method, str):
        target["method"] = method.upper()
    if isinstance(url, str):
        target["url"] = _BEHIND_THE_HOST.sub(lambda rest: _UNQUOTED.sub(_quoted, rest.group()), url)
    return target


def _quoted(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found.group().encode())
