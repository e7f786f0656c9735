"""Make the answers that API Gateway turns into HTTP responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scheduler.serving.problems import CONTENT_TYPE, Problem

Response = dict[str, Any]

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
"""The headers of every answer. The files of the console have others in place of some."""


def of_json(status: int, content: object, headers: Mapping[str, str] | None = None) -> Response:
    return of_text(status, written(content), "application/json", headers)


def of_problem(problem: Problem) -> Response:
    wait = {} if problem.retry_after_s is None else {"Retry-After": str(problem.retry_after_s)}
    return of_text(problem.status, written(problem.document()), CONTENT_TYPE, wait)


def of_text(status: int, text: str, content_type: str, headers: Mapping[str, str] | None = None) -> Response:
    return {"statusCode": status, "headers": {**HEADERS, "Content-Type": content_type, **(headers or {})}, "body": text}


def written(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def escaped_bytes(content: object) -> int:
    """Return the size of an answer within the answer of the function, which is JSON that holds the body as a string."""
    return len(json.dumps(written(content)))
