"""Builds what the HTTP API needs. The use cases see the items of one application: the one of the key."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from scheduler.errors import KeyRefused
from scheduler.limits import APPLICATIONS_MAX
from scheduler.model.application import OWNER
from scheduler.wiring.resources import Resources

if TYPE_CHECKING:
    from scheduler.accepting.keyed_batch import SchedulingDependencies
    from scheduler.accepting.quota import Quotas
    from scheduler.managing.dependencies import ManageDependencies
    from scheduler.model.application import Application
    from scheduler.serving.dependencies import ServingDependencies


class ApiResources(Resources):
    def for_serving(self) -> ServingDependencies:
        """Return what the HTTP API needs. It accepts schedules at once, and reads and changes them more rarely."""
        from scheduler.serving.dependencies import ServingDependencies

        self._scheduling(OWNER)  # At the cold start, as for direct calls.
        return ServingDependencies(
            authenticate=self.keyring.authenticate,
            scheduling=lambda application_id: self._scheduling(self._current(application_id)),
            managing=lambda application_id: self._managing_of(self._current(application_id)),
            application=self.keyring.application,
            named=self.application,
            quotas=lambda: self._quotas,
            queue_counts=self._message_counts,
            allowed_origin=self.settings.allowed_origin,
        )

    def _current(self, application_id: str) -> Application:
        """Return the application of a key that has just been checked."""
        found = self.keyring.application(application_id, int(self.runtime.clock() * 1000))
        if found is None:
            raise KeyRefused("the application of the key is deleted")
        return found

    @functools.lru_cache(APPLICATIONS_MAX)  # noqa: B019 - The resources live as long as the process.
    def _scheduling(self, application: Application) -> SchedulingDependencies:
        return self.for_scheduling(application)

    @functools.lru_cache(APPLICATIONS_MAX)  # noqa: B019
    def _managing_of(self, application: Application) -> ManageDependencies:
        return self.for_managing(application)

    @functools.cached_property
    def _quotas(self) -> Quotas:
        from scheduler.accepting.quota import Quotas

        return Quotas(self.counts, self.pool, self.ledger, self.environment)

    def _message_counts(self) -> dict[str, dict[str, int] | None]:
        """Return how many messages each queue of the stack holds."""
        its = self.settings
        urls = {
            "output": its.output_queue_url,
            "delivery": its.delivery_queue_url,
            "input": its.input_queue_url,
            "failure": its.failure_queue_url,
            "dead_letter": its.dead_letter_queue_url,
        }
        return dict(zip(urls, self.pool.run(self.queues.message_counts, list(urls.values())), strict=True))
