"""Routes that need no key: the OpenAPI document, and the files of the console."""

from __future__ import annotations

import json
from pathlib import Path

from scheduler.console import files
from scheduler.serving.http_request import HttpRequest
from scheduler.serving.http_response import Response, of_text
from scheduler.serving.problems import Problem
from scheduler.text import shown

DOCUMENT_PATH = Path(__file__).with_name("openapi.json")


def document(http: HttpRequest) -> Response:
    """Return the document, with the address at which it was asked for."""
    http.fields(())
    content = json.loads(DOCUMENT_PATH.read_text(encoding="utf-8"))
    content["servers"] = [{"url": http.full_path.removesuffix("/openapi.json") or "/"}]
    return of_text(200, json.dumps(content, ensure_ascii=False), "application/json")


def page(http: HttpRequest) -> Response:
    """Return the page of the console, or one of its files. Its address has no slash at the end, for its links."""
    if http.resource == "/console" and http.path.endswith("/"):
        return of_text(308, "", "text/plain", {"Location": "../console"})
    path = http.parameter("file") if "file" in http.parameters else ""
    found = files.find(path)
    if found is None:
        raise Problem("NotFound", f"the console has no file {shown(path)}")
    headers = {**found.headers, "Cross-Origin-Opener-Policy": "same-origin"}
    return of_text(200, found.content, found.content_type, headers)


ANSWERS = {("GET", "/openapi.json"): document, ("GET", "/console"): page, ("GET", "/console/{file+}"): page}
