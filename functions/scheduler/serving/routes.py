"""The routes of the API, as the document openapi.json has them, and the key that each needs.

Creating a schedule is what most requests do. The modules for all other routes are imported when they are first used, so
that they do not make each cold start longer.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

from scheduler.model.application import CONTROL, DATA, Scope
from scheduler.serving import creating

if TYPE_CHECKING:
    from scheduler.execution.deadline import Deadline
    from scheduler.serving.dependencies import Caller
    from scheduler.serving.http_request import HttpRequest
    from scheduler.serving.http_response import Response

Route = tuple[str, str]
"""The method of a request, and the path of its route."""

KEYED: MappingProxyType[Route, Scope] = MappingProxyType(
    {
        ("POST", "/schedules"): DATA,
        ("GET", "/schedules"): CONTROL,
        ("GET", "/schedules/{id}"): CONTROL,
        ("PATCH", "/schedules/{id}"): CONTROL,
        ("DELETE", "/schedules/{id}"): CONTROL,
        ("POST", "/schedules/cancel"): CONTROL,
        ("GET", "/names/{name+}"): CONTROL,
        ("PUT", "/names/{name+}"): CONTROL,
        ("PATCH", "/names/{name+}"): CONTROL,
        ("DELETE", "/names/{name+}"): CONTROL,
        ("GET", "/forecast"): CONTROL,
        ("GET", "/failures"): CONTROL,
        ("POST", "/failures/redrive"): CONTROL,
        ("GET", "/deliveries"): CONTROL,
        ("GET", "/status"): CONTROL,
    }
)
"""The scope that a key must have. A control key may do all that a data key may."""
OPEN = frozenset({("GET", "/openapi.json"), ("GET", "/console"), ("GET", "/console/{file+}")})
"""The routes that need no key."""


def keyed_answer(route: Route) -> Callable[[HttpRequest, Caller, Deadline], Response]:
    """Return the function that answers a request with a key."""
    if route in creating.ANSWERS:
        return creating.ANSWERS[route]
    from scheduler.serving import controlling

    return controlling.ANSWERS[route]


def open_answer(route: Route) -> Callable[[HttpRequest], Response]:
    """Return the function that answers a request without a key."""
    from scheduler.serving import static

    return static.ANSWERS[route]
