"""The HTTP API: whether its stage is deployed, and whether its function answers. It needs no key."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

from punctual.cli.inspecting.checks.finding import Answer, Check, fault, not_checked, ok
from punctual.cli.inspecting.checks.functions import log_group
from punctual.cli.inspecting.subject import Subject

ANSWER_S_MAX = 35
"""Longer than API Gateway waits for the function."""
DOCUMENT_BYTES_MAX = 1_000_000
DOCUMENT = "/openapi.json"
NO_STAGE = (403, 404)
"""API Gateway answers these if it does not know the stage or the route. The document itself needs no key."""
TOO_MANY = 429
ON_AGAIN = (
    "make the API again: punctual deploy --parameter ApiEnabled=false, then the same with true, "
    "then punctual apps repair; its address changes"
)


def api(subject: Subject) -> Iterator[Answer]:
    """The OpenAPI document comes from the function, through the stage."""
    address = subject.optional_output("ApiUrl")
    if address is None:
        yield ok("the stack has no HTTP API")
        return
    try:
        status, content = _read(address + DOCUMENT)
    except (OSError, ValueError, http.client.HTTPException) as failure:
        yield fault(
            f"the HTTP API at {address} does not answer: {getattr(failure, 'reason', None) or failure}",
            "check the network between this machine and that address",
        )
        return
    yield _judged(address, status, content, subject)


def _judged(address: str, status: int, content: bytes, subject: Subject) -> Answer:
    if status == TOO_MANY:
        return not_checked("the HTTP API gets too many requests at the moment; run doctor again")
    if status in NO_STAGE:
        return fault(f"the HTTP API at {address} answers {status}: its stage or this route is gone", ON_AGAIN)
    if status >= http.client.INTERNAL_SERVER_ERROR:
        function = subject.functions.get("ApiFunction")
        log = f"aws logs tail {log_group(subject, function)} --since 1h" if function else "that of ApiFunction"
        return fault(f"the HTTP API at {address} answers {status}: its function fails", f"read its log: {log}")
    if status != http.client.OK or not _is_document(content):
        return fault(
            f"{address}{DOCUMENT} answers {status} with something else than the document of the API",
            "check whether a proxy answers in its place",
        )
    return ok(f"the HTTP API answers at {address}")


def _read(url: str) -> tuple[int, bytes]:
    """Return the status and the body. The local AWS is never asked through a proxy."""
    is_local = urllib.parse.urlsplit(url).hostname in ("127.0.0.1", "localhost")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({} if is_local else None))
    try:
        with opener.open(url, timeout=ANSWER_S_MAX) as answer:
            return answer.status, answer.read(DOCUMENT_BYTES_MAX)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def _is_document(content: bytes) -> bool:
    try:
        return "openapi" in json.loads(content)
    except (ValueError, RecursionError, TypeError):
        return False


CHECKS = (Check("api", api),)
