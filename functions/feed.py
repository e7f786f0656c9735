"""Lambda: feed one partition. The trigger, or the feed itself, invokes it: {"partition": "3", "until": 1564378340}."""

import functools
from dataclasses import asdict
from typing import Any

from scheduler import config, feeding, moving, world
from scheduler.functions import Function
from scheduler.hearers import Hearers
from scheduler.patience import Patience
from scheduler.queues import Queues
from scheduler.table import Table

CREW_WIDTH = 16  # At most this many parcels are sent and not yet deleted.

settings = config.from_environment(
    "TABLE_NAME", "OUTPUT_QUEUE_URL", "DELIVERY_QUEUE_URL", "FAILURE_QUEUE_URL", "REACH_SECONDS"
)
outside = world.outside()
table = Table(outside.client("dynamodb", CREW_WIDTH), settings.table_name)
sqs = outside.client("sqs", CREW_WIDTH)
queues = Queues(
    sqs, settings.output_queue_url, settings.failure_queue_url, settings.delivery_queue_url, settings.lead_ms
)
crew = outside.crew(CREW_WIDTH)


@functools.cache
def client_of(service: str) -> Any:
    """Made at first use: most feeds get through in one go, and drop nothing."""
    return sqs if service == "sqs" else outside.client(service, CREW_WIDTH)


hearers = Hearers(client_of, settings.output_queue_url)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    def again(order: dict[str, Any], patience: Patience) -> None:
        Function(client_of("lambda"), context.function_name).invoke(order, patience)

    line = feeding.Line(table, queues, crew, settings.reach_ms, again, hearers.tell)
    patience = outside.patience(context, moving.RESERVE_S)
    holder = f"{outside.randomness.getrandbits(64):016x}"
    return asdict(feeding.feed(feeding.Order.read(event), line, patience, holder))
