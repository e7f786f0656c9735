"""Sign webhooks by the Standard Webhooks convention, version 1: https://www.standardwebhooks.com

A receiver computes the signature of the received id, time and body. It compares the two, and refuses an old request. A
request has one signature for each secret while secrets rotate, and any of them is sufficient.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
"""The limits of the convention."""
APPLICATION_INFO = b"punctual application "
"""The beginning of HKDF's `info`. The id of the application follows."""


def secret(text: str) -> bytes:
    """Return the key of a `whsec_…` secret. Raise ValueError without showing the text if it is invalid."""
    if not text.startswith(PREFIX):
        raise ValueError(f"does not begin with {PREFIX}")
    encoded = text.removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"is not base64 behind {PREFIX}") from None
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(f"stands for {len(key)} bytes; wanted: {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}")
    return key


def application_key(key: bytes, application: str) -> bytes:
    """Return the key that signs the webhooks of an application: HKDF with SHA-256 (RFC 5869), without a salt.

    Who knows it can neither find the key of the stack nor that of another application.
    """
    extracted = hmac.new(bytes(hashlib.sha256().digest_size), key, hashlib.sha256).digest()
    return hmac.new(extracted, APPLICATION_INFO + application.encode() + b"\x01", hashlib.sha256).digest()


def headers(id: str, now_s: float, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """Return the three headers of a signed webhook, or none if there is no secret."""
    if not secrets:
        return {}
    timestamp = str(int(now_s))
    content = f"{id}.{timestamp}.".encode() + body
    signatures = [hmac.new(key, content, hashlib.sha256).digest() for key in secrets]
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(each).decode()}" for each in signatures),
    }


def text_of(key: bytes) -> str:
    """Return the `whsec_…` text of a key."""
    return PREFIX + base64.b64encode(key).decode()
