"""Let the pages of one other origin use the API, if the owner of the stack names it. By default no page may.

The console is no other origin: the API serves it.
"""

from __future__ import annotations

from scheduler.serving.http_request import HttpRequest
from scheduler.serving.http_response import HEADERS, Response

ALLOWED_METHODS = "GET, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = "Content-Type, Idempotency-Key, X-Api-Key"
RESPONSE_HEADERS = "Date, Location, Retry-After"
PREFLIGHT_S = "600"


def preflight() -> Response:
    """Answer the question of a browser before the request itself."""
    return {"statusCode": 204, "headers": dict(HEADERS), "body": ""}


def permitted(response: Response, http: HttpRequest, allowed_origin: str) -> Response:
    """Return the response, with the headers for the browser if the request comes from the allowed origin."""
    if not allowed_origin:
        return response
    headers = {**response["headers"], "Vary": "Origin"}
    if http.headers.get("origin") == allowed_origin:
        headers |= {
            "Access-Control-Allow-Origin": allowed_origin,
            "Access-Control-Allow-Methods": ALLOWED_METHODS,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Expose-Headers": RESPONSE_HEADERS,
            "Access-Control-Max-Age": PREFLIGHT_S,
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
    return {**response, "headers": headers}
