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
HEADER_SAFE = " !#$&'()*+,-./:;<=>?@[]^_`{|}~"


class Forwarder:
    """Posts to one URL. It follows no redirect and takes no proxy from the environment."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or not url.isprintable():
            raise WrongUsage(f"--forward is {url!r}: write a URL such as http://127.0.0.1:8000/reminders")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
        self._path = f"{path}?{parts.query}" if parts.query else path

    def post(self, message: Message) -> int:
        """Post the data, with the attributes as headers. Return the status, or raise OSError without an answer."""
        connection = self._connection()
        try:
            connection.request("POST", self._path, message.data.encode(), headers_of(message))
            return connection.getresponse().status
        except http.client.HTTPException as error:
            raise OSError(f"no answer of HTTP ({type(error).__name__})") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=ANSWER_S_MAX, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_S_MAX)


def headers_of(message: Message) -> dict[str, str]:
    """Return the attributes as headers. A text beyond ASCII is percent-encoded."""
    headers = {
        "Content-Type": "application/json" if _is_json(message.data) else "text/plain; charset=utf-8",
        "User-Agent": "punctual",
        "Punctual-Id": message.id,
        "Punctual-Due": str(timestamp(message.due)),
    }
    if message.name is not None:
        headers["Punctual-Name"] = message.name
    if message.user is not None:
        headers["Punctual-User"] = urllib.parse.quote(message.user, safe=HEADER_SAFE)
    return headers


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
