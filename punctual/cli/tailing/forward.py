"""Post messages to a URL, usually of a program on this machine that is under development."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from typing import TYPE_CHECKING

from punctual.cli.errors import WrongUsage
from punctual.cli.schedules.shown import timestamp

if TYPE_CHECKING:
    from punctual.receiving.message import Message

ANSWER_S_MAX = 30
"""Shorter than the time for which a message stays hidden."""
PATH_SAFE = "/%:@!$&'()*+,;=-._~"
QUERY_SAFE = PATH_SAFE + '?[]{}|^`\\"<>'
HEADER_SAFE = " !#$&'()*+,-./:;<=>?@[]^_`{|}~"


class Forwarder:
    """Posts to one URL. It follows no redirect and takes no proxy from the environment."""

    def __init__(self, url: str) -> None:
        refusal = WrongUsage(f"--forward is {url!r}: write a URL such as http://127.0.0.1:8000/reminders")
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise refusal from None
        if not host or " " in host or parts.scheme not in ("http", "https") or not url.isprintable():
            raise refusal
        self._secure, self._host, self._port = parts.scheme == "https", host, port
        path = urllib.parse.quote(parts.path or "/", safe=PATH_SAFE)
        self._path = f"{path}?{urllib.parse.quote(parts.query, safe=QUERY_SAFE)}" if parts.query else path

    def post(self, message: Message) -> int:
        """Post the data, with the attributes as headers. Return the status, or raise OSError without an answer."""
        connection = self._connection()
        try:
            connection.request("POST", self._path, message.data.encode(), headers_of(message))
            return connection.getresponse().status
        except (http.client.HTTPException, UnicodeError) as error:  # A host may have no form for DNS.
            raise OSError(f"no answer of HTTP ({type(error).__name__})") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=ANSWER_S_MAX, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_S_MAX)


def headers_of(message: Message) -> dict[str, str]:
    """Return the attributes as headers. A text that no header can hold is percent-encoded."""
    headers = {
        "Content-Type": "application/json" if _is_json(message.data) else "text/plain; charset=utf-8",
        "User-Agent": "punctual",
        "Punctual-Id": _in_header(message.id),
        "Punctual-Due": str(timestamp(message.due)),
    }
    if message.name is not None:
        headers["Punctual-Name"] = _in_header(message.name)
    if message.user is not None:
        headers["Punctual-User"] = _in_header(message.user)
    if message.application is not None:
        headers["Punctual-Application"] = _in_header(message.application)
    return headers


def _in_header(text: str) -> str:
    """Return a text for a header. Somebody else may have sent the message, with a name that Punctual would refuse."""
    return urllib.parse.quote(text, safe=HEADER_SAFE)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
