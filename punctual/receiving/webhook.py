"""Verify webhooks of Punctual by their signature, which follows Standard Webhooks: https://www.standardwebhooks.com."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from punctual.client.errors import InvalidSignature
from punctual.client.values import Json
from punctual.receiving.message import read_json

TOLERANCE_S = 300
"""How much older or newer than now a webhook may be."""
PREFIX = "whsec_"
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"

_EPOCH = re.compile(r"[0-9]{1,11}")


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook with a valid signature. `repr` leaves its data out."""

    id: str
    """The id of the schedule. A repeat has the same id."""
    sent: datetime
    """When this attempt was sent, in UTC."""
    data: str = field(repr=False)
    """The data as text."""

    @property
    def json(self) -> Json:
        """The data as the value that was scheduled, if it was no string. Raise ValueError if the data is not JSON."""
        return read_json(self.data, f"webhook {self.id}")


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes,
    secrets: str | Sequence[str],
    now: datetime | float | None = None,
) -> Webhook:
    """Return the webhook if one of the secrets signed it within five minutes of now. Otherwise raise InvalidSignature.

    `body` is the body as it came, in bytes: a parsed and rewritten one has another signature. `secrets` is one
    `whsec_…` secret or several, while they rotate. `now` is the present time, for tests.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(f"body is a {type(body).__name__}; wanted: the bytes of the request as they came")
    keys = _keys(secrets)
    id, timestamp, signatures = (_header(headers, name) for name in (ID, TIMESTAMP, SIGNATURE))
    sent_s = _sent_s(timestamp, _now_s(now))
    try:
        content = f"{id}.{timestamp}.".encode("utf-8", "surrogateescape") + bytes(body)
    except UnicodeEncodeError:
        raise InvalidSignature(f"the header {ID} is no text, so Punctual did not send it") from None
    if not _signed(content, signatures, keys):
        raise InvalidSignature(
            "no signature fits one of the secrets; check that the secret is that of the stack, "
            "and that body holds the bytes as they came"
        )
    try:
        data = bytes(body).decode()
    except UnicodeDecodeError:
        raise InvalidSignature("the body is not UTF-8, so Punctual did not send it") from None
    return Webhook(id, datetime.fromtimestamp(sent_s, UTC), data)


def _signed(content: bytes, signatures: str, keys: Sequence[bytes]) -> bool:
    """Return whether any signature is that of any key. All pairs are compared, each in constant time."""
    given = [each.removeprefix("v1,").encode("utf-8", "replace") for each in signatures.split() if each[:3] == "v1,"]
    found = False
    for key in keys:
        wanted = base64.b64encode(hmac.digest(key, content, hashlib.sha256))
        for each in given:
            found |= hmac.compare_digest(wanted, each)
    return found


def _sent_s(timestamp: str, now_s: float) -> int:
    if not _EPOCH.fullmatch(timestamp):
        raise InvalidSignature(f"the header {TIMESTAMP} is no whole number of seconds since 1970")
    sent_s = int(timestamp)
    if sent_s < now_s - TOLERANCE_S:
        raise InvalidSignature(f"the webhook was sent more than {TOLERANCE_S} s ago; check the clock of this machine")
    if sent_s > now_s + TOLERANCE_S:
        raise InvalidSignature(f"the webhook is more than {TOLERANCE_S} s in the future; check this machine's clock")
    return sent_s


def _now_s(now: datetime | float | None) -> float:
    if now is None:
        return time.time()
    if not isinstance(now, datetime):
        return float(now)
    if now.utcoffset() is None:
        raise ValueError("now has no time zone; use datetime.now(UTC), for example")
    return now.timestamp()


def _header(headers: Mapping[str, str], wanted: str) -> str:
    """Return a header. Frameworks write its name in lower case, in capitals or as `Webhook-Id`."""
    found = [value for name, value in headers.items() if name.lower() == wanted]
    if not found or not found[0]:
        raise InvalidSignature(f"the header {wanted} is missing")
    if len(found) > 1:
        raise InvalidSignature(f"the header {wanted} is there {len(found)} times")
    return str(found[0])


def _keys(secrets: str | Sequence[str]) -> list[bytes]:
    """Return the keys. Their errors say nothing of the secrets themselves."""
    texts = [secrets] if isinstance(secrets, str) else list(secrets)
    if not texts:
        raise ValueError(f"secrets is empty; wanted: the {PREFIX}… secret of the stack")
    return [_key(text, f"secret {number}" if len(texts) > 1 else "the secret") for number, text in enumerate(texts, 1)]


def _key(text: str, which: str) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"{which} is a {type(text).__name__}; wanted: a string that begins with {PREFIX}")
    if not text.startswith(PREFIX):
        raise ValueError(f"{which} does not begin with {PREFIX}")
    encoded = text.removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{which} is not base64 behind {PREFIX}") from None
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(f"{which} stands for {len(key)} bytes; wanted: {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}")
    return key
