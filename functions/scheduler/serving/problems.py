"""Problem documents (RFC 9457): the answer to each request that fails.

The type of a problem ends with the name that the functions use for the same error: `urn:punctual:error:NotFound`.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

from scheduler.accepting import request
from scheduler.errors import InvalidRequest, InvalidSchedule, KeyRefused, NotConfirmed, NotFound, OnItsWay, QuotaUsedUp

CONTENT_TYPE = "application/problem+json"
TYPE = "urn:punctual:error:"
NOT_CONFIRMED_RETRY_S = 1


class Kind(NamedTuple):
    status: int
    title: str


KINDS = {
    "InvalidSchedule": Kind(400, "The schedule is invalid"),
    "InvalidRequest": Kind(400, "The request is invalid"),
    "KeyMissing": Kind(401, "The request has no key"),
    "KeyRefused": Kind(403, "The key is not accepted"),
    "NotAllowed": Kind(403, "The key does not allow this"),
    "NotFound": Kind(404, "Not found"),
    "OnItsWay": Kind(409, "The schedule is on its way"),
    "NameTaken": Kind(409, "The name is taken"),
    "TooLarge": Kind(413, "The request is too large"),
    "TooManyRequests": Kind(429, "Too many requests"),
    "NotConfirmed": Kind(503, "AWS has not confirmed the request"),
}
_NAMES = {
    InvalidSchedule: "InvalidSchedule",
    InvalidRequest: "InvalidRequest",
    KeyRefused: "KeyRefused",
    NotFound: "NotFound",
    OnItsWay: "OnItsWay",
    NotConfirmed: "NotConfirmed",
    QuotaUsedUp: "TooManyRequests",
}
"""A name for each error. The names of the classes belong to the code, and a rename must not change an answer."""

_UNKNOWN_FIELD = re.compile(r"'(?P<field>\w{1,64})' is not a field")
_FIELD = re.compile(r"(?P<field>(?P<word>[a-z_]+)(\.[a-z_]+)*) (is|are|and|holds) ")


class Problem(Exception):
    """A request fails. The kind decides the status."""

    def __init__(self, kind: str, detail: str, field: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.field, self.retry_after_s = kind, detail, field, retry_after_s

    @property
    def status(self) -> int:
        return KINDS[self.kind].status

    def document(self) -> dict[str, Any]:
        content = {
            "type": TYPE + self.kind,
            "title": KINDS[self.kind].title,
            "status": self.status,
            "detail": self.detail,
        }
        return content if self.field is None else {**content, "field": self.field}


KNOWN: tuple[type[Exception], ...] = tuple(_NAMES)
"""The errors that are an answer to the caller. Every other error is a fault of the function."""


def of(error: Exception) -> Problem:
    """Return the problem for one of the `KNOWN` errors."""
    name, detail = _NAMES[type(error)], str(error)
    if isinstance(error, InvalidSchedule) and error.name_taken:
        return Problem("NameTaken", detail, "name")
    if isinstance(error, InvalidSchedule | InvalidRequest):
        return Problem(name, detail, field_of(detail))
    if isinstance(error, QuotaUsedUp):
        return Problem(name, detail, retry_after_s=error.retry_after_s)
    return Problem(name, detail, retry_after_s=NOT_CONFIRMED_RETRY_S if isinstance(error, NotConfirmed) else None)


def field_of(message: str) -> str | None:
    """Return the field that is at fault, which the messages of the use cases name first."""
    unknown = _UNKNOWN_FIELD.match(message)
    if unknown:
        return unknown["field"]
    found = _FIELD.match(message)
    return found["field"] if found and found["word"] in _fields() else None


@functools.cache
def _fields() -> frozenset[str]:
    """Return the fields of all requests."""
    from scheduler.managing import operations

    of_operations = {field for fields in operations.FIELDS_OF_OPERATION.values() for field in fields}
    return frozenset(request.SCHEDULE_FIELDS) | of_operations | {"schedules"}
