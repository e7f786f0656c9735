"""The HTTP API on loopback over a virtual stack, to try the API and the console without AWS and without waiting.

    python -m punctual.local.api_server

One thread runs the stack, because the virtual AWS belongs to the thread that made it. Every request waits for its turn.
"""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Literal, TypeVar

from punctual.local.loopback import LoopbackServer
from punctual.testing import HttpAnswer, Stack
from punctual.testing.gateway import STAGE

Result = TypeVar("Result")

BODY_BYTES_MAX = 10 * 1024 * 1024
"""API Gateway's own limit."""
PREFIX = f"/{STAGE}"


class ApiServer(LoopbackServer):
    """`with ApiServer(lambda: Stack(ApiEnabled=True)) as server:` serves the API at `server.url`."""

    def __init__(self, make_stack: Callable[[], Stack], *, port: int = 0, real_time: bool = False) -> None:
        self._runner = ThreadPoolExecutor(max_workers=1)
        self._real_time = real_time
        try:
            self._stack = self._runner.submit(make_stack).result()
            super().__init__(self._handler(), port)
        except BaseException:
            self._runner.shutdown()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._runner.shutdown()

    @property
    def url(self) -> str:
        """The address of the API, as in the output ApiUrl."""
        return f"{self.origin}{PREFIX}"

    def run(self, action: Callable[[Stack], Result]) -> Result:
        """Run an action with the stack, such as `lambda stack: stack.advance(hours=1)`, and return its result."""
        return self._runner.submit(action, self._stack).result()

    def new_key(self, scope: Literal["control", "data"] = "control") -> str:
        """Return a new key of the owner."""
        made = self.run(lambda stack: stack.administer("create", name="owner"))
        key: str = made[scope]["key"]
        return key

    def _answer(self, method: str, path: str, body: str, headers: dict[str, str]) -> tuple[HttpAnswer, float]:
        def send(stack: Stack) -> tuple[HttpAnswer, float]:
            if self._real_time:
                stack.advance_to(max(stack.now, time.time()))
            return stack.request(method, path.removeprefix(PREFIX), body, headers=headers), stack.now

        return self.run(send)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer_of = self._answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __getattr__(self, name: str) -> Any:
                """Serve every method. API Gateway answers 404 to one that the API does not have."""
                if name.startswith("do_"):
                    return self.serve
                raise AttributeError(name)

            def serve(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                if length > BODY_BYTES_MAX:
                    self.close_connection = True
                    self.send_error(413)
                    return
                body = self.rfile.read(length).decode(errors="replace")
                answer, now_s = answer_of(self.command, self.path, body, dict(self.headers.items()))
                content = answer.text.encode()
                self.send_response_only(answer.status)
                self.send_header("Date", formatdate(now_s, usegmt=True))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                with suppress(ConnectionError):  # The client has given up.
                    self.end_headers()
                    self.wfile.write(b"" if self.command == "HEAD" else content)

            def log_message(self, *_: Any) -> None:
                """Log nothing: the stack keeps the log of its functions."""

        return Handler


def main() -> None:
    """Serve a stack whose clock is that of this machine, until Ctrl+C."""

    def make() -> Stack:
        return Stack(start=time.time(), seed=secrets.randbits(32), ApiEnabled=True)

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with ApiServer(make, port=port, real_time=True) as server:
        print(f"API:     {server.url}\nConsole: {server.url}/console\nKey:     {server.new_key()}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
