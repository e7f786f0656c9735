"""Answer for AWS on a loopback port, in a process of its own.

`python -m bench.laboratory.standin` prints the port, and ends when its stdin closes. The stand-in takes as long as
AWS does, but without using the CPU that the measured client needs. It carries out a request on arrival and sends the
answer when the delay has passed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import zlib
from collections.abc import Callable
from typing import Any

from bench.laboratory.services import Item, Services

DYNAMODB_S = 0.004
SQS_S = 0.008
LAMBDA_S = 0.008
"""Latency within a region, measured by the function on an open connection."""
DATA_CHARACTERS = 100

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *(?:DynamoDB_20120810|(AmazonSQS))\.(\w+)", re.IGNORECASE)
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class Standin:
    """The services, and how long each takes."""

    def __init__(self) -> None:
        self._reset()

    def control(self, order: str, body: dict[str, Any]) -> object:
        """Carry out an order of the bench that AWS does not offer."""
        orders: dict[str, Callable[..., object]] = {
            "reset": self._reset,
            "preload": self._preload,
            "lay": self._lay,
            "throttle": self.services.database.throttle,
            "figures": self.services.figures,
            "invoked": self.services.taken,
            "waiting": self._waiting,
            "ready": self._ready,
        }
        return orders[order](**body)

    def _reset(self, throttled: bool = False, waits: bool = True) -> None:
        self.services, self.waits, self._there = Services(throttled), waits, 0

    def _preload(self, count: int, partitions: int, first_due_s: int, spread_s: int) -> None:
        """Store schedules like the schedule function does, spread evenly over partitions and time."""
        for index in range(count):
            due_ms = first_due_s * 1000 + index * spread_s * 1000 // count
            item = {
                "partition": {"S": str(index % partitions)},
                "sort": {"S": f"{due_ms:015d}#{index:016x}"},
                "data": {"S": f"{index:0{DATA_CHARACTERS}d}"},
            }
            self.services.database.preload(item)

    def _lay(self, items: list[Item]) -> None:
        """Store exactly these items without counting them."""
        for item in items:
            self.services.database.preload(item)

    def _waiting(self, partitions: list[str], before_s: float) -> int:
        before = f"{int(before_s * 1000):015d}"
        return sum(self.services.database.waiting(partition, before) for partition in partitions)

    def _ready(self, more: int) -> int:
        """Return how many workers are ready to start."""
        self._there += more
        return self._there


class Connection(asyncio.Protocol):
    """One persistent connection. It answers its requests one after the other."""

    def __init__(self, standin: Standin, loop: asyncio.AbstractEventLoop) -> None:
        self._standin, self._loop = standin, loop
        self._received = bytearray()
        self._known = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end])
        length = _LENGTH.search(head)
        total = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < total:
            return
        body = bytes(self._received[end + 4 : total])
        del self._received[:total]
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].decode()
        if path.startswith("/_standin/"):
            answer = self._standin.control(path.rpartition("/")[2], json.loads(body or b"{}"))
            self._send(_response(200, json.dumps(answer).encode()))
            return
        services = self._standin.services
        if not self._known:
            self._known = True
            services.counted["connections"] += 1
        target = _TARGET.search(head)
        if target:
            status, answered = services.answer(_snake(target[2].decode()), body)
            wait_s = SQS_S if target[1] else DYNAMODB_S
        elif path.endswith("/invocations"):
            services.invoke(body)
            status, answered, wait_s = 202, b"", LAMBDA_S
        else:
            status, answered, wait_s = 404, b"{}", 0
        services.counted["bytes_answered"] += len(answered)
        if self._standin.waits:
            self._loop.call_later(wait_s, self._send, _response(status, answered))
        else:
            self._send(_response(status, answered))

    def _send(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)


def _snake(operation: str, known: dict[str, str] = {}) -> str:  # noqa: B006 - Remembers the few operation names.
    if operation not in known:
        known[operation] = _WORD.sub("_", operation).lower()
    return known[operation]


def _response(status: int, body: bytes) -> bytes:
    """Add the headers that AWS sends, because the client reads all of them."""
    return (
        b"HTTP/1.1 %d AWS\r\nServer: Server\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\n"
        b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\nConnection: keep-alive\r\n"
        b"x-amzn-RequestId: 00000000-0000-0000-0000-000000000000\r\nx-amz-crc32: %d\r\n\r\n%b"
        % (status, len(body), zlib.crc32(body), body)
    )


async def _serve(tell: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    standin, ended = Standin(), asyncio.Event()
    server = await loop.create_server(lambda: Connection(standin, loop), "127.0.0.1", 0, backlog=256)
    tell(server.sockets[0].getsockname()[1])
    await loop.connect_read_pipe(lambda: _Lifeline(ended), sys.stdin)
    await ended.wait()
    server.close()


class _Lifeline(asyncio.Protocol):
    """End the process when the bench ends. The bench's end of the pipe then closes, however the bench ended."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


def main() -> None:
    gc.disable()  # This process makes no reference cycles, and a pause would look like a slow AWS.
    asyncio.run(_serve(lambda port: print(port, flush=True)))


if __name__ == "__main__":
    main()
