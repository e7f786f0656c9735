"""Routes that create schedules: one, a batch, or one under a name."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from scheduler import audit
from scheduler.accepting import batch, scheduling
from scheduler.errors import InvalidSchedule
from scheduler.execution.deadline import Deadline
from scheduler.limits import ANSWER_BYTES_MAX, BATCH_SCHEDULES_MAX
from scheduler.model.application import DATA, OWNER_NAME
from scheduler.placing import naming
from scheduler.serving.dependencies import WHOSE, Caller
from scheduler.serving.http_request import BODY_WANTED, HttpRequest
from scheduler.serving.http_response import Response, escaped_bytes, of_json
from scheduler.serving.problems import Problem
from scheduler.text import shown

MESSAGE_CHARACTERS_MAX = 150
"""How much of each message is left in an answer that would be too large."""


def create(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    """Accept one schedule, or a batch."""
    whose = http.fields(caller.fields).get(WHOSE)
    event = http.json_body()
    _check_count(event)
    event = _with_token(event, http.headers.get("idempotency-key"))
    if caller.credential.scope == DATA:
        event = _without_replacing(event)
    answer = _accepted(event, caller, whose, deadline)
    if batch.is_batch(event):
        return of_json(200, _fitted(answer))
    return of_json(201, answer, _location(http, event, answer, whose))


def put(http: HttpRequest, caller: Caller, deadline: Deadline) -> Response:
    """Create the schedule under a name, or replace it."""
    whose = http.fields(caller.fields).get(WHOSE)
    name, event = http.parameter("name"), http.json_object()
    if event.get("name", name) != name:
        raise Problem("InvalidRequest", f"name is {shown(event['name'])}, and the path has {shown(name)}", "name")
    event = _with_token({**event, "name": name}, http.headers.get("idempotency-key"))
    answer = _accepted(event, caller, whose, deadline)
    if answer.get("result") != "created":
        return of_json(200, answer)
    return of_json(201, answer, {"Location": http.full_path + _query(whose)})


def _accepted(event: Any, caller: Caller, whose: str | None, deadline: Deadline) -> dict[str, Any]:
    """Accept what the quota of the application has room for."""
    members = event.get("schedules") if isinstance(event, dict) else event
    count = len(members) if isinstance(members, list) else 1
    caller.check_quota(count, deadline)
    named = caller.credential.application or whose or OWNER_NAME
    try:
        with audit.unconfirmed("schedule", caller.actor, named):
            answer = scheduling.accept(event, caller.scheduling(whose, deadline), deadline)
    except InvalidSchedule as refusal:
        if caller.credential.scope == DATA:
            raise InvalidSchedule(naming.without_id(str(refusal)), refusal.name_taken) from None
        raise
    facts = {fact: answer[fact] for fact in ("id", "state") if fact in answer}
    audit.changed("schedule", caller.actor, named, answer.get("accepted", 1), **facts)
    if caller.credential.scope == DATA:
        for refused in (each for each in answer.get("results", ()) if "message" in each):
            refused["message"] = naming.without_id(refused["message"])
    return answer


def _check_count(event: object) -> None:
    members = event.get("schedules") if isinstance(event, dict) else event
    if isinstance(members, list) and len(members) > BATCH_SCHEDULES_MAX:
        raise Problem("TooLarge", f"the body has {len(members)} schedules; wanted: {BODY_WANTED}", "schedules")


def _with_token(event: Any, key: str | None) -> Any:
    """Return the event with the Idempotency-Key as its token. Both must agree if both are given."""
    if key is None:
        return event
    if isinstance(event, list):
        return {"schedules": event, "token": key}
    if isinstance(event, dict):
        if event.get("token", key) != key:
            raise Problem("InvalidRequest", "token and the header Idempotency-Key differ; wanted: one of them", "token")
        return {**event, "token": key}
    return event


def _without_replacing(event: Any) -> Any:
    """Return the event with `if_exists: fail` for each name. A data key may create, and neither replace nor look."""
    if isinstance(event, list):
        return [_with_fail(each) for each in event]
    if isinstance(event, dict) and isinstance(event.get("schedules"), list):
        return {**event, "schedules": [_with_fail(each) for each in event["schedules"]]}
    return _with_fail(event)


def _with_fail(member: Any) -> Any:
    if not isinstance(member, dict) or "name" not in member:
        return member
    if member.get("if_exists", "fail") != "fail":
        raise Problem(
            "NotAllowed", f"if_exists is {shown(member['if_exists'])}; wanted with a data key: fail", "if_exists"
        )
    return {**member, "if_exists": "fail"}


def _query(whose: str | None) -> str:
    return "" if whose is None else f"?application={quote(whose, safe='')}"


def _location(http: HttpRequest, event: Any, answer: dict[str, Any], whose: str | None) -> dict[str, str]:
    """Return the address of the schedule. A near schedule without a name has none, because nobody can look it up."""
    if event.get("name") is not None:
        path = f"names/{quote(event['name'])}"
    elif answer["state"] == "stored":
        path = f"schedules/{answer['id']}"
    else:
        return {}
    return {"Location": http.full_path.removesuffix("schedules") + path + _query(whose)}


def _fitted(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer with shorter messages if it would be too large."""
    if escaped_bytes(answer) <= ANSWER_BYTES_MAX:
        return answer
    results = [
        {**each, "message": each["message"][:MESSAGE_CHARACTERS_MAX] + "…"} if "message" in each else each
        for each in answer["results"]
    ]
    return {**answer, "results": results}


ANSWERS = {("POST", "/schedules"): create, ("PUT", "/names/{name+}"): put}
