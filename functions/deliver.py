"""Lambda: deliver. SQS invokes it with up to ten messages of the delivery queue, each a little before its moment."""

import functools
from typing import Any

from scheduler.aws.failure_targets import Hearers
from scheduler.aws.name_records import Records
from scheduler.aws.queues import Queues
from scheduler.aws.signing_secrets import Secrets
from scheduler.aws.table import Table
from scheduler.delivering import delivery
from scheduler.delivering.circuit_breaker import Resting
from scheduler.placing import partitions
from scheduler.transports import Outlets
from scheduler.wiring import config, runtime

settings = config.from_environment(
    "TABLE_NAME", "OUTPUT_QUEUE_URL", "DELIVERY_QUEUE_URL", "FAILURE_QUEUE_URL", "REACH_SECONDS"
)
outside = runtime.outside()
dynamodb = outside.client("dynamodb", delivery.CREW_WIDTH)
table = Table(dynamodb, settings.table_name)
sqs = outside.client("sqs", delivery.CREW_WIDTH)


@functools.cache
def client_of(service: str) -> Any:
    """Made at first use: most stacks deliver to one or two services."""
    return sqs if service == "sqs" else outside.client(service, delivery.CREW_WIDTH)


def webhooks() -> Any:
    """Made at the start where there are any, so that the first one is on time."""
    if settings.webhook_hosts is None:
        return None
    keys = outside.client("secretsmanager", 1) if settings.webhook_secret_arn else None
    secrets = Secrets(keys, settings.webhook_secret_arn, outside.clock)
    return outside.webhooks(settings.webhook_hosts, secrets, outside.clock)


@functools.cache
def intake() -> Any:
    """Made when something hangs, which most environments never see."""
    from scheduler.aws.delivery_queue import Intake  # noqa: PLC0415 - As above.

    return Intake(sqs, settings.delivery_queue_url)


queues = Queues(
    sqs, settings.output_queue_url, settings.failure_queue_url, settings.delivery_queue_url, settings.lead_ms
)
post = delivery.Post(
    records=Records(dynamodb, settings.table_name),
    table=table,
    queues=queues,
    tell=Hearers(client_of, settings.output_queue_url).tell,
    outlets=Outlets(client_of, settings.output_queue_url, webhooks()),
    crew=outside.crew(delivery.CREW_WIDTH),
    memory=partitions.Memory(table),
    resting=Resting(),
    intake=intake,
    reach_ms=settings.reach_ms,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return delivery.deliver(event["Records"], post, outside.patience(context, delivery.RESERVE_S))
