"""The routes of the API, as the document openapi.json has them, and the key that each needs."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

from scheduler.execution.deadline import Deadline
from scheduler.model.application import CONTROL, DATA, Scope
from scheduler.serving import controlling, creating, static
from scheduler.serving.dependencies import Caller
from scheduler.serving.http_request import HttpRequest
from scheduler.serving.http_response import Response


class Keyed(NamedTuple):
    needs: Scope
    """The scope that the key must have. A control key may do all that a data key may."""
    answer: Callable[[HttpRequest, Caller, Deadline], Response]


KEYED = MappingProxyType(
    {
        ("POST", "/schedules"): Keyed(DATA, creating.create),
        ("GET", "/schedules"): Keyed(CONTROL, controlling.list_),
        ("GET", "/schedules/{id}"): Keyed(CONTROL, controlling.get),
        ("PATCH", "/schedules/{id}"): Keyed(CONTROL, controlling.change),
        ("DELETE", "/schedules/{id}"): Keyed(CONTROL, controlling.cancel),
        ("POST", "/schedules/cancel"): Keyed(CONTROL, controlling.cancel_where),
        ("GET", "/names/{name+}"): Keyed(CONTROL, controlling.get),
        ("PUT", "/names/{name+}"): Keyed(CONTROL, creating.put),
        ("PATCH", "/names/{name+}"): Keyed(CONTROL, controlling.change),
        ("DELETE", "/names/{name+}"): Keyed(CONTROL, controlling.cancel),
        ("GET", "/forecast"): Keyed(CONTROL, controlling.forecast),
        ("GET", "/failures"): Keyed(CONTROL, controlling.failures),
        ("POST", "/failures/redrive"): Keyed(CONTROL, controlling.redrive),
        ("GET", "/status"): Keyed(CONTROL, controlling.status),
    }
)
OPEN: MappingProxyType[tuple[str, str], Callable[[HttpRequest], Response]] = MappingProxyType(
    {
        ("GET", "/openapi.json"): static.document,
        ("GET", "/console"): static.page,
        ("GET", "/console/{file+}"): static.page,
    }
)
"""The routes that need no key."""
