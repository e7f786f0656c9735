"""Change the targets, hosts and limits of an application. Its id, its keys and its schedules stay.

One write changes the table, so that a crash leaves all of the change or none. API Gateway comes second. The functions
go by the new values within 60 seconds. Schedules that are pending keep their targets.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from scheduler.administering import exits, listing
from scheduler.administering.admission import limit
from scheduler.administering.dependencies import AdminDependencies
from scheduler.administering.keys import keys_of, which
from scheduler.administering.request import DECIDED, AdminRequest
from scheduler.errors import InvalidRequest, NotFound
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.model.application import OWNER_NAME, Application


def change(request: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Change the fields that are given, and return the application. A null stands for the default of a field."""
    old = which(request.name(), dependencies, deadline)
    if old.is_owner:
        raise InvalidRequest(f"name is {OWNER_NAME}, which has the limits of the stack; wanted: another application")
    given = [field for field in DECIDED if request.gives(field)]
    if not given:
        raise InvalidRequest(f"there is nothing to change; wanted: one or more of {', '.join(DECIDED)}")
    new = _changed(old, request, given, dependencies)
    if not retry_call(functools.partial(dependencies.applications.change, old, new), deadline):
        raise NotFound(f"the application {old.name} was deleted meanwhile")
    if request.gives("rate") or request.gives("burst"):
        limit(keys_of(new.id, dependencies, deadline), new, dependencies, deadline)
    return {**listing.facts(new), "changed": given}


def _changed(old: Application, request: AdminRequest, given: list[str], dependencies: AdminDependencies) -> Application:
    """Return the application with the new values. The default target stays among what the application may use."""
    nulls = {field for field in given if request.fields[field] is None}
    kept = replace(old, **{field: getattr(exits.UNDECIDED, field) for field in nulls})
    fields = {field: value for field, value in request.fields.items() if field not in nulls}
    return replace(old, **exits.read(replace(request, fields=fields), dependencies, kept))
