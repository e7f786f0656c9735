"""A connection to an address that was checked, which nobody at its other end can keep open for long or fill up.

A timeout of a socket begins anew with every byte. So every read and write here is bounded by the end of the whole
exchange as well, and only so many bytes are taken in.
"""

from __future__ import annotations

import errno
import io
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.webhooks.ip_addresses import Address

Connect = Callable[..., socket.socket]
"""Called as `socket.create_connection`."""

PIECE_BYTES = 16_384
"""Sent at once: what fits one record of TLS."""


NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""What a connect fails with at once where this machine has no way to a family of addresses."""


class Oversized(Exception):
    """More came than is taken."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one exchange, in seconds; the last holds for all of it, from the resolver to the last byte."""

    resolve_s: float = 6
    """The C library asks a second time after 5."""
    connect_s: float = 3
    """For each address, and once more for the handshake of TLS."""
    read_s: float = 10
    total_s: float = 15
    addresses_max: int = 4
    """So many are tried, one after the other."""


USUAL = Bounds()


class ExchangeDeadline:
    """By a clock that nobody sets back."""

    def __init__(self, total_s: float) -> None:
        self._end_s = time.monotonic() + total_s

    def within(self, wait_s: float) -> float:
        """What may be waited now, never more than `wait_s`; TimeoutError where nothing is left."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the time for all of it is over")
        return min(wait_s, left_s)


class BoundedConnection:
    """As much of a socket as `http.client` wants of one."""

    def __init__(self, sock: socket.socket, exchange_deadline: ExchangeDeadline, read_s: float, bytes_max: int) -> None:
        self._sock, self._deadline, self._read_s = sock, exchange_deadline, read_s
        self._left_bytes = bytes_max

    def allow(self, more_bytes: int) -> None:
        self._left_bytes += more_bytes

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), PIECE_BYTES):
            self._sock.settimeout(self._deadline.within(self._read_s))
            self._sock.sendall(view[start : start + PIECE_BYTES])

    def recv_into(self, buffer: Any) -> int:
        if self._left_bytes <= 0:
            raise Oversized
        self._sock.settimeout(self._deadline.within(self._read_s))
        count = self._sock.recv_into(memoryview(buffer)[: self._left_bytes])
        self._left_bytes -= count
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode  # Only ever for reading.
        return io.BufferedReader(_Intake(self))

    def settimeout(self, timeout_s: float | None) -> None:
        """The bounds are set already."""

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        """`http.client` says so as soon as it knows that no other answer will follow, before this one is read."""

    def hang_up(self) -> None:
        self._sock.close()


class _Intake(io.RawIOBase):
    def __init__(self, wire: BoundedConnection) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.recv_into(buffer)


def connect_to(
    addresses: Sequence[Address], port: int, connect: Connect, bounds: Bounds, exchange_deadline: ExchangeDeadline
) -> socket.socket:
    """Connect to the first address that answers.

    An address without a route from here, such as any of IPv6 in most of Lambda, costs no time. It does not count as
    tried. If no address answers, the most telling failure is raised: a timeout, then any other, then a missing route.
    """
    failures: list[OSError] = []
    for address in addresses:
        if sum(_rank(each) > 0 for each in failures) >= bounds.addresses_max:
            break
        try:
            return connect((str(address), port), timeout=exchange_deadline.within(bounds.connect_s))
        except OSError as failure:
            failures.append(failure)
    raise max(failures, key=_rank, default=OSError("no address"))


def _rank(failure: OSError) -> int:
    if isinstance(failure, TimeoutError):
        return 2
    return 0 if failure.errno in NO_ROUTE else 1


def wrap_tls(
    sock: socket.socket, host: str, context: ssl.SSLContext, bounds: Bounds, exchange_deadline: ExchangeDeadline
) -> ssl.SSLSocket:
    """With TLS, for the name of the host, whatever its address."""
    try:
        sock.settimeout(exchange_deadline.within(bounds.connect_s))
        return context.wrap_socket(sock, server_hostname=host.strip("[]"))
    except (OSError, ValueError):
        sock.close()
        raise
