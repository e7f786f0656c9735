"""Lambda: schedule. Anyone invokes it with {"timestamp": 1893456000, "data": "some payload"}, or a batch of such."""

from typing import Any

from scheduler import config, log, partitions, request, scheduling, world
from scheduler.keying import Keyring
from scheduler.queues import Queues
from scheduler.records import Records
from scheduler.table import Table

RESERVE_S = 6  # A call that begins at the last moment may take 5 s, and then the answer is still to be given.
CREW_WIDTH = 16

settings = config.from_environment(
    "TABLE_NAME", "OUTPUT_QUEUE_URL", "DELIVERY_QUEUE_URL", "PARTITION_COUNT", "REACH_SECONDS"
)
outside = world.outside()
dynamodb = outside.client("dynamodb", CREW_WIDTH)
table = Table(dynamodb, settings.table_name)
desk = scheduling.Desk(
    table=table,
    memory=partitions.Memory(table),
    queues=Queues(
        outside.client("sqs", CREW_WIDTH),
        settings.output_queue_url,
        settings.failure_queue_url,
        settings.delivery_queue_url,
        settings.lead_ms,
    ),
    crew=outside.crew(CREW_WIDTH),
    rules=request.Rules(settings.listed, settings.require_user),
    keyring=Keyring(settings.partition_count, outside.randomness, settings.bundle_span_ms),
    reach_ms=settings.reach_ms,
    records=Records(dynamodb, settings.table_name),
)


def handler(event: Any, context: Any) -> dict[str, Any]:
    answer = scheduling.accept(event, desk, outside.patience(context, RESERVE_S))
    log.outcome(
        "scheduled", accepted=answer.get("accepted", 1), rejected=answer.get("rejected", 0), id=answer.get("id")
    )
    return answer
