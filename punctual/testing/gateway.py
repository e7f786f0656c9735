"""The virtual API Gateway: turns an HTTP request into an event for the API function, and its answer into a response.

It has the routes of the template, and the answers that API Gateway gives by itself. It does not know which keys exist,
and it does not throttle.

Source: "Set up Lambda proxy integrations in API Gateway", input format for REST APIs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

STAGE = "v1"


@dataclass(frozen=True)
class HttpAnswer:
    """The response to an HTTP request. The names of its headers are in lower case."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body, which is JSON for everything but the console."""
        return json.loads(self.text)


@dataclass(frozen=True)
class HttpRequest:
    method: str
    path: str
    """The path below the stage, as it is sent, with its query."""
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Gateway:
    """An API with the definition that the template has."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self._responses = definition["x-amazon-apigateway-gateway-responses"]
        self._routes = {
            (method.upper(), path): bool(operation.get("security"))
            for path, operations in definition["paths"].items()
            for method, operation in operations.items()
        }

    def event(self, request: HttpRequest, request_id: str, now_s: float) -> dict[str, Any] | HttpAnswer:
        """Return the event for the function, or the answer if the request does not reach the function."""
        path, _, query = request.path.partition("?")
        found = self._route(request.method, path)
        if found is None:
            return self._own("MISSING_AUTHENTICATION_TOKEN")
        resource, parameters = found
        headers = {name.lower(): value for name, value in request.headers.items()}
        if self._routes[request.method, resource] and not headers.get("x-api-key"):
            return self._own("INVALID_API_KEY")
        values = parse_qs(query, keep_blank_values=True)
        return {
            "resource": resource,
            "path": path,
            "httpMethod": request.method,
            "headers": dict(request.headers) or None,
            "multiValueHeaders": {name: [value] for name, value in request.headers.items()} or None,
            "queryStringParameters": {name: each[-1] for name, each in values.items()} or None,
            "multiValueQueryStringParameters": values or None,
            "pathParameters": parameters or None,
            "stageVariables": None,
            "requestContext": {
                "resourcePath": resource,
                "httpMethod": request.method,
                "path": f"/{STAGE}{path}",
                "stage": STAGE,
                "requestId": request_id,
                "requestTimeEpoch": round(now_s * 1000),
                "identity": {"sourceIp": "127.0.0.1"},
            },
            "body": request.body or None,
            "isBase64Encoded": False,
        }

    def too_large(self) -> HttpAnswer:
        """Return the response to a request that is too large for Lambda."""
        return self._own("REQUEST_TOO_LARGE")

    def failed(self) -> HttpAnswer:
        """Return the response if the function fails."""
        return self._own("DEFAULT_5XX", 502)

    def answer(self, response: Mapping[str, Any]) -> HttpAnswer:
        """Return the response that the function's answer becomes."""
        headers = {name.lower(): str(value) for name, value in response["headers"].items()}
        return HttpAnswer(int(response["statusCode"]), response["body"], headers)

    def _own(self, kind: str, status: int = 0) -> HttpAnswer:
        """Return an answer of API Gateway itself."""
        response = self._responses[kind]
        ((content_type, text),) = response["responseTemplates"].items()
        headers = {
            name.removeprefix("gatewayresponse.header.").lower(): value.strip("'")
            for name, value in response["responseParameters"].items()
        }
        return HttpAnswer(int(response.get("statusCode", status)), text, {**headers, "content-type": content_type})

    def _route(self, method: str, path: str) -> tuple[str, dict[str, str]] | None:
        """Return the route of a path and its parameters. A literal segment wins over a parameter."""
        segments = path.strip("/").split("/")
        found = [
            (resource, parameters)
            for known, resource in self._routes
            if known == method and (parameters := _matched(resource.strip("/").split("/"), segments)) is not None
        ]
        return min(found, key=lambda each: len(each[1]), default=None)


def _matched(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    """Return the parameters of a path, or None if it has another pattern. The parameter `{name+}` takes the rest."""
    parameters: dict[str, str] = {}
    for number, part in enumerate(pattern):
        if number >= len(segments):
            return None
        if part.endswith("+}"):
            return {**parameters, part[1:-2]: "/".join(segments[number:])} if any(segments[number:]) else None
        if part.startswith("{"):
            parameters[part[1:-1]] = segments[number]
        elif part != segments[number]:
            return None
    return parameters if len(pattern) == len(segments) else None
