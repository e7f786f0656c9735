"""A connection to a checked address, bounded in time and in bytes, so that a hostile server cannot keep it busy.

A socket timeout starts again with every byte. So the end of the whole exchange limits every read and write as well. The
number of received bytes is limited, too.
"""

from __future__ import annotations

import errno
import io
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

from scheduler.value_class import value_class
from scheduler.webhooks.ip_addresses import Address

Connect = Callable[..., socket.socket]
"""Called as `socket.create_connection`."""

SEND_BYTES = 16_384
"""The bytes of one send: the maximum of one TLS record."""


NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""The immediate errors of a connect if this machine has no route to an address family."""


class Oversized(Exception):
    """The server sent more bytes than allowed."""


@value_class
class Bounds:
    """The limits of one exchange. `total_s` covers all of it, from the DNS lookup to the last byte."""

    resolve_s: float = 6
    """Long enough for a second DNS query, which the C library sends after 5 s."""
    connect_s: float = 3
    """For each address, and once more for the TLS handshake."""
    read_s: float = 10
    total_s: float = 15
    addresses_max: int = 4
    """How many addresses are tried, one after the other."""


USUAL = Bounds()


class ExchangeDeadline:
    """The end of an exchange, by the monotonic clock."""

    def __init__(self, total_s: float) -> None:
        self._end_s = time.monotonic() + total_s

    def within(self, wait_s: float) -> float:
        """Return the timeout of the next step, at most `wait_s`. Raise TimeoutError if no time is left."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the time for all of it is over")
        return min(wait_s, left_s)


class BoundedConnection:
    """The part of the socket interface that `http.client` needs, with all bounds applied."""

    def __init__(self, sock: socket.socket, exchange_deadline: ExchangeDeadline, read_s: float, bytes_max: int) -> None:
        self._sock, self._deadline, self._read_s = sock, exchange_deadline, read_s
        self._left_bytes = bytes_max

    def allow(self, more_bytes: int) -> None:
        self._left_bytes += more_bytes

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), SEND_BYTES):
            self._sock.settimeout(self._deadline.within(self._read_s))
            self._sock.sendall(view[start : start + SEND_BYTES])

    def recv_into(self, buffer: Any) -> int:
        if self._left_bytes <= 0:
            raise Oversized
        self._sock.settimeout(self._deadline.within(self._read_s))
        count = self._sock.recv_into(memoryview(buffer)[: self._left_bytes])
        self._left_bytes -= count
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode  # `http.client` only reads from it.
        return io.BufferedReader(_Reader(self))

    def settimeout(self, timeout_s: float | None) -> None:
        """Do nothing, because the bounds are already set."""

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        """Do nothing. `http.client` calls this before the answer is read, and `close_now` closes the socket instead."""

    def close_now(self) -> None:
        self._sock.close()


class _Reader(io.RawIOBase):
    def __init__(self, connection: BoundedConnection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.recv_into(buffer)


def connect_to(
    addresses: Sequence[Address], port: int, connect: Connect, bounds: Bounds, exchange_deadline: ExchangeDeadline
) -> socket.socket:
    """Connect to the first address that answers.

    An address without a route costs no time, so it does not count as tried. In most Lambda functions, this applies to
    all of IPv6. If no address answers, raise the most informative error: a timeout, then any other, then a missing
    route.
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
    """Return the socket with TLS. The certificate must match the name of the host, not its address."""
    try:
        sock.settimeout(exchange_deadline.within(bounds.connect_s))
        return context.wrap_socket(sock, server_hostname=host.strip("[]"))
    except (OSError, ValueError):
        sock.close()
        raise
