"""Hosts that receive webhooks on loopback and answer after a while, or never."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

HOST = "127.0.0.1"
ANSWER_S = 0.1
NEVER_S = 60
BACKLOG = 1_000
"""Connections that the host has not accepted yet."""
HEAD_END = b"\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Host:
    """A receiver of webhooks that answers after a while, or never, and records when each request came."""

    answer_s: float | None
    arrivals_s: list[float] = field(default_factory=list)
    port: int = 0

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def open(self) -> None:
        server = await asyncio.start_server(self._attend, HOST, 0, backlog=BACKLOG)
        self.port = server.sockets[0].getsockname()[1]

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(HEAD_END)
            self.arrivals_s.append(time.time())
            await asyncio.sleep(NEVER_S if self.answer_s is None else self.answer_s)
            writer.write(ANSWER)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # The client did not wait for the answer, or the trial has ended.
        finally:
            writer.close()


class Hosts:
    """Several hosts in one thread, which runs as long as the `with` block."""

    def __init__(self, *hosts: Host) -> None:
        self._hosts = hosts
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Hosts:
        self._thread.start()
        for host in self._hosts:
            asyncio.run_coroutine_threadsafe(host.open(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(_end_of_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_of_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
