"""The secrets that webhooks are signed with, read from Secrets Manager and kept for a while.

A new secret is in use five minutes after it was put there. While Secrets Manager does not answer, or holds nonsense,
the old ones go on for an hour: a signature that a receiver knows is better than no delivery.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scheduler import log, signing
from scheduler.answers import code, confirmed
from scheduler.errors import NotConfirmed, Undelivered

FRESH_S = 300
KEPT_S_MAX = 3_600
AGAIN_S = 30
"""After a read that failed."""
SECRETS_MAX = 2
"""The new one and the one before it."""

SECRETS_WANTED = f"one {signing.PREFIX}… or two, newest first, with a space between them or as a JSON list"


class Secrets:
    """Called by every delivery. Without an ARN there are none, and nothing is signed."""

    def __init__(self, client: Any, arn: str, clock: Callable[[], float]) -> None:
        self._client, self._arn, self._clock = client, arn, clock
        self._lock = threading.Lock()
        self._keys: Sequence[bytes] = ()
        self._read_s, self._next_s = float("-inf"), float("-inf")
        self._error = ""

    def __call__(self) -> Sequence[bytes]:
        """Newest first. Undelivered, but not for ever, where there should be some and none are to be had."""
        if not self._arn:
            return ()
        with self._lock:  # Deliveries are side by side, and one of them reads for all.
            now_s = self._clock()
            if now_s >= self._next_s:
                self._refresh(now_s)
            if now_s >= self._read_s + KEPT_S_MAX:
                raise Undelivered(self._error)
            return self._keys

    def _refresh(self, now_s: float) -> None:
        try:
            answer = confirmed(self._client.get_secret_value, SecretId=self._arn)
            self._keys = read(str(answer.get("SecretString", "")))
        except (BotoCoreError, ClientError, NotConfirmed, ValueError) as failure:
            self._error = f"the secret for signing cannot be had: {_reason(failure)}"
            self._next_s = now_s + AGAIN_S
            log.outcome("secret not read", error=self._error)
        else:
            self._read_s, self._next_s = now_s, now_s + FRESH_S


def read(text: str) -> list[bytes]:
    """The keys in a secret's text. ValueError says what is wrong with it, and shows nothing of it."""
    words = _listed(text) if text.lstrip().startswith("[") else text.replace(",", " ").split()
    if not 1 <= len(words) <= SECRETS_MAX:
        raise ValueError(f"it holds {len(words)} secrets; wanted: {SECRETS_WANTED}")
    keys = []
    for number, word in enumerate(words, 1):
        try:
            keys.append(signing.secret(word))
        except ValueError as fault:
            raise ValueError(f"number {number} in it {fault}; wanted: {SECRETS_WANTED}") from None
    return keys


def _listed(text: str) -> list[str]:
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"it is no list of strings; wanted: {SECRETS_WANTED}")
    return words


def _reason(failure: Exception) -> str:
    """AWS's own message may name the secret's content no more than ours do, but its code says enough."""
    return code(failure) if isinstance(failure, ClientError) else str(failure) or type(failure).__name__
