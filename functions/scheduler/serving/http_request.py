"""Read the event that API Gateway makes of an HTTP request. The event has the format 1.0 of a Lambda proxy.

A REST API passes paths on as they were sent, with their percent signs. So a path is decoded here, once. An empty
segment and the segments `.` and `..` are refused, because proxies on the way may remove them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from scheduler.limits import BATCH_SCHEDULES_MAX
from scheduler.serving.problems import Problem
from scheduler.text import did_you_mean, shown
from scheduler.value_class import value_class

BODY_BYTES_MAX = 4_000_000
"""Lambda accepts 6 MB for the whole event, in which API Gateway escapes the body once more."""
BODY_WANTED = f"at most {BODY_BYTES_MAX} bytes and {BATCH_SCHEDULES_MAX} schedules in one request"
_NO_SEGMENTS = ("", ".", "..")


@value_class
class HttpRequest:
    method: str
    resource: str
    """The path of the route as the document has it, such as `/names/{name+}`."""
    path: str
    """The path as it was sent."""
    full_path: str
    """The path with the stage or the mapping of a domain in front."""
    parameters: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    """The names are in lower case."""
    text: str
    id: str

    def check_path(self) -> None:
        segments = _decoded(self.path).split("/")[1:]
        if any(segment in _NO_SEGMENTS for segment in segments):
            raise Problem(
                "InvalidRequest",
                f"the path is {shown(self.path)}; wanted: a path in which no segment is empty, . or ..",
            )

    def parameter(self, name: str) -> str:
        """Return a part of the path, decoded once."""
        return _decoded(self.parameters[name])

    def fields(self, accepted: Sequence[str]) -> dict[str, str]:
        """Return the query. Refuse a parameter that is unknown or given twice."""
        found: dict[str, str] = {}
        for name, values in self.query.items():
            if name not in accepted:
                wanted = ", ".join(accepted) or "no parameters"
                raise Problem(
                    "InvalidRequest",
                    f"{shown(name)} is not a parameter here{did_you_mean(name, accepted)}; accepted are {wanted}",
                    name[:64],
                )
            if len(values) > 1:
                raise Problem("InvalidRequest", f"{name} is given {len(values)} times; wanted: once", name)
            found[name] = values[0]
        return found

    def json_body(self) -> Any:
        """Return what the body holds. Refuse a body that is too large or not JSON."""
        size_bytes = len(self.text) if self.text.isascii() else len(self.text.encode(errors="surrogatepass"))
        if size_bytes > BODY_BYTES_MAX:
            raise Problem("TooLarge", f"the body has {size_bytes} bytes; wanted: {BODY_WANTED}")
        if not self.text.strip():
            raise Problem("InvalidRequest", "the body is empty; wanted: JSON")
        try:
            return json.loads(self.text)
        except json.JSONDecodeError as fault:
            place = f"line {fault.lineno}, column {fault.colno}"
            raise Problem("InvalidRequest", f"the body is not JSON: {fault.msg} at {place}; wanted: JSON") from None
        except (ValueError, RecursionError):  # A number of thousands of digits, or thousands of brackets.
            raise Problem("InvalidRequest", "the body is not JSON that can be read; wanted: JSON") from None

    def json_object(self) -> dict[str, Any]:
        content = self.json_body()
        if not isinstance(content, dict):
            raise Problem("InvalidRequest", f"the body is {shown(content)}; wanted: a JSON object")
        return content


def read(event: Mapping[str, Any]) -> HttpRequest:
    context = event.get("requestContext") or {}
    return HttpRequest(
        method=event["httpMethod"],
        resource=event["resource"],
        path=event["path"],
        full_path=context.get("path") or event["path"],
        parameters=event.get("pathParameters") or {},
        query=event.get("multiValueQueryStringParameters") or {},
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        text=_text(event),
        id=context.get("requestId") or "",
    )


def _text(event: Mapping[str, Any]) -> str:
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body
    return base64.b64decode(body).decode(errors="replace")


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Problem("InvalidRequest", f"the path is {shown(text)}; wanted: a path in UTF-8") from None
