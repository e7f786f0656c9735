"""Everything that the functions work with, built in one place: clients, adapters and the dependencies of each use case.

A handler makes its `Resources` at import, so that the cold start pays for clients and not the first message. Modules
that most invocations do without are imported when their part is first used.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from scheduler.placing import partitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scheduler.accepting.scheduling import Desk
    from scheduler.aws.delivery_queue import Intake
    from scheduler.aws.failure_targets import Hearers
    from scheduler.aws.lambda_function import Function
    from scheduler.aws.name_records import Records
    from scheduler.aws.queues import Queues
    from scheduler.aws.table import Table
    from scheduler.delivering.delivery import Post
    from scheduler.execution.deadline import Patience
    from scheduler.execution.worker_pool import Crew
    from scheduler.feeding.feed import Line
    from scheduler.managing.dependencies import Office
    from scheduler.wiring.config import Settings
    from scheduler.wiring.runtime import World


class Resources:
    """The parts of one function. Each is made when it is first asked for, and kept."""

    def __init__(self, settings: Settings, runtime: World, threads: int) -> None:
        self.settings, self.runtime, self.threads = settings, runtime, threads
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.runtime.client(service, self.threads)
        return self._clients[service]

    def deadline(self, context: Any, reserve_s: float) -> Patience:
        """The end of the invocation, less the time that the function keeps back to end cleanly."""
        return self.runtime.patience(context, reserve_s)

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
    def pool(self) -> Crew:
        return self.runtime.crew(self.threads)

    @functools.cached_property
    def _records(self) -> Records:
        from scheduler.aws.name_records import Records

        return Records(self.client("dynamodb"), self.settings.table_name)

    @functools.cached_property
    def _failure_targets(self) -> Hearers:
        from scheduler.aws.failure_targets import Hearers

        return Hearers(self.client, self.settings.output_queue_url)

    @functools.cached_property
    def _delivery_queue(self) -> Intake:
        from scheduler.aws.delivery_queue import Intake

        return Intake(self.client("sqs"), self.settings.delivery_queue_url)

    def _webhooks(self) -> Any:
        """The transport for webhooks, made at the cold start if the stack allows any, so that the first is on time."""
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

    def for_scheduling(self) -> Desk:
        from scheduler.accepting import request, scheduling
        from scheduler.placing.keys import Keyring

        return scheduling.Desk(
            table=self.table,
            memory=partitions.Memory(self.table),
            queues=self.queues,
            crew=self.pool,
            rules=request.Rules(self.settings.listed, self.settings.require_user),
            keyring=Keyring(self.settings.partition_count, self.runtime.randomness, self.settings.bundle_span_ms),
            reach_ms=self.settings.reach_ms,
            records=lambda: self._records,
        )

    def receive(self, records: Sequence[Mapping[str, Any]], desk: Desk, patience: Patience) -> dict[str, Any]:
        """Accept messages of the input queue. Each invocation forgets how other people's queues failed."""
        from scheduler.accepting import limited_queues, receiving, scheduling
        from scheduler.aws.input_queue import Postbox

        limited = dataclasses.replace(desk, queues=limited_queues.LimitedQueues(self.queues, self.runtime.clock))
        reception = receiving.Reception(
            accept=functools.partial(scheduling.accept_letter, desk=limited),
            put_back=Postbox(self.client("sqs"), self.settings.input_queue_url).put_back,
            report=self.queues.report,
            tell=self._failure_targets.tell,
            may_hear=self.settings.listed.arns.__contains__,
            crew=desk.crew,
        )
        return receiving.receive(records, patience, reception)

    def for_feeding(self) -> Line:
        from scheduler.aws.feed_table import Stock
        from scheduler.feeding import feed

        table = Stock(self.client("dynamodb"), self.settings.table_name)
        return feed.Line(table, self.queues, self.pool, self.settings.reach_ms, self._invoke_again)

    def _invoke_again(self, event: dict[str, Any], patience: Patience) -> None:
        """Most feeds get through in one run, and need no client for Lambda."""
        from scheduler.aws.lambda_function import Function

        Function(self.client("lambda"), self.settings.function_name).invoke(event, patience)

    def for_delivery(self) -> Post:
        from scheduler.delivering import circuit_breaker, delivery
        from scheduler.transports import Outlets

        return delivery.Post(
            records=self._records,
            table=self.table,
            queues=self.queues,
            tell=self._failure_targets.tell,
            outlets=Outlets(self.client, self.settings.output_queue_url, self._webhooks()),
            crew=self.pool,
            memory=partitions.Memory(self.table),
            resting=circuit_breaker.Resting(),
            intake=lambda: self._delivery_queue,
            reach_ms=self.settings.reach_ms,
        )

    def for_managing(self) -> Office:
        from scheduler.aws.manage_table import Catalogue
        from scheduler.managing.dependencies import Office
        from scheduler.placing.keys import Keyring

        return Office(
            records=self._records,
            table=self.table,
            catalogue=Catalogue(self.client("dynamodb"), self.settings.table_name),
            memory=partitions.Memory(self.table),
            queues=self.queues,
            crew=self.pool,
            keyring=Keyring(self.settings.partition_count, self.runtime.randomness),
            reach_ms=self.settings.reach_ms,
        )
