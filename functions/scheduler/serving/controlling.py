"""Routes that read and change schedules: each is an operation of the manage function."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scheduler import VERSION
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import ANSWER_BYTES_MAX
from scheduler.managing import operations
from scheduler.managing import status as stack_status
from scheduler.managing.paging import NEXT_CHARACTERS_MAX
from scheduler.model.application import OWNER_NAME
from scheduler.serving.dependencies import WHOSE, Caller
from scheduler.serving.http_request import HttpRequest
from scheduler.serving.http_response import Response, escaped_bytes, of_json
from scheduler.serving.problems import Problem
from scheduler.text import shown

NUMBERS = ("bucket", "limit")
MOMENTS = ("from", "to")
TRUTHS = ("full", "estimate")
LIMITS_TRIED_MAX = 11
"""A page of 1,000 is halved ten times until it is a page of one."""


def get(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    return _answered("get", {**_which(http), **_query(http, caller, "full")}, caller, deadline)


def change(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    """Change the given fields. A delay of 0 alone fires the schedule."""
    which, fields = {**_which(http), **_query(http, caller)}, http.json_object()
    for field in ("name", "id", WHOSE):
        if field in fields:
            raise Problem("InvalidRequest", f"{field} is given in the body; wanted: in the address alone", field)
    is_fire = set(fields) == {"delay"} and type(fields["delay"]) in (int, float) and fields["delay"] == 0
    return _answered("fire" if is_fire else "change", {**which, **({} if is_fire else fields)}, caller, deadline)


def cancel(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    return _answered("cancel", {**_which(http), **_query(http, caller)}, caller, deadline)


def list_(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    fields = _query(http, caller, *operations.FIELDS_OF_OPERATION["list"])
    return of_json(200, _fitting_page("list", "schedules", fields, caller, deadline))


def failures(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    fields = _query(http, caller, *operations.FIELDS_OF_OPERATION["failures"])
    return of_json(200, _fitting_page("failures", "failures", fields, caller, deadline))


def deliveries(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    return _answered("deliveries", _query(http, caller, "day"), caller, deadline)


def cancel_where(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    return _answered("cancel_where", {**http.json_object(), **_query(http, caller)}, caller, deadline)


def redrive(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    return _answered("redrive", {**http.json_object(), **_query(http, caller)}, caller, deadline)


def forecast(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    """Count the schedules of each bucket. An estimate is kept for a minute."""
    fields = _query(http, caller, *operations.FIELDS_OF_OPERATION["forecast"])
    if fields.get("estimate") is not True:
        return _answered("forecast", fields, caller, deadline)
    estimates, now_ms = caller.dependencies.estimates, deadline.now_ms()
    question = caller.credential.application, json.dumps(fields, sort_keys=True)
    kept = estimates.get(question, now_ms)
    if kept is not None:
        return of_json(200, kept.answer)
    return of_json(200, estimates.keep(question, _managed("forecast", fields, caller, deadline), now_ms))


def status(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    """Return the version, whose key this is, and what is overdue. The owner also sees the state of the stack."""
    http.fields(())
    credential = caller.credential
    answer = {"version": VERSION, "application": credential.application or OWNER_NAME, "scope": credential.scope}
    if not caller.is_owner:
        return of_json(200, answer | stack_status.of_application(caller.managing(), deadline))
    queues = retry_call(caller.dependencies.queue_counts, deadline)
    return of_json(200, answer | stack_status.of_stack(caller.managing(), deadline) | {"queues": dict(queues)})


def _query(http: HttpRequest, caller: Caller, *accepted: str) -> dict[str, Any]:
    """Return the query with numbers and truths in place of their texts. The owner may name another application."""
    return _typed(http.fields((*accepted, *caller.fields)))


def _which(http: HttpRequest) -> dict[str, str]:
    return {name: http.parameter(name) for name in http.parameters if name in ("name", "id")}


def _answered(operation: str, fields: Mapping[str, Any], caller: Caller, deadline: Deadline) -> Response:
    return of_json(200, _managed(operation, fields, caller, deadline))


def _managed(operation: str, fields: Mapping[str, Any], caller: Caller, deadline: Deadline) -> dict[str, Any]:
    if "operation" in fields:
        raise Problem("InvalidRequest", "'operation' is not a field here; the path says it", "operation")
    return operations.manage({"operation": operation, **fields}, caller.managing(), deadline, caller.actor)


def _fitting_page(
    operation: str, listed: str, fields: dict[str, Any], caller: Caller, deadline: Deadline
) -> dict[str, Any]:
    """Return a page that fits into the answer of a function, where each quote in the body takes more space.

    A page that is too large is read again with half of its entries. One entry always fits.
    """
    answer = _managed(operation, fields, caller, deadline)
    for _ in range(LIMITS_TRIED_MAX):
        count = len(answer[listed])
        if count <= 1 or escaped_bytes(answer) <= ANSWER_BYTES_MAX:
            break
        answer = _managed(operation, {**fields, "limit": count // 2}, caller, deadline)
    return answer


def _typed(fields: Mapping[str, str]) -> dict[str, Any]:
    """Convert the texts of a query. The use case checks what they mean."""
    return {name: _value(name, text) for name, text in fields.items()}


def _value(name: str, text: str) -> Any:
    if name in TRUTHS:
        if text not in ("true", "false"):
            raise Problem("InvalidRequest", f"{name} is {shown(text)}; wanted: true or false", name)
        return text == "true"
    if name in NUMBERS or name in MOMENTS:
        number = _number(text)
        if number is None and name in NUMBERS:
            raise Problem("InvalidRequest", f"{name} is {shown(text)}; wanted: a number", name)
        return text if number is None else number
    if name == "next" and len(text) > NEXT_CHARACTERS_MAX:
        raise Problem("InvalidRequest", f"next is {shown(text)}; wanted: the next of the answer before", name)
    return text


def _number(text: str) -> int | float | None:
    """Return the number that JSON would read, or None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if type(value) in (int, float) else None


ANSWERS = {
    ("GET", "/schedules"): list_,
    ("GET", "/schedules/{id}"): get,
    ("PATCH", "/schedules/{id}"): change,
    ("DELETE", "/schedules/{id}"): cancel,
    ("POST", "/schedules/cancel"): cancel_where,
    ("GET", "/names/{name+}"): get,
    ("PATCH", "/names/{name+}"): change,
    ("DELETE", "/names/{name+}"): cancel,
    ("GET", "/forecast"): forecast,
    ("GET", "/failures"): failures,
    ("POST", "/failures/redrive"): redrive,
    ("GET", "/deliveries"): deliveries,
    ("GET", "/status"): status,
}
