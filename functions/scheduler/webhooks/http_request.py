"""One request by HTTP and its answer: no redirects, no retries, no proxies, and nothing from the environment.

It is urllib3's, of the generations 1.26 and 2, and speaks over a `Wire` that is connected already.
"""

from __future__ import annotations

import http.client
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as Slow

from scheduler.webhooks.bounded_connection import BoundedConnection, Oversized

HEAD_BYTES_MAX = 65_536
BODY_BYTES_MAX = 65_536
INTERIM_MAX = 64
"""So many times a server may say something before its answer, such as 103 Early Hints (RFC 9110, 15.2)."""
PIECE_BYTES = 4_096
HEADERS_USED = frozenset(
    {b"connection", b"content-length", b"content-type", b"location", b"retry-after", b"transfer-encoding"}
)
"""All that `http.client` frames an answer by, and what is read of it. Python refuses an answer with more than a hundred
headers, and urllib3 one with two lengths, whatever its status."""

# It warns of odd headers with the whole URL, which may hold a secret.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class Failed(Exception):
    """No answer. The text says why in a word or two that are ours or Python's, not the other side's."""

    def __init__(self, why: str, timed_out: bool = False) -> None:
        super().__init__(why)
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]


class _Headed:
    """The file of an answer after its headers were read. It hands out the lines of those that are used."""

    def __init__(self, lines: list[bytes], file: Any) -> None:
        self._lines, self._file = lines, file

    def readline(self, limit: int = -1) -> bytes:
        return self._lines.pop(0) if self._lines else bytes(self._file.readline(limit))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Response(http.client.HTTPResponse):
    """Python's own passes over 100 alone, takes every other of the 1xx for the answer, and bounds headers by count."""

    def _read_status(self) -> tuple[str, int, str]:
        """Of the answer: 101 is one, for nothing follows by HTTP."""
        for _ in range(INTERIM_MAX + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # Not in its stubs.
            lines = _used_headers(self.fp)
            if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
                self.fp = _Headed(lines, self.fp)  # type: ignore[assignment]
                return version, status, reason
        raise Failed(f"more than {INTERIM_MAX} times 1xx, and no answer")


def _used_headers(file: Any) -> list[bytes]:
    """Read headers to their end, whose bytes the wire bounds, and return the first line of each that is used."""
    lines: dict[bytes, bytes] = {}
    while (line := file.readline(HEAD_BYTES_MAX)) not in (b"\r\n", b"\n", b""):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in HEADERS_USED and (name != b"content-length" or value.strip().isdigit()):
            lines.setdefault(name, line)
    return [*lines.values(), b"\r\n"]


class _Connection(HTTPConnection):
    """Is connected already, and asks for the path as it is: urllib3 1.26 takes //a for a host, and logs show paths."""

    response_class = _Response

    def __init__(self, *positional: Any, wire: BoundedConnection, path: str, **named: Any) -> None:
        super().__init__(*positional, **named)
        self._wire, self._path = wire, path

    def connect(self) -> None:
        self.sock = self._wire

    def putrequest(self, method: str, url: str, *positional: Any, **named: Any) -> None:
        super().putrequest(method, self._path, *positional, **named)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


def exchange(wire: BoundedConnection, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    """Ends with the wire hung up. What becomes of the body changes nothing: the status stands. Nothing of the body is
    kept, because it may repeat what was sent, in any form."""
    pool = _Pool(
        "connected", maxsize=1, retries=False, wire=wire, path=path
    )  # A host has to be given, and is not used.
    try:
        response = pool.urlopen(
            method, "/", body=body, headers=dict(headers), redirect=False, assert_same_host=False,
            preload_content=False, decode_content=False,
        )  # fmt: skip
        wire.allow(BODY_BYTES_MAX)
        _read_out(response)
        response.close()
        return Answer(response.status, response.headers)
    except Oversized:
        raise Failed(f"an answer of more than {HEAD_BYTES_MAX} bytes before its body") from None
    except (HTTPError, http.client.HTTPException, OSError, ValueError) as failure:
        raise _failed(failure) from None
    finally:
        pool.close()
        wire.hang_up()


def _failed(failure: Exception) -> Failed:
    cause = failure.args[-1] if failure.args and isinstance(failure.args[-1], Exception) else failure
    if isinstance(failure, Slow) or isinstance(cause, TimeoutError):
        return Failed("no answer in time", timed_out=True)
    return Failed(f"no answer ({type(cause).__name__})")


def _read_out(response: Any) -> None:
    """Read the body to its end, so that no server takes us for gone, but never more than the bound."""
    try:
        for _ in range(BODY_BYTES_MAX // PIECE_BYTES):
            if not response.read(PIECE_BYTES):
                break
    except (HTTPError, http.client.HTTPException, OSError, ValueError, Oversized):
        pass  # Cut off.
