"""Serve one HTTP request: find its route, check its key, and answer. A request that fails gets a problem document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler import log
from scheduler.execution.deadline import Deadline
from scheduler.model.application import CONTROL
from scheduler.serving import problems, routes
from scheduler.serving.cross_origin import permitted, preflight
from scheduler.serving.dependencies import Caller, ServingDependencies
from scheduler.serving.http_request import HttpRequest, read
from scheduler.serving.http_response import Response, of_problem
from scheduler.serving.problems import Problem
from scheduler.text import shown

KEY_HEADER = "X-Api-Key"


def serve(event: Mapping[str, Any], dependencies: ServingDependencies, deadline: Deadline) -> Response:
    http = read(event)
    facts: dict[str, Any] = {}
    try:
        response = _answered(http, dependencies, deadline, facts)
    except Problem as problem:
        response = of_problem(problem)
    except problems.KNOWN as error:
        response = of_problem(problems.of(error))
    log.outcome("served", method=http.method, route=http.resource, status=response["statusCode"], **facts)
    return permitted(response, http, dependencies.allowed_origin)


def _answered(
    http: HttpRequest, dependencies: ServingDependencies, deadline: Deadline, facts: dict[str, Any]
) -> Response:
    """Return the answer, and add to the facts whose key it was."""
    route = http.method, http.resource
    if route in routes.OPEN:
        return routes.open_answer(route)(http)
    if http.method == "OPTIONS" and dependencies.allowed_origin:
        return preflight()
    if route not in routes.KEYED:
        raise Problem("NotFound", f"{http.method} {shown(http.path)} is no request of the API; see /openapi.json")
    caller = _caller(http, dependencies, deadline)
    facts |= caller.facts()
    if CONTROL == routes.KEYED[route] != caller.credential.scope:
        raise Problem("NotAllowed", f"the key {caller.credential.key_id} may create schedules and nothing else")
    http.check_path()
    return log.about(caller.credential.application, routes.keyed_answer(route), http, caller, deadline)


def _caller(http: HttpRequest, dependencies: ServingDependencies, deadline: Deadline) -> Caller:
    key = http.headers.get(KEY_HEADER.lower())
    if not key:
        raise Problem("KeyMissing", f"the header {KEY_HEADER} is missing; wanted: a key of the API")
    return Caller(dependencies.authenticate(key, deadline.now_ms()), dependencies, http.id)
