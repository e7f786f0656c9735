"""The secrets that sign webhooks. They are read from Secrets Manager and cached.

A new secret is in use within five minutes. If Secrets Manager does not answer or holds an invalid secret, the old ones
stay in use for an hour: a signature that the receiver knows is better than no delivery. While one delivery waits for
the answer, the others use the cached secrets.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scheduler import log
from scheduler.aws.calls import code, confirmed
from scheduler.errors import NotConfirmed, Undelivered
from scheduler.value_class import value_class
from scheduler.webhooks import signing

FRESH_S = 300
KEPT_S_MAX = 3_600
AGAIN_S = 30
"""The wait after a failed read."""
SECRETS_MAX = 2
"""The new secret and the previous one."""

SECRETS_WANTED = f"one {signing.PREFIX}… or two, newest first, with a space between them or as a JSON list"


@value_class
class CachedSecrets:
    """The secrets known at a moment. A read replaces the whole object."""

    keys: Sequence[bytes] = ()
    until_s: float = float("-inf")
    """The time until which the keys are valid."""
    next_s: float = float("-inf")
    """The time of the next read."""
    error: str = ""


class Secrets:
    """Returns the signing keys to every delivery. Without an ARN it returns no keys, and webhooks are not signed."""

    def __init__(self, client: Any, arn: str, clock: Callable[[], float]) -> None:
        self._client, self._arn, self._clock = client, arn, clock
        self._reading = threading.Lock()
        self._held = CachedSecrets()

    def __call__(self) -> Sequence[bytes]:
        """Return the keys, newest first. Raise Undelivered, as our own fault, if the stack has no valid key."""
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
        """Read the secrets once for all deliveries that run in parallel.

        A delivery that has valid keys does not wait for the read, because Secrets Manager may hang.
        """
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
    """Return the keys in a secret's text. ValueError says what is wrong, and quotes nothing of it."""
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
    """Return the code of an AWS error, because AWS's message may quote the secret. Our own messages do not."""
    return code(failure) if isinstance(failure, ClientError) else str(failure) or type(failure).__name__
