"""A small webhook receiver on loopback, so that a demonstration needs no other server.

It answers 200, or refuses the first few requests to some paths with 503. It keeps every request with its time.
"""

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler

from punctual.local.loopback import LoopbackServer


@dataclasses.dataclass(frozen=True)
class Request:
    """A request: for which schedule, when, and whether it was accepted."""

    id: str
    due_s: float
    received_s: float
    taken: bool


class Receiver(LoopbackServer):
    """`with Receiver({"/path": 2}) as receiver:` refuses the first two requests to that path, and no others.

    Its `origin` has the form of the WebhookHosts parameter.
    """

    def __init__(self, refusals: Mapping[str, int]) -> None:
        self._refusals = dict(refusals)
        self._counts: Counter[str] = Counter()
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        super().__init__(self._handler())

    def requests(self) -> list[Request]:
        """Return all requests so far."""
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
                """Log nothing, because the view shows the requests."""

        return Handler
