"""Builds everything that the functions use: clients, adapters and the dependencies of each use case.

A handler creates its `Resources` at import, so that the cold start creates the clients and the first message does not
wait for them. Modules that few invocations need are imported at first use.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from scheduler.placing import partitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduler.accepting.keyed_batch import SchedulingDependencies
    from scheduler.accepting.quota import Quotas
    from scheduler.accepting.request import AcceptRules
    from scheduler.administering.dependencies import AdminDependencies
    from scheduler.aws.applications.gateway import Gateway
    from scheduler.aws.applications.keyring import Keyring
    from scheduler.aws.applications.stored import Applications
    from scheduler.aws.delivery_queue import DeliveryQueue
    from scheduler.aws.failure_targets import FailureTargets
    from scheduler.aws.lambda_function import Function
    from scheduler.aws.name_records import Records
    from scheduler.aws.queues import Queues
    from scheduler.aws.table import Table
    from scheduler.delivering.delivery import DeliveryDependencies
    from scheduler.execution.deadline import Deadline
    from scheduler.execution.worker_pool import WorkerPool
    from scheduler.feeding.feed import FeedDependencies
    from scheduler.managing.dependencies import ManageDependencies
    from scheduler.model.schedule import Request, Schedule
    from scheduler.serving.dependencies import ServingDependencies
    from scheduler.wiring.config import Settings
    from scheduler.wiring.runtime import Runtime


class Resources:
    """The parts of one function. Each is built when it is first used, and kept."""

    def __init__(self, settings: Settings, runtime: Runtime, threads: int) -> None:
        self.settings, self.runtime, self.threads = settings, runtime, threads
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.runtime.client(service, self.threads)
        return self._clients[service]

    def deadline(self, context: Any, reserve_s: float) -> Deadline:
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
    def _failure_targets(self) -> FailureTargets:
        from scheduler.aws.failure_targets import FailureTargets

        return FailureTargets(self.client, self.settings.output_queue_url)

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

    # -------------------------------------------------------------------------------------- dependencies of a use case

    def for_scheduling(self) -> SchedulingDependencies:
        from scheduler.accepting.keyed_batch import SchedulingDependencies
        from scheduler.placing.keys import KeyGenerator

        return SchedulingDependencies(
            table=self.table,
            stored_count=partitions.PartitionCount(self.table),
            queues=self.queues,
            pool=self.pool,
            rules=self._rules(),
            key_generator=KeyGenerator(
                self.settings.partition_count, self.runtime.randomness, self.settings.bundle_span_ms
            ),
            reach_ms=self.settings.reach_ms,
            records=lambda: self._records,
        )

    def receive(
        self, records: Sequence[Mapping[str, Any]], scheduling_dependencies: SchedulingDependencies, deadline: Deadline
    ) -> dict[str, Any]:
        """Accept messages of the input queue. Failures of users' queues are forgotten after each invocation."""
        from scheduler.accepting import limited_queues, scheduling
        from scheduler.accepting.from_queue import receiving
        from scheduler.aws.input_queue import InputQueue

        limited = dataclasses.replace(
            scheduling_dependencies, queues=limited_queues.LimitedQueues(self.queues, self.runtime.clock)
        )
        dependencies = receiving.InputQueueDependencies(
            accept=functools.partial(scheduling.accept_message, dependencies=limited),
            requeue=InputQueue(self.client("sqs"), self.settings.input_queue_url).requeue,
            report=self.queues.report,
            notify=self._failure_targets.notify,
            allows=self.settings.listed.arns.__contains__,
            pool=scheduling_dependencies.pool,
        )
        return receiving.receive(records, deadline, dependencies)

    def for_feeding(self) -> FeedDependencies:
        from scheduler.aws.feed_table import FeedTable
        from scheduler.feeding import feed

        table = FeedTable(self.client("dynamodb"), self.settings.table_name)
        return feed.FeedDependencies(table, self.queues, self.pool, self.settings.reach_ms, self._invoke_again)

    def _invoke_again(self, event: dict[str, Any], deadline: Deadline) -> None:
        """Invoke the feed again. Most feeds finish in one run, and need no client for Lambda."""
        from scheduler.aws.lambda_function import Function

        Function(self.client("lambda"), self.settings.function_name).invoke(event, deadline)

    def for_delivery(self) -> DeliveryDependencies:
        from scheduler.delivering import circuit_breaker, delivery
        from scheduler.transports import Transports

        return delivery.DeliveryDependencies(
            records=self._records,
            table=self.table,
            queues=self.queues,
            notify=self._failure_targets.notify,
            transports=Transports(self.client, self.settings.output_queue_url, self._webhooks()),
            pool=self.pool,
            stored_count=partitions.PartitionCount(self.table),
            breaker=circuit_breaker.CircuitBreaker(),
            delivery_queue=lambda: self._delivery_queue,
            reach_ms=self.settings.reach_ms,
        )

    def for_managing(self) -> ManageDependencies:
        from scheduler.aws.manage_table import ManageTable
        from scheduler.managing.dependencies import ManageDependencies
        from scheduler.placing.keys import KeyGenerator

        return ManageDependencies(
            records=self._records,
            table=self.table,
            manage_table=ManageTable(self.client("dynamodb"), self.settings.table_name),
            stored_count=partitions.PartitionCount(self.table),
            queues=self.queues,
            pool=self.pool,
            key_generator=KeyGenerator(self.settings.partition_count, self.runtime.randomness),
            reach_ms=self.settings.reach_ms,
            revise=self._revise,
        )

    def for_serving(self) -> ServingDependencies:
        """Return what the HTTP API needs. It accepts schedules at once, and reads and changes them more rarely."""
        from scheduler.serving.dependencies import ServingDependencies

        scheduling, managing = self.for_scheduling(), functools.cache(self.for_managing)
        return ServingDependencies(
            authenticate=self.keyring.authenticate,
            scheduling=lambda application: scheduling,
            managing=lambda application: managing(),
            application=self.keyring.application,
            quotas=lambda: self._quotas,
            queue_counts=self._message_counts,
            allowed_origin=self.settings.allowed_origin,
        )

    @functools.cached_property
    def _quotas(self) -> Quotas:
        from scheduler.accepting.quota import Quotas
        from scheduler.aws.applications.counts import Counts

        counts = Counts(self.client("dynamodb"), self.settings.table_name)
        return Quotas(counts, self.pool, f"{self.runtime.randomness.getrandbits(64):016x}")

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

    def for_administering(self) -> AdminDependencies:
        from scheduler.administering.dependencies import AdminDependencies
        from scheduler.aws.applications.administered import AdministeredApplications
        from scheduler.aws.signing_secrets import Secrets

        its = self.settings
        secrets_manager = self.runtime.client("secretsmanager", 1) if its.webhook_secret_arn else None
        return AdminDependencies(
            applications=AdministeredApplications(self.client("dynamodb"), its.table_name),
            table=self.table,
            partition_count=its.partition_count,
            randomness=self.runtime.randomness,
            listed=its.listed,
            hosts=its.webhook_hosts,
            secrets=Secrets(secrets_manager, its.webhook_secret_arn, self.runtime.clock),
            gateway=self._gateway(),
        )

    def _gateway(self) -> Gateway | None:
        """Return the adapter of API Gateway, or None if the stack has no API."""
        if not self.settings.api_stage:
            return None
        from scheduler.aws.applications.gateway import Gateway

        return Gateway(self.client("apigateway"), self.settings.api_stage, self.settings.stack_name)

    def _revise(self, old: Schedule, given: Mapping[str, object], now_ms: int) -> Request:
        """Validate a change of a schedule. Most operations of the manage function change nothing."""
        from scheduler.accepting import changes

        return changes.revised(old, given, now_ms, self._rules())

    def _rules(self) -> AcceptRules:
        from scheduler.accepting.request import AcceptRules

        return AcceptRules(self.settings.listed, self.settings.require_user)
