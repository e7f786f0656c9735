"""A small receiver of webhooks on loopback, so that one can be seen to arrive without anybody else's server.

It answers 200, and at some paths refuses the first few requests with 503. Every request is kept with the moment at
which it came.
"""

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from punctual.local.emulator import HOST


@dataclasses.dataclass(frozen=True)
class Request:
    """What came: for which schedule, when, and whether it was taken."""

    id: str
    due_s: float
    received_s: float
    taken: bool


class Receiver:
    """`with Receiver({"/path": 2}) as receiver:` refuses the first two requests at that path, and no others."""

    def __init__(self, refusals: Mapping[str, int]) -> None:
        self._refusals = dict(refusals)
        self._counts: Counter[str] = Counter()
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        """As a list of WebhookHosts has it."""
        return f"http://{HOST}:{self._server.server_port}"

    def requests(self) -> list[Request]:
        """All that came so far."""
        with self._lock:
            return list(self._requests)

    def _note(self, path: str, id: str, due_s: float) -> bool:
        received_s = time.time()
        with self._lock:
            self._counts[path] += 1
            taken = self._counts[path] > self._refusals.get(path, 0)
            self._requests.append(Request(id, due_s, received_s, taken))
        return taken

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        note = self._note

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                taken = note(self.path, self.headers.get("punctual-id", ""), float(self.headers.get("punctual-due", 0)))
                self.send_response(200 if taken else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """The view tells what came."""

        return Handler
