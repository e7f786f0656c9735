"""The keys of applications: make, list, replace and disable them.

A key is shown once, when it is made. The table keeps its SHA-256 alone.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from scheduler.administering.admission import admit, dismiss
from scheduler.administering.dependencies import COLLIDED, AdminDependencies, StoredKey
from scheduler.administering.request import AdminRequest
from scheduler.errors import InvalidRequest, NotConfirmed, NotFound, Undelivered
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.model.application import (
    OWNER,
    OWNER_NAME,
    Application,
    Credential,
    Scope,
    application_of,
    digest_of,
    is_application_id,
    key_id_of,
    new_key,
)
from scheduler.text import shown
from scheduler.timestamps import epoch_s
from scheduler.value_class import value_class

KEYS_MAX = 20
"""How many usable keys an application has at most."""
KEY_BITS, KEY_ID_BITS = 160, 32


@value_class
class NewKey:
    stored: StoredKey
    text: str
    """The key itself."""

    @property
    def of_gateway(self) -> tuple[str, str]:
        return self.stored.credential.key_id, self.text

    @property
    def shown(self) -> dict[str, str]:
        return {"id": self.stored.credential.key_id, "key": self.text}


def new_keys(
    application_id: str, scopes: Sequence[Scope], dependencies: AdminDependencies, now_ms: int
) -> list[NewKey]:
    """Draw a key for each scope."""
    found: list[NewKey] = []
    for scope in scopes:
        text = new_key(dependencies.randomness.getrandbits(KEY_BITS))
        key_id = key_id_of(application_id, dependencies.randomness.getrandbits(KEY_ID_BITS))
        stored = StoredKey(digest_of(text), Credential(key_id, application_id, scope, created_ms=now_ms))
        found.append(NewKey(stored, text))
    return found


def which(name: str, dependencies: AdminDependencies, deadline: Deadline) -> Application:
    """Return the application with this name or id. Raise NotFound for an unknown one."""
    if name == OWNER_NAME:
        return OWNER
    applications = dependencies.applications
    id_of = functools.partial(applications.id_of, name)
    application_id = name if is_application_id(name) else retry_call(id_of, deadline)
    if application_id is not None:
        found = retry_call(functools.partial(applications.get, application_id), deadline)
        if found is not None and found.state == "active":
            return found
    raise NotFound(f"there is no application {shown(name)}; `list` shows all of them")


def keys(request: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return the keys of an application without the keys themselves, oldest first."""
    application = which(request.name(), dependencies, deadline)
    now_ms, found = deadline.now_ms(), keys_of(application.id, dependencies, deadline)
    answer: dict[str, Any] = {
        "application": application.id or OWNER_NAME,
        "name": application.name,
        "keys": [_facts(key.credential, now_ms) for key in found],
    }
    if request.truth("webhook_secrets"):
        answer["webhook_secrets"] = webhook_secrets(application, dependencies)
    return answer


def rotate(request: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return a new key of the same scope. The old key ends after the grace, so that both are valid meanwhile."""
    old, siblings = _key(request.key_id(), dependencies, deadline)
    now_ms, grace_ms = deadline.now_ms(), request.grace_ms()
    if old.credential.ends_ms is not None:
        raise InvalidRequest(
            f"the key {old.credential.key_id} was replaced before; wanted: the key that replaced it, as `keys` lists it"
        )
    application = which(old.credential.application or OWNER_NAME, dependencies, deadline)
    check_room(siblings, 1, now_ms)
    (made,) = new_keys(old.credential.application, [old.credential.scope], dependencies, now_ms)
    token = dependencies.new_token()
    replace = functools.partial(dependencies.applications.replace_key, old, now_ms + grace_ms, made.stored, token)
    if retry_call(replace, deadline) == COLLIDED:
        raise NotConfirmed(f"another call replaced the key {old.credential.key_id} meanwhile; list the keys")
    admit([made.of_gateway], application, dependencies, deadline)
    return {**made.shown, "replaces": old.credential.key_id, "ends": epoch_s(now_ms + grace_ms)}


def disable(request: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Disable a key for ever. Every function refuses it within 60 seconds."""
    key, _ = _key(request.key_id(), dependencies, deadline)
    retry_call(functools.partial(dependencies.applications.disable_key, key), deadline)
    dismiss([key], dependencies, deadline)
    return {"id": key.credential.key_id, "state": "disabled"}


def keys_of(application_id: str, dependencies: AdminDependencies, deadline: Deadline) -> list[StoredKey]:
    found = retry_call(dependencies.applications.all_keys, deadline)
    own = [key for key in found if key.credential.application == application_id]
    return sorted(own, key=lambda key: (key.credential.created_ms, key.credential.key_id))


def check_room(found: Sequence[StoredKey], more: int, now_ms: int) -> None:
    """Raise InvalidRequest if an application would have too many usable keys."""
    usable = sum(key.credential.is_usable(now_ms) for key in found)
    if usable + more > KEYS_MAX:
        raise InvalidRequest(f"{usable} of its keys are valid, of at most {KEYS_MAX}; wanted: disable one first")


def webhook_secrets(application: Application, dependencies: AdminDependencies) -> list[str]:
    """Return the secrets with which the application's webhooks are signed, newest first."""
    from scheduler.webhooks import signing

    try:
        found = dependencies.secrets()
    except Undelivered as failure:
        raise NotConfirmed(f"{failure.error}; send it again") from None
    return [signing.text_of(signing.application_key(key, application.id) if application.id else key) for key in found]


def _key(key_id: str, dependencies: AdminDependencies, deadline: Deadline) -> tuple[StoredKey, list[StoredKey]]:
    """Return a key, and all keys of its application."""
    siblings = keys_of(application_of(key_id) or "", dependencies, deadline)
    for key in siblings:
        if key.credential.key_id == key_id:
            return key, siblings
    raise NotFound(f"there is no key {key_id}; `keys` lists the keys of an application")


def _facts(credential: Credential, now_ms: int) -> dict[str, Any]:
    state: str = credential.state
    if state == "active" and credential.ends_ms is not None:
        state = "replaced" if credential.is_usable(now_ms) else "ended"
    return {
        "id": credential.key_id,
        "scope": credential.scope,
        "state": state,
        "created": epoch_s(credential.created_ms),
        "ends": None if credential.ends_ms is None else epoch_s(credential.ends_ms),
    }
