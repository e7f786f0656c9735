"""Lambda: feed one partition. The trigger, or the feed itself, invokes it: {"partition": "3", "until": 1564378340}."""

import functools
from dataclasses import asdict
from typing import Any

from scheduler.aws.feed_table import Stock
from scheduler.aws.lambda_function import Function
from scheduler.aws.queues import Queues
from scheduler.execution.deadline import Patience
from scheduler.feeding import feed, mover
from scheduler.wiring import config, runtime

CREW_WIDTH = 16  # At most this many parcels are sent and not yet deleted.

settings = config.from_environment(
    "TABLE_NAME", "OUTPUT_QUEUE_URL", "DELIVERY_QUEUE_URL", "FAILURE_QUEUE_URL", "REACH_SECONDS"
)
outside = runtime.outside()
table = Stock(outside.client("dynamodb", CREW_WIDTH), settings.table_name)
sqs = outside.client("sqs", CREW_WIDTH)
queues = Queues(
    sqs, settings.output_queue_url, settings.failure_queue_url, settings.delivery_queue_url, settings.lead_ms
)
crew = outside.crew(CREW_WIDTH)


@functools.cache
def functions() -> Any:
    """Made at first use: most feeds get through in one go."""
    return outside.client("lambda", 1)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    def again(order: dict[str, Any], patience: Patience) -> None:
        Function(functions(), context.function_name).invoke(order, patience)

    line = feed.Line(table, queues, crew, settings.reach_ms, again)
    patience = outside.patience(context, mover.RESERVE_S)
    holder = f"{outside.randomness.getrandbits(64):016x}"
    return asdict(feed.feed(feed.Order.read(event), line, patience, holder))
