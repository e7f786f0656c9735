"""Send one HTTP request and read its answer, without redirects, retries, proxies or environment variables.

It works with urllib3 1.26 and 2, over a `BoundedConnection` that is already connected.
"""

from __future__ import annotations

import http.client
import logging
from collections.abc import Mapping
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as Slow

from scheduler.value_class import value_class
from scheduler.webhooks.bounded_connection import BoundedConnection, Oversized

HEAD_BYTES_MAX = 65_536
RESPONSE_BYTES_MAX = 65_536
INTERIM_MAX = 64
"""How many interim answers a server may send, such as 103 Early Hints (RFC 9110, 15.2)."""
READ_BYTES = 4_096
HEADERS_USED = frozenset(
    {b"connection", b"content-length", b"content-type", b"location", b"retry-after", b"transfer-encoding"}
)
"""The headers that `http.client` needs to frame an answer, and those that the transport reads. All others are dropped,
because Python refuses an answer with more than a hundred headers. urllib3 refuses an answer with two lengths."""

# Its warnings about odd headers contain the whole URL, which may hold a secret.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class Failed(Exception):
    """The request has no answer. The message never contains text from the server."""

    def __init__(self, why: str, timed_out: bool = False) -> None:
        super().__init__(why)
        self.timed_out = timed_out


@value_class
class Answer:
    status: int
    headers: Mapping[str, str]


class _Headed:
    """The file of an answer whose headers were already read. It returns the used header lines first."""

    def __init__(self, lines: list[bytes], file: Any) -> None:
        self._lines, self._file = lines, file

    def readline(self, limit: int = -1) -> bytes:
        return self._lines.pop(0) if self._lines else bytes(self._file.readline(limit))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Response(http.client.HTTPResponse):
    """A response that skips every interim answer (1xx) and limits headers by bytes.

    Python's response skips only 100, and limits headers by count.
    """

    def _read_status(self) -> tuple[str, int, str]:
        """Read the status line of the final answer. 101 is final, because no other HTTP answer follows it."""
        for _ in range(INTERIM_MAX + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # Not in its stubs.
            lines = _used_headers(self.fp)
            if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
                self.fp = _Headed(lines, self.fp)  # type: ignore[assignment]
                return version, status, reason
        raise Failed(f"more than {INTERIM_MAX} times 1xx, and no answer")


def _used_headers(file: Any) -> list[bytes]:
    """Read all headers, and return the first line of each used header. The connection bounds the bytes."""
    lines: dict[bytes, bytes] = {}
    while (line := file.readline(HEAD_BYTES_MAX)) not in (b"\r\n", b"\n", b""):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in HEADERS_USED and (name != b"content-length" or value.strip().isdigit()):
            lines.setdefault(name, line)
    return [*lines.values(), b"\r\n"]


class _Connection(HTTPConnection):
    """A connection that is already open, and requests the path unchanged.

    urllib3 never sees the path, because version 1.26 reads //a as a host, and its logs show paths.
    """

    response_class = _Response

    def __init__(self, *positional: Any, connection: BoundedConnection, path: str, **named: Any) -> None:
        super().__init__(*positional, **named)
        self._connection, self._path = connection, path

    def connect(self) -> None:
        self.sock = self._connection

    def putrequest(self, method: str, url: str, *positional: Any, **named: Any) -> None:
        super().putrequest(method, self._path, *positional, **named)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


def exchange(
    connection: BoundedConnection, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> Answer:
    """Send a request, return the status and the headers, and close the connection.

    The body is dropped, because it may repeat the request in any form. An error in the body does not matter.
    """
    # The pool requires a host, but does not use it.
    pool = _Pool("connected", maxsize=1, retries=False, connection=connection, path=path)
    try:
        response = pool.urlopen(
            method, "/", body=body, headers=dict(headers), redirect=False, assert_same_host=False,
            preload_content=False, decode_content=False,
        )  # fmt: skip
        connection.allow(RESPONSE_BYTES_MAX)
        _read_out(response)
        response.close()
        return Answer(response.status, response.headers)
    except Oversized:
        raise Failed(f"an answer of more than {HEAD_BYTES_MAX} bytes before its body") from None
    except (HTTPError, http.client.HTTPException, OSError, ValueError) as failure:
        raise _failed(failure) from None
    finally:
        pool.close()
        connection.close_now()


def _failed(failure: Exception) -> Failed:
    cause = failure.args[-1] if failure.args and isinstance(failure.args[-1], Exception) else failure
    if isinstance(failure, Slow) or isinstance(cause, TimeoutError):
        return Failed("no answer in time", timed_out=True)
    return Failed(f"no answer ({type(cause).__name__})")


def _read_out(response: Any) -> None:
    """Read the body up to the bound, so that the server does not see an aborted connection."""
    try:
        for _ in range(RESPONSE_BYTES_MAX // READ_BYTES):
            if not response.read(READ_BYTES):
                break
    except (HTTPError, http.client.HTTPException, OSError, ValueError, Oversized):
        pass  # The status is already known.
