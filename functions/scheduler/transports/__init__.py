"""Sends due schedules to their targets, with one transport for each kind of target.

A transport, its module and its client are created at first use. Only `wiring` imports this package.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol

from scheduler.errors import Undelivered
from scheduler.model.schedule import Schedule
from scheduler.model.targets import EVENTS, LAMBDA, SNS, SQS, STATES, WEBHOOK, kind


class Transport(Protocol):
    def deliver(self, schedule: Schedule) -> None:
        """Return when the target has confirmed, or raise Undelivered.

        The caller makes one call per attempt. Many threads may call at once.
        """


class Webhooks(Transport, Protocol):
    def of(self, application: str) -> Transport:
        """Return the transport for an application. It signs with a key of the application's own."""


class Transports:
    """Chooses the transport for the target of a schedule.

    `make_client` returns the boto3 client of a service. A stack without allowed hosts passes None as `webhooks`.
    """

    def __init__(
        self,
        make_client: Callable[[str], Any],
        output_queue_url: str,
        webhooks: Webhooks | None,
        application: str = "",
    ) -> None:
        self._make_client, self._output_queue_url, self._application = make_client, output_queue_url, application
        self._webhooks: Transport | None = webhooks.of(application) if webhooks and application else webhooks
        self._webhooks_of_stack = webhooks
        self._made: dict[str, Transport] = {}
        self._making = Lock()

    def of(self, application: str) -> Transports:
        """Return the transports for the schedules of an application. What they send says whose it is."""
        return Transports(self._make_client, self._output_queue_url, self._webhooks_of_stack, application)

    def deliver(self, schedule: Schedule) -> None:
        self._transport(kind(schedule.target)).deliver(schedule)

    def _transport(self, of_kind: str) -> Transport:
        found = self._made.get(of_kind)
        if found is None:
            with self._making:
                found = self._made.get(of_kind) or self._make(of_kind)
                self._made[of_kind] = found
        return found

    def _make(self, of_kind: str) -> Transport:
        if of_kind == SQS:
            from scheduler.transports.sqs import SqsTransport

            return SqsTransport(self._make_client("sqs"), self._output_queue_url, self._application)
        if of_kind == SNS:
            from scheduler.transports.sns import SnsTransport

            return SnsTransport(self._make_client("sns"), self._application)
        if of_kind == LAMBDA:
            from scheduler.transports.lambda_functions import LambdaTransport

            return LambdaTransport(self._make_client("lambda"), self._application)
        if of_kind == EVENTS:
            from scheduler.transports.eventbridge import EventBridgeTransport

            return EventBridgeTransport(self._make_client("events"), self._application)
        if of_kind == STATES:
            from scheduler.transports.step_functions import StepFunctionsTransport

            return StepFunctionsTransport(self._make_client("stepfunctions"), self._application)
        if of_kind == WEBHOOK and self._webhooks is not None:
            return self._webhooks
        if of_kind == WEBHOOK:
            raise Undelivered("the stack's WebhookHosts lists no host any more", permanent=True)
        raise ValueError(f"no transport for a target of the kind {of_kind!r}")
