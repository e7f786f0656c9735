"""The trials of the HTTP API, each in a fresh process."""

from __future__ import annotations

import hashlib
import importlib
import json
import time
from collections.abc import Callable
from typing import Any

Measurement = dict[str, float]
KEY = "pk" + "0" * 40
CREDENTIAL = {
    "partition": {"S": "keys"},
    "sort": {"S": hashlib.sha256(KEY.encode()).hexdigest()},
    "id": {"S": "owner-00000000"},
    "application": {"S": ""},
    "scope": {"S": "control"},
    "state": {"S": "active"},
    "created": {"N": "0"},
}
"""The item of a key of the owner."""
TIMEOUT_S = 28
WARM_CALLS = 30
FAR_S, NEAR_S = 100_000, 100


class Context:
    """The context that Lambda passes to a handler."""

    def __init__(self) -> None:
        self._ends_s = time.monotonic() + TIMEOUT_S

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_s - time.monotonic()) * 1000)


def post(trial: dict[str, Any]) -> Measurement:
    """Time `POST /schedules` and a direct invocation with the same schedule in turns, in one warm process."""
    direct, api = (importlib.import_module(name).handler for name in ("schedule", "api"))
    ahead_s = FAR_S if trial["distance"] == "far" else NEAR_S
    cpu_s = {"ours": 0.0, "reference": 0.0}

    def timed(who: str, handler: Callable[..., Any], event: Any) -> Any:
        begun_s, context = time.process_time(), Context()
        answer = handler(event, context)
        cpu_s[who] += time.process_time() - begun_s
        return answer

    for index in range(trial["count"] + WARM_CALLS):
        if index == WARM_CALLS:
            cpu_s = {"ours": 0.0, "reference": 0.0}
        schedule = {"timestamp": int(time.time()) + ahead_s, "data": f"{index:0100d}"}
        timed("reference", direct, schedule)
        assert timed("ours", api, _event(schedule))["statusCode"] == 201
    return {f"{who}_cpu_s": seconds for who, seconds in cpu_s.items()}


def _event(schedule: dict[str, Any]) -> dict[str, Any]:
    """Return the event of API Gateway, with the headers that a client on the internet has."""
    headers = {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "Host": "abcdefghij.execute-api.us-east-1.amazonaws.com",
        "User-Agent": "curl/8.5.0",
        "X-Api-Key": KEY,
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    }
    return {
        "resource": "/schedules",
        "path": "/schedules",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"path": "/v1/schedules", "stage": "v1", "requestId": "0" * 36, "httpMethod": "POST"},
        "body": json.dumps(schedule),
        "isBase64Encoded": False,
    }
