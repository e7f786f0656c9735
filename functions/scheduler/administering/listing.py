"""List the applications, and say what is shown of each."""

from __future__ import annotations

from typing import Any

from scheduler.administering.dependencies import AdminDependencies
from scheduler.administering.request import AdminRequest
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.model import targets
from scheduler.model.application import OUTPUT, Application
from scheduler.timestamps import epoch_s


def list_(_: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Return all applications, by name."""
    found = retry_call(dependencies.applications.all, deadline)
    return {"applications": [facts(application) for application in sorted(found, key=lambda each: each.name)]}


def facts(application: Application) -> dict[str, Any]:
    default = application.default_target
    return {
        "application": application.id,
        "name": application.name,
        "default_target": default if default is None or default == OUTPUT else targets.as_sent(default),
        "targets": list(application.targets),
        "failure_targets": list(application.failure_targets),
        "hosts": list(application.hosts),
        "rate": application.rate,
        "burst": application.burst,
        "quota": application.quota or None,
        "created": epoch_s(application.created_ms),
    }
