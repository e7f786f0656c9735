"""Authenticate requests by their keys.

An execution environment reads a key once and trusts the answer for 60 seconds, so a disabled key is refused within 60
seconds. It also remembers keys that do not exist, so that a client with a wrong key costs one read a minute. No key is
logged, stored or part of an error.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from scheduler.errors import KeyRefused
from scheduler.execution.fresh_answers import FreshAnswers
from scheduler.model.application import OWNER, Application, Credential, digest_of, looks_like_key

if TYPE_CHECKING:
    from scheduler.aws.applications.stored import Applications

ANSWERS_MAX = 1_000
"""How many answers of each kind are kept."""


class Keyring:
    """The keys and applications that this execution environment has read. One request at a time uses it."""

    def __init__(self, stored: Applications) -> None:
        self._stored = stored
        self._known = FreshAnswers[Credential](ANSWERS_MAX)
        self._unknown = FreshAnswers[None](ANSWERS_MAX)
        """Apart from the others: a flood of wrong keys does not push out the right ones."""
        self._applications = FreshAnswers[Application | None](ANSWERS_MAX)

    def authenticate(self, key: str, now_ms: int) -> Credential:
        """Return the credential of a key, or raise KeyRefused. Raise NotConfirmed if the table does not answer."""
        if not looks_like_key(key):
            raise KeyRefused("the key is none of this stack")
        credential = self._credential(digest_of(key), now_ms)
        if credential is None:
            raise KeyRefused("the key is none of this stack")
        if not credential.is_usable(now_ms):
            raise KeyRefused(f"the key {credential.key_id} is disabled, or another key has replaced it")
        if self.application(credential.application, now_ms) is None:
            raise KeyRefused(f"the application of the key {credential.key_id} is deleted")
        return credential

    def application(self, application_id: str, now_ms: int) -> Application | None:
        """Return an application, or None if it does not exist or is deleted."""
        if not application_id:
            return OWNER
        read = self._applications.get(application_id, now_ms)
        if read is not None:
            return read.answer
        found = self._stored.get(application_id)
        return self._applications.keep(
            application_id, found if found is not None and found.state == "active" else None, now_ms
        )

    def _credential(self, digest: str, now_ms: int) -> Credential | None:
        read = self._known.get(digest, now_ms)
        if read is not None:
            return read.answer
        if self._unknown.get(digest, now_ms) is not None:
            return None
        found = self._stored.credential(digest)
        if found is None or not hmac.compare_digest(found[0], digest):
            return self._unknown.keep(digest, None, now_ms)
        return self._known.keep(digest, found[1], now_ms)
