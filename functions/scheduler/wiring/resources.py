"""Builds everything that the functions use: clients, adapters and the dependencies of each use case.

A handler creates its `Resources` at import, so that the cold start creates the clients and the first message does not
wait for them. Modules that few invocations need are imported at first use.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from scheduler.counting.ledger import NO_LEDGER
from scheduler.limits import APPLICATION_NAME_CHARACTERS_MAX, APPLICATIONS_MAX
from scheduler.placing import partitions
from scheduler.wiring.clients import RESERVE_S
from scheduler.wiring.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduler.accepting.keyed_batch import SchedulingDependencies
    from scheduler.accepting.request import AcceptRules
    from scheduler.aws.applications.counts import Counts
    from scheduler.aws.applications.keyring import Keyring
    from scheduler.aws.applications.stored import Applications
    from scheduler.aws.delivery_queue import DeliveryQueue
    from scheduler.aws.failure_targets import FailureTargets
    from scheduler.aws.lambda_function import Function
    from scheduler.aws.name_records import Records
    from scheduler.aws.queues import Queues
    from scheduler.aws.table import Table
    from scheduler.counting.ledger import Ledger
    from scheduler.delivering.dependencies import DeliveryDependencies
    from scheduler.execution.deadline import Deadline
    from scheduler.execution.worker_pool import WorkerPool
    from scheduler.feeding.feed import FeedDependencies
    from scheduler.feeding.glances import Parts
    from scheduler.managing.dependencies import ManageDependencies
    from scheduler.model.application import Application
    from scheduler.model.schedule import Request, Schedule
    from scheduler.transports import Transports
    from scheduler.wiring.isolation import Isolation


class Resources(Measured):
    """The parts of one function. Each is built when it is first used, and kept."""

    def deadline(self, context: Any, reserve_s: float = RESERVE_S) -> Deadline:
        """Return the end of the invocation, less the time that the function needs to end cleanly."""
        return self.runtime.deadline(context, reserve_s)

    # ------------------------------------------------------------------------------------------------------ adapters

    @functools.cached_property
    def table(self) -> Table:
        from scheduler.aws.table import Table

        return Table(self.client("dynamodb"), self.settings.table_name)

    @functools.cached_property
    def queues(self) -> Queues:
        from scheduler.aws.queues import Queues

        its = self.settings
        return Queues(
            self.client("sqs"), its.output_queue_url, its.failure_queue_url, its.delivery_queue_url, its.lead_ms
        )

    @functools.cached_property
    def pool(self) -> WorkerPool:
        return self.runtime.pool(self.threads)

    @functools.cached_property
    def _records(self) -> Records:
        from scheduler.aws.name_records import Records

        return Records(self.client("dynamodb"), self.settings.table_name)

    @functools.cached_property
    def failure_targets(self) -> FailureTargets:
        from scheduler.aws.failure_targets import FailureTargets

        return FailureTargets(self.client, self.settings.output_queue_url)

    @functools.cached_property
    def transports(self) -> Transports:
        from scheduler.transports import Transports

        return Transports(self.client, self.settings.output_queue_url, self._webhooks())

    @functools.cached_property
    def _delivery_queue(self) -> DeliveryQueue:
        from scheduler.aws.delivery_queue import DeliveryQueue

        return DeliveryQueue(self.client("sqs"), self.settings.delivery_queue_url)

    @functools.cached_property
    def applications(self) -> Applications:
        from scheduler.aws.applications.stored import Applications

        return Applications(self.client("dynamodb"), self.settings.table_name)

    @functools.cached_property
    def keyring(self) -> Keyring:
        """Return the keys of the HTTP API. Each execution environment has one, because it caches answers."""
        from scheduler.aws.applications.keyring import Keyring

        return Keyring(self.applications)

    def _webhooks(self) -> Any:
        """Return the transport for webhooks. It is built at the cold start, so that the first webhook is on time."""
        if self.settings.webhook_hosts is None:
            return None
        from scheduler.aws.signing_secrets import Secrets

        secret_arn, clock = self.settings.webhook_secret_arn, self.runtime.clock
        secrets = Secrets(self.runtime.client("secretsmanager", 1) if secret_arn else None, secret_arn, clock)
        return self.runtime.webhooks(self.settings.webhook_hosts, secrets, clock)

    @functools.cached_property
    def feed_function(self) -> Function:
        from scheduler.aws.lambda_function import Function

        return Function(self.client("lambda"), self.settings.feed_function)

    @functools.cached_property
    def environment(self) -> str:
        """Return a random text that tells this execution environment apart."""
        return f"{self.runtime.randomness.getrandbits(64):016x}"

    @functools.cached_property
    def counts(self) -> Counts:
        from scheduler.aws.applications.counts import Counts

        return Counts(self.client("dynamodb"), self.settings.table_name)

    @functools.cached_property
    def ledger(self) -> Ledger:
        if not self.settings.keeps_ledger:
            return NO_LEDGER
        from scheduler.counting.written_ledger import WrittenLedger

        return WrittenLedger.begin(self.counts, self.environment)

    # -------------------------------------------------------------------------------------- dependencies of a use case

    @functools.cached_property
    def _stored_count(self) -> partitions.PartitionCount:
        return partitions.PartitionCount(self.table)

    @functools.lru_cache(APPLICATIONS_MAX)  # noqa: B019 - The resources live as long as the process.
    def isolation(self, application_id: str) -> Isolation:
        """Return the parts that see the items of this application and no others."""
        from scheduler.wiring.isolation import Isolation

        return Isolation(self, application_id)

    def for_scheduling(self, application: Application | None = None) -> SchedulingDependencies:
        """Return what accepts schedules: of this application, or else of the owner."""
        if application is not None and not application.is_owner:
            return self.isolation(application.id).for_scheduling(self.for_scheduling(), application)
        from scheduler.accepting.keyed_batch import SchedulingDependencies
        from scheduler.placing.keys import KeyGenerator

        return SchedulingDependencies(
            table=self.table,
            stored_count=self._stored_count,
            queues=self.queues,
            pool=self.pool,
            rules=self._rules(),
            key_generator=KeyGenerator(
                self.settings.partition_count, self.runtime.randomness, self.settings.bundle_span_ms
            ),
            reach_ms=self.settings.reach_ms,
            records=lambda: self._records,
            ledger=self.ledger,
            metrics=self.metrics,
        )

    def for_call(
        self, event: object, owners: SchedulingDependencies, deadline: Deadline
    ) -> tuple[object, SchedulingDependencies]:
        """Return the event without the application that it names, and what accepts it.

        An event that names none is for the owner. Raise InvalidSchedule if there is no such application.
        """
        if not isinstance(event, dict) or "application" not in event:
            return event, owners
        from scheduler.errors import InvalidSchedule
        from scheduler.execution.deadline import retry_call
        from scheduler.text import shown

        named, rest = event["application"], {field: value for field, value in event.items() if field != "application"}
        found = retry_call(lambda: self.application(named), deadline) if isinstance(named, str) else None
        if found is None:
            raise InvalidSchedule(f"application is {shown(named)}; wanted: the name or the id of an application")
        return rest, self.for_scheduling(found)

    def application(self, name_or_id: str) -> Application | None:
        """Return an application by its name or its id, or None if there is none. The owner has a name, too."""
        from scheduler.model.application import OWNER, OWNER_NAME

        if name_or_id == OWNER_NAME:
            return OWNER
        if not 1 <= len(name_or_id) <= APPLICATION_NAME_CHARACTERS_MAX:
            return None
        found = self.applications.get(self.applications.id_of(name_or_id) or name_or_id)
        return found if found is not None and found.state == "active" else None

    def receive(
        self, records: Sequence[Mapping[str, Any]], scheduling_dependencies: SchedulingDependencies, deadline: Deadline
    ) -> dict[str, Any]:
        from scheduler.wiring import receiving

        return receiving.receive(records, self, scheduling_dependencies, deadline)

    def for_feeding(self) -> FeedDependencies:
        from scheduler.aws.feed_table import FeedTable
        from scheduler.feeding import feed

        table = FeedTable(self.client("dynamodb"), self.settings.table_name)
        its = table, self.queues, self.pool, self.settings.reach_ms
        return feed.FeedDependencies(*its, self._invoke_again, self._parts_of, self.ledger, self.metrics)

    def _parts_of(self, application_id: str) -> Parts:
        return self.isolation(application_id).for_feeding()

    def _invoke_again(self, event: dict[str, Any], deadline: Deadline) -> None:
        """Invoke the feed again. Most feeds finish in one run, and need no client for Lambda."""
        from scheduler.aws.lambda_function import Function

        Function(self.client("lambda"), self.settings.function_name).invoke(event, deadline)

    def for_delivery(self) -> DeliveryDependencies:
        from scheduler.delivering.circuit_breaker import CircuitBreaker
        from scheduler.delivering.dependencies import DeliveryDependencies
        from scheduler.delivering.next_messages import NextMessages

        def of_application(application_id: str) -> DeliveryDependencies:
            return self.isolation(application_id).for_delivery(owners)

        owners = DeliveryDependencies(
            records=self._records,
            table=self.table,
            queues=self.queues,
            notify=self.failure_targets.notify,
            transports=self.transports,
            pool=self.pool,
            stored_count=self._stored_count,
            breaker=CircuitBreaker(),
            next_messages=NextMessages(),
            delivery_queue=lambda: self._delivery_queue,
            reach_ms=self.settings.reach_ms,
            of_application=of_application,
            ledger=self.ledger,
            metrics=self.metrics,
        )
        return owners

    def for_managing(self, application: Application | None = None) -> ManageDependencies:
        """Return what shows and changes schedules: of this application, or else of the owner."""
        if application is not None and not application.is_owner:
            return self.isolation(application.id).for_managing(self.for_managing(), application)
        from scheduler.aws.manage_table import ManageTable
        from scheduler.managing.dependencies import ManageDependencies
        from scheduler.placing.keys import KeyGenerator

        return ManageDependencies(
            records=self._records,
            table=self.table,
            manage_table=ManageTable(self.client("dynamodb"), self.settings.table_name),
            stored_count=self._stored_count,
            queues=self.queues,
            pool=self.pool,
            key_generator=KeyGenerator(self.settings.partition_count, self.runtime.randomness),
            reach_ms=self.settings.reach_ms,
            revise=self._revise,
            applications=lambda: self.table.recall_fed()[1],
            table_of=lambda application_id: self.isolation(application_id).manage_table(),
            of_application=self._managing,
            counts=lambda: self.counts,
            ledger=self.ledger,
        )

    def _managing(self, name_or_id: str) -> ManageDependencies | None:
        """Return what manages an application, by its name or its id. Return None if there is none."""
        found = self.application(name_or_id)
        return None if found is None else self.for_managing(found)

    def _revise(self, old: Schedule, given: Mapping[str, object], now_ms: int) -> Request:
        """Validate a change of a schedule. Most operations of the manage function change nothing."""
        from scheduler.accepting import changes

        return changes.revised(old, given, now_ms, self._rules())

    def _rules(self) -> AcceptRules:
        from scheduler.accepting.request import AcceptRules

        return AcceptRules(self.settings.listed, self.settings.require_user)
