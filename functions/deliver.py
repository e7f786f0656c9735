"""Lambda: deliver. SQS invokes it with up to ten messages of the delivery queue, each a little before its moment."""

import functools
from typing import Any

from scheduler import config, delivering, partitions, world
from scheduler.hearers import Hearers
from scheduler.outlets import Outlets
from scheduler.queues import Queues
from scheduler.records import Records
from scheduler.resting import Resting
from scheduler.secrets import Secrets
from scheduler.table import Table

settings = config.from_environment(
    "TABLE_NAME", "OUTPUT_QUEUE_URL", "DELIVERY_QUEUE_URL", "FAILURE_QUEUE_URL", "REACH_SECONDS"
)
outside = world.outside()
dynamodb = outside.client("dynamodb", delivering.CREW_WIDTH)
table = Table(dynamodb, settings.table_name)
sqs = outside.client("sqs", delivering.CREW_WIDTH)


@functools.cache
def client_of(service: str) -> Any:
    """Made at first use: most stacks deliver to one or two services."""
    return sqs if service == "sqs" else outside.client(service, delivering.CREW_WIDTH)


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
    from scheduler.intake import Intake  # noqa: PLC0415 - As above.

    return Intake(sqs, settings.delivery_queue_url)


queues = Queues(
    sqs, settings.output_queue_url, settings.failure_queue_url, settings.delivery_queue_url, settings.lead_ms
)
post = delivering.Post(
    records=Records(dynamodb, settings.table_name),
    table=table,
    queues=queues,
    tell=Hearers(client_of, settings.output_queue_url).tell,
    outlets=Outlets(client_of, settings.output_queue_url, webhooks()),
    crew=outside.crew(delivering.CREW_WIDTH),
    memory=partitions.Memory(table),
    resting=Resting(),
    intake=intake,
    reach_ms=settings.reach_ms,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return delivering.deliver(event["Records"], post, outside.patience(context, delivering.RESERVE_S))
