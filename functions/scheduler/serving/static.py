"""Routes that need no key: the OpenAPI document, and the files of the console."""

from __future__ import annotations

import json
from pathlib import Path

from scheduler.serving.http_request import HttpRequest
from scheduler.serving.http_response import Response, of_text

DOCUMENT_PATH = Path(__file__).with_name("openapi.json")


def document(http: HttpRequest) -> Response:
    """Return the document, with the address at which it was asked for."""
    http.fields(())
    content = json.loads(DOCUMENT_PATH.read_text(encoding="utf-8"))
    content["servers"] = [{"url": http.full_path.removesuffix("/openapi.json") or "/"}]
    return of_text(200, json.dumps(content, ensure_ascii=False), "application/json")
