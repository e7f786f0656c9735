"""Delete an application, as long as nothing of it is pending.

Its name is free at once, and its keys are refused within 60 seconds. A request that came before may store a schedule
after the check. So the feeds go on reading the application's items for an hour, and until nothing is left. Then a later
call ends this. The item of the application stays, so that no other application gets its id.
"""

from __future__ import annotations

import functools
from typing import Any

from scheduler.administering.admission import dismiss
from scheduler.administering.dependencies import AdminDependencies
from scheduler.administering.keys import keys_of, which
from scheduler.administering.request import AdminRequest
from scheduler.errors import InvalidRequest, NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.model.application import OWNER_NAME
from scheduler.model.name_record import NAME_PARTITIONS
from scheduler.placing.partitions import partitions_to_feed

FED_AFTER_S = 3600
"""How long the feeds read a deleted application: longer than a key is trusted and a request runs."""
DELETE_PAGES_MAX = 10_000
"""Pages of 1 MB that the check reads under one hash key. The deadline ends it sooner."""


def delete(request: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Delete an application. Raise InvalidRequest while something of it is pending."""
    name = request.name()
    application = which(name, dependencies, deadline)
    if application.is_owner:
        raise InvalidRequest(f"name is {OWNER_NAME}, and the owner cannot be deleted; wanted: another application")
    if is_pending(application.id, dependencies, deadline):
        raise InvalidRequest(
            f"schedules of {application.name} are pending; wanted: cancel them first, or wait until they are due"
        )
    end_feeding(dependencies, deadline)
    retry_call(functools.partial(dependencies.applications.delete, application, deadline.now_ms()), deadline)
    dismiss(keys_of(application.id, dependencies, deadline), dependencies, deadline)
    return {"application": application.id, "name": application.name, "state": "deleted"}


def end_feeding(dependencies: AdminDependencies, deadline: Deadline) -> int:
    """Let the feeds no longer read applications that were deleted an hour ago. Return how many these are."""
    applications, before_ms = dependencies.applications, deadline.now_ms() - FED_AFTER_S * 1000
    fed = retry_call(applications.fed, deadline)
    ended = [
        deleted.id
        for deleted in (retry_call(applications.deleted, deadline) if fed else [])
        if deleted.id in fed and deleted.deleted_ms <= before_ms and not is_pending(deleted.id, dependencies, deadline)
    ]
    for application_id in ended:
        retry_call(functools.partial(applications.stop_feeding, application_id), deadline)
    return len(ended)


def is_pending(application_id: str, dependencies: AdminDependencies, deadline: Deadline) -> bool:
    """Return whether the table holds a schedule of the application that is yet to be released."""
    far = [str(each) for each in partitions_to_feed(dependencies.table, dependencies.partition_count, deadline)]
    return any(_any_under(application_id, hash_key, dependencies, deadline) for hash_key in [*far, *NAME_PARTITIONS])


def _any_under(application_id: str, hash_key: str, dependencies: AdminDependencies, deadline: Deadline) -> bool:
    after: str | None = None
    for _ in range(DELETE_PAGES_MAX):
        if deadline.passed():
            break
        look = functools.partial(dependencies.applications.is_pending, application_id, hash_key, after)
        found, after = retry_call(look, deadline)
        if found or after is None:
            return found
    raise NotConfirmed("there was no time to look for pending schedules under all names; send it again")
