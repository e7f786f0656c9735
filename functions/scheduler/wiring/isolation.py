"""Builds the dependencies of one application: the same use cases, on a table that holds only the application's items.

Only functions that meet an application import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from scheduler.accepting.request import AcceptRules
from scheduler.aws.isolation.client import ApplicationClient
from scheduler.aws.isolation.table import ApplicationTable
from scheduler.errors import InvalidSchedule
from scheduler.model import targets
from scheduler.model.application import OUTPUT

if TYPE_CHECKING:
    from scheduler.accepting.keyed_batch import SchedulingDependencies
    from scheduler.aws.manage_table import ManageTable
    from scheduler.aws.name_records import Records
    from scheduler.delivering.dependencies import DeliveryDependencies
    from scheduler.feeding.glances import Parts
    from scheduler.managing.dependencies import ManageDependencies
    from scheduler.model.application import Application
    from scheduler.model.schedule import Request, Schedule
    from scheduler.wiring.config import Settings
    from scheduler.wiring.resources import Resources

NO_DEFAULT = "target is missing, and this application has no default target; wanted: "
DEFAULT_GONE = "target is missing, and the stack does not allow this application's default target; wanted: "


class Isolation:
    """The parts of one application. Its client sees no item of anybody else."""

    def __init__(self, resources: Resources, application: str) -> None:
        self._resources, self._id = resources, application
        self._for_delivery: DeliveryDependencies | None = None
        client, name = resources.client("dynamodb"), resources.settings.table_name
        self.client = ApplicationClient(client, application)
        self.table = ApplicationTable(client, name, application)
        self.queues = resources.queues.of(application)
        self.ledger = resources.ledger.of(application)

    def records(self) -> Records:
        from scheduler.aws.name_records import Records

        return Records(self.client, self._resources.settings.table_name)

    def for_feeding(self) -> Parts:
        from scheduler.aws.feed_table import FeedTable
        from scheduler.feeding.glances import Parts

        table = FeedTable(self.client, self._resources.settings.table_name)
        return Parts(table, self.queues, self.ledger)

    def for_delivery(self, owners: DeliveryDependencies) -> DeliveryDependencies:
        """Return the same for every delivery, because the first one to a target creates its transport."""
        if self._for_delivery is None:
            self._for_delivery = self._delivery(owners)
        return self._for_delivery

    def _delivery(self, owners: DeliveryDependencies) -> DeliveryDependencies:
        return replace(
            owners,
            records=self.records(),
            table=self.table,
            queues=self.queues,
            notify=self._resources.failure_targets.of(self._id).notify,
            transports=self._resources.transports.of(self._id),
            stored_count=owners.stored_count.of(self._id),
            of_application=None,
            application=self._id,
            ledger=self.ledger,
        )

    def for_scheduling(self, owners: SchedulingDependencies, application: Application) -> SchedulingDependencies:
        return replace(
            owners,
            table=self.table,
            stored_count=owners.stored_count.of(self._id),
            queues=self.queues,
            rules=rules_of(application, self._resources.settings),
            key_generator=replace(owners.key_generator, application=self._id),
            records=self.records,
            ledger=self.ledger,
        )

    def manage_table(self) -> ManageTable:
        from scheduler.aws.manage_table import ManageTable

        return ManageTable(self.client, self._resources.settings.table_name)

    def for_managing(self, owners: ManageDependencies, application: Application) -> ManageDependencies:
        def revise(old: Schedule, given: Mapping[str, object], now_ms: int) -> Request:
            from scheduler.accepting import changes

            return changes.revised(old, given, now_ms, rules_of(application, self._resources.settings))

        return replace(
            owners,
            records=self.records(),
            table=self.table,
            manage_table=self.manage_table(),
            stored_count=owners.stored_count.of(self._id),
            queues=self.queues,
            key_generator=replace(owners.key_generator, application=self._id),
            revise=revise,
            application=self._id,
            ledger=self.ledger,
        )


def rules_of(application: Application, settings: Settings) -> AcceptRules:
    """Return what an application may use: of its own lists, what the stack's parameters still allow."""
    listed = targets.AllowedTargets(
        settings.listed.arns.intersection(application.targets),
        settings.listed.region,
        _check_webhook(application, settings),
        settings.listed.arns.intersection(application.failure_targets),
    )
    wanted = listed.wanted(targets.TARGET_WANTED)
    default, fault = None, ""
    if application.default_target is None:
        fault = NO_DEFAULT + wanted
    elif application.default_target != OUTPUT:
        try:
            default = targets.checked(targets.as_sent(application.default_target), settings.listed)
        except InvalidSchedule:
            fault = DEFAULT_GONE + wanted
    return AcceptRules(listed, settings.require_user, default, fault)


def _check_webhook(application: Application, settings: Settings) -> Callable[[Mapping[str, object]], str] | None:
    """Return what checks a webhook, or None if the application may use no host.

    A webhook has to pass the list of the application and the list of the stack.
    """
    of_stack = settings.listed.check_webhook
    if of_stack is None or settings.webhook_hosts is None or not application.hosts:
        return None
    from scheduler.webhooks import webhook
    from scheduler.webhooks.allowed_hosts import Hosts

    own = Hosts.read(",".join(application.hosts), settings.webhook_hosts.allow_private)

    def check(value: Mapping[str, object]) -> str:
        try:
            webhook.checked(value, own)
            return of_stack(value)
        except InvalidSchedule as refusal:
            raise InvalidSchedule(webhook.for_application(str(refusal))) from None

    return check
