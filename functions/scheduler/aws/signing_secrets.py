"""The secrets that webhooks are signed with, read from Secrets Manager and kept for a while.

A new secret is in use five minutes after it was put there. While Secrets Manager does not answer, or holds nonsense,
the old ones go on for an hour: a signature that a receiver knows is better than no delivery. And while one delivery
waits for the answer, the others go on with them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scheduler import log
from scheduler.aws.calls import code, confirmed
from scheduler.errors import NotConfirmed, Undelivered
from scheduler.webhooks import signing

FRESH_S = 300
KEPT_S_MAX = 3_600
AGAIN_S = 30
"""After a read that failed."""
SECRETS_MAX = 2
"""The new one and the one before it."""

SECRETS_WANTED = f"one {signing.PREFIX}… or two, newest first, with a space between them or as a JSON list"


@dataclass(frozen=True, slots=True)
class CachedSecrets:
    """What is known at a moment; another takes its place as a whole."""

    keys: Sequence[bytes] = ()
    until_s: float = float("-inf")
    """So long they hold."""
    next_s: float = float("-inf")
    """From then on they are to be read anew."""
    error: str = ""


class Secrets:
    """Called by every delivery. Without an ARN there are none, and nothing is signed."""

    def __init__(self, client: Any, arn: str, clock: Callable[[], float]) -> None:
        self._client, self._arn, self._clock = client, arn, clock
        self._reading = threading.Lock()
        self._held = CachedSecrets()

    def __call__(self) -> Sequence[bytes]:
        """Newest first. Undelivered, as a fault of our own, where there should be some and none are to be had."""
        if not self._arn:
            return ()
        now_s = self._clock()
        if now_s >= self._held.next_s:
            self._renew(now_s)
        held = self._held
        if now_s >= held.until_s:
            raise Undelivered(held.error, ours=True)
        return held.keys

    def _renew(self, now_s: float) -> None:
        """Deliveries are side by side, and one of them reads for all. Nobody waits for it who has keys that hold:
        Secrets Manager may hang as any service may."""
        if not self._reading.acquire(blocking=now_s >= self._held.until_s):
            return
        try:
            if now_s >= self._held.next_s:
                self._held = self._read(now_s)
        finally:
            self._reading.release()

    def _read(self, now_s: float) -> CachedSecrets:
        try:
            answer = confirmed(self._client.get_secret_value, SecretId=self._arn)
            keys = read(str(answer.get("SecretString", "")))
        except (BotoCoreError, ClientError, NotConfirmed, ValueError) as failure:
            error = f"the secret for signing cannot be had: {_reason(failure)}"
            log.outcome("secret not read", error=error)
            return replace(self._held, next_s=now_s + AGAIN_S, error=error)
        return CachedSecrets(keys, now_s + KEPT_S_MAX, now_s + FRESH_S)


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
