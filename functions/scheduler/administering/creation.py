"""Create an application with a control key and a data key.

One transaction writes the application, its name and its keys, so that a crash leaves all of them or none. If a caller
lost the answer, `keys` lists the new keys, and `rotate` replaces them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from scheduler.administering import exits
from scheduler.administering.admission import admit
from scheduler.administering.dependencies import COLLIDED, DONE, NAME_TAKEN, AdminDependencies, StoredKey
from scheduler.administering.keys import NewKey, check_room, keys_of, new_keys, webhook_secrets
from scheduler.administering.request import AdminRequest
from scheduler.errors import InvalidRequest, NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import APPLICATIONS_MAX
from scheduler.model.application import CONTROL, DATA, OWNER, OWNER_NAME, Application
from scheduler.text import shown

DRAWS_MAX = 5
"""How often an id is drawn. Two draws of 32 bits hardly ever find an id that is in use."""


def create(request: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return the new application and its keys, which are shown here and never again."""
    name = request.new_name()
    if name == OWNER_NAME:
        return _keys_for_owner(request, dependencies, deadline)
    facts = exits.read(request, dependencies)
    if len(retry_call(dependencies.applications.all, deadline)) >= APPLICATIONS_MAX:
        raise InvalidRequest(f"there are {APPLICATIONS_MAX} applications; wanted: delete one that is not used")
    for _ in range(DRAWS_MAX):
        application = Application(
            f"{dependencies.randomness.getrandbits(32):08x}", name, created_ms=deadline.now_ms(), **facts
        )
        secrets = webhook_secrets(application, dependencies) if application.hosts else []
        made = new_keys(application.id, (CONTROL, DATA), dependencies, deadline.now_ms())
        result = _written(application, [key.stored for key in made], dependencies, deadline)
        if result == NAME_TAKEN:
            raise InvalidRequest(f"name is {shown(name)}, which another application has; wanted: another name")
        if result == DONE:
            admit([key.of_gateway for key in made], application, dependencies, deadline)
            return _answer(application.id, name, made) | ({"webhook_secret": secrets[0]} if secrets else {})
    raise NotConfirmed("no free id was found; send it again")


def _written(
    application: Application, keys: Sequence[StoredKey], dependencies: AdminDependencies, deadline: Deadline
) -> str:
    create_all = functools.partial(dependencies.applications.create, application, keys, dependencies.new_token())
    return retry_call(create_all, deadline)


def _keys_for_owner(request: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    for field in request.fields:
        if field != "name":
            raise InvalidRequest(f"{field} is given, and the owner has the limits of the stack; wanted: the name alone")
    check_room(keys_of("", dependencies, deadline), 2, deadline.now_ms())
    made = new_keys("", (CONTROL, DATA), dependencies, deadline.now_ms())
    stored = [key.stored for key in made]
    add = functools.partial(dependencies.applications.add_keys, stored, dependencies.new_token())
    if retry_call(add, deadline) == COLLIDED:
        raise NotConfirmed("a key was drawn twice; send it again")
    admit([key.of_gateway for key in made], OWNER, dependencies, deadline)
    return _answer(OWNER_NAME, OWNER_NAME, made)


def _answer(application_id: str, name: str, made: Sequence[NewKey]) -> dict[str, Any]:
    return {"application": application_id, "name": name} | {key.stored.credential.scope: key.shown for key in made}
