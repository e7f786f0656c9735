"""Lambda: manage. Anyone invokes it with {"operation": "get", "name": "reminder/1"}, or another of them."""

from typing import Any

from scheduler.aws.manage_table import Catalogue
from scheduler.aws.name_records import Records
from scheduler.aws.queues import Queues
from scheduler.aws.table import Table
from scheduler.managing import operations
from scheduler.managing.dependencies import Office
from scheduler.placing import partitions
from scheduler.placing.keys import Keyring
from scheduler.wiring import config, runtime

RESERVE_S = 6  # A call that begins at the last moment may take 5 s, and then the answer is still to be given.
CREW_WIDTH = 16

settings = config.from_environment(
    "TABLE_NAME", "OUTPUT_QUEUE_URL", "DELIVERY_QUEUE_URL", "PARTITION_COUNT", "REACH_SECONDS"
)
outside = runtime.outside()
dynamodb = outside.client("dynamodb", CREW_WIDTH)
table = Table(dynamodb, settings.table_name)
office = Office(
    records=Records(dynamodb, settings.table_name),
    table=table,
    catalogue=Catalogue(dynamodb, settings.table_name),
    memory=partitions.Memory(table),
    queues=Queues(
        outside.client("sqs", CREW_WIDTH),
        settings.output_queue_url,
        delivery_queue_url=settings.delivery_queue_url,
        lead_ms=settings.lead_ms,
    ),
    crew=outside.crew(CREW_WIDTH),
    keyring=Keyring(settings.partition_count, outside.randomness),
    reach_ms=settings.reach_ms,
)


def handler(event: Any, context: Any) -> dict[str, Any]:
    return operations.manage(event, office, outside.patience(context, RESERVE_S))
