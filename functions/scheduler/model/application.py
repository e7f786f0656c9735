"""Applications and their keys. An application is a team or a customer that shares the stack with others.

Each application has its own schedules, names, keys and limits, and a list of the targets that it may use. The owner of
the stack is an application, too: its id is empty, and its items have the keys that they had before applications.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

from scheduler.value_class import value_class

Scope = Literal["control", "data"]
KeyState = Literal["active", "disabled"]
ApplicationState = Literal["active", "deleted"]

CONTROL: Scope = "control"
"""May do everything within its application."""
DATA: Scope = "data"
"""May create schedules and nothing else."""

OWNER_NAME = "owner"
CANARY_NAME = "punctual-canary"
"""The name of the canary's application. Only the canary creates it."""
OUTPUT = "output"
"""The default target that stands for the output queue of the stack."""
ID_DIGITS = 8

_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")
_KEY = re.compile(r"pk[0-9a-f]{40}")
_KEY_ID = re.compile(rf"(?P<application>{OWNER_NAME}|[0-9a-f]{{{ID_DIGITS}}})-[0-9a-f]{{{ID_DIGITS}}}")


@value_class
class Application:
    id: str
    """Eight hex digits that no other application ever had, or nothing for the owner."""
    name: str
    targets: tuple[str, ...] = ()
    """The ARNs that its schedules may name as their target."""
    failure_targets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """The hosts of its webhooks, written as in the parameter WebhookHosts."""
    default_target: str | None = None
    """`output`, or the canonical text of a target. With None, each of its schedules has to name a target."""
    rate: int = 0
    """The requests a second that API Gateway passes on for each of its keys."""
    burst: int = 0
    created_ms: int = 0
    state: ApplicationState = "active"
    quota: int = 0
    """How many schedules it may create in a day of UTC with its keys. 0 sets no limit."""

    @property
    def is_owner(self) -> bool:
        return not self.id


OWNER = Application("", OWNER_NAME, default_target=OUTPUT)
"""The owner has the lists of the stack's parameters instead of lists of its own."""


@value_class
class Credential:
    """What the table keeps about a key. The key itself is known to its user alone."""

    key_id: str
    application: str
    """The id of the application. It is empty for the owner."""
    scope: Scope
    state: KeyState = "active"
    created_ms: int = 0
    ends_ms: int | None = None
    """When the key ends because another key has replaced it."""

    def is_usable(self, now_ms: int) -> bool:
        return self.state == "active" and (self.ends_ms is None or now_ms < self.ends_ms)


def is_application_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def looks_like_key(value: object) -> bool:
    """Return whether this may be a key. The answer costs no call, so it also stops floods of anything else."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def new_key(bits: int) -> str:
    """Return the key that is made of 160 random bits. It has letters and digits only, because API Gateway keeps it."""
    return f"pk{bits:040x}"


def digest_of(key: str) -> str:
    """Return the SHA-256 under which the table keeps a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_id_of(application: str, bits: int) -> str:
    """Return the id of a key, which begins with its application. Commands and log lines show this id."""
    return f"{application or OWNER_NAME}-{bits:08x}"


def application_of(key_id: object) -> str | None:
    """Return the application in the id of a key, or None if this is no such id."""
    found = _KEY_ID.fullmatch(key_id) if isinstance(key_id, str) else None
    if found is None:
        return None
    return "" if found["application"] == OWNER_NAME else found["application"]
