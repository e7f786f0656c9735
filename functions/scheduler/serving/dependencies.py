"""The dependencies of the HTTP API. The use cases get theirs bound to the application of the key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Any

from scheduler.audit import Actor
from scheduler.errors import KeyRefused, NotFound
from scheduler.execution.deadline import retry_call
from scheduler.execution.fresh_answers import FreshAnswers
from scheduler.model.application import OWNER_NAME, Application, Credential
from scheduler.text import shown
from scheduler.value_class import value_class

if TYPE_CHECKING:
    from scheduler.accepting.keyed_batch import SchedulingDependencies
    from scheduler.accepting.quota import Quotas
    from scheduler.execution.deadline import Deadline
    from scheduler.managing.dependencies import ManageDependencies
    from scheduler.managing.status import Counts


WHOSE = "application"
"""The part of a query with which the owner names another application."""
ESTIMATES_MAX = 100


@value_class
class ServingDependencies:
    authenticate: Callable[[str, int], Credential]
    """Return the credential of a key at this time, or raise KeyRefused."""
    scheduling: Callable[[str], SchedulingDependencies]
    managing: Callable[[str], ManageDependencies]
    """Return what the use cases need for the application with this id."""
    application: Callable[[str, int], Application | None]
    """Return the application with this id at this time, or None if it does not exist."""
    named: Callable[[str], Application | None]
    """Return the application with this name or id, or None if there is none."""
    quotas: Callable[[], Quotas]
    queue_counts: Callable[[], Counts]
    """Return about how many messages each queue of the stack holds."""
    allowed_origin: str
    """The origin whose pages may use the API, or nothing."""
    estimates: FreshAnswers[dict[str, Any]] = field(default_factory=lambda: FreshAnswers(ESTIMATES_MAX))
    """Many open consoles ask for the same chart."""


@value_class
class Caller:
    """The credential of a request, and what it may use."""

    credential: Credential
    dependencies: ServingDependencies
    request: str
    """The id of the HTTP request."""

    @property
    def actor(self) -> Actor:
        return Actor(self.credential.key_id, self.request)

    @property
    def is_owner(self) -> bool:
        return not self.credential.application

    @property
    def fields(self) -> tuple[str, ...]:
        """The parts of a query that depend on who asks."""
        return (WHOSE,) if self.is_owner else ()

    def scheduling(self, whose: str | None, deadline: Deadline) -> SchedulingDependencies:
        """Return what accepts a schedule for the caller, or for the application that the owner names."""
        if whose is None:
            return self.dependencies.scheduling(self.credential.application)
        found = retry_call(lambda: self.dependencies.named(whose), deadline)
        if found is None:
            raise NotFound(f"no application has the name or the id {shown(whose)}")
        return self.dependencies.scheduling(found.id)

    def managing(self) -> ManageDependencies:
        return self.dependencies.managing(self.credential.application)

    def check_quota(self, count: int, deadline: Deadline) -> None:
        """Raise QuotaUsedUp if the application has no room for so many schedules. The owner has no quota."""
        if self.is_owner:
            return
        application = self.dependencies.application(self.credential.application, deadline.now_ms())
        if application is None:  # It was deleted after the key was checked.
            raise KeyRefused(f"the application of the key {self.credential.key_id} is deleted")
        if application.quota:
            self.dependencies.quotas().check(application, count, deadline)

    def facts(self) -> dict[str, Any]:
        """Return what a log line says about the caller."""
        return {"application": self.credential.application or OWNER_NAME, "key": self.credential.key_id}
