"""Lambda: schedule. Anyone invokes it with {"timestamp": 1893456000, "data": "some payload"}, or a batch of such; SQS
with messages of the input queue that hold the same."""

import dataclasses
import functools
from typing import Any

from scheduler import log
from scheduler.accepting import batch, request, scheduling
from scheduler.aws.queues import Queues
from scheduler.aws.table import Table
from scheduler.placing import partitions
from scheduler.placing.keys import Keyring
from scheduler.wiring import config, runtime

RESERVE_S = 6  # A call that begins at the last moment may take 5 s, and then the answer is still to be given.
CREW_WIDTH = 16

settings = config.from_environment(
    "TABLE_NAME",
    "OUTPUT_QUEUE_URL",
    "DELIVERY_QUEUE_URL",
    "FAILURE_QUEUE_URL",
    "INPUT_QUEUE_URL",
    "PARTITION_COUNT",
    "REACH_SECONDS",
)
outside = runtime.outside()
dynamodb = outside.client("dynamodb", CREW_WIDTH)
table = Table(dynamodb, settings.table_name)
sqs = outside.client("sqs", CREW_WIDTH)
queues = Queues(
    sqs, settings.output_queue_url, settings.failure_queue_url, settings.delivery_queue_url, settings.lead_ms
)


@functools.cache
def records() -> Any:
    """Made at first use, as is everything that most callers do without."""
    from scheduler.aws.name_records import Records  # noqa: PLC0415

    return Records(dynamodb, settings.table_name)


def letters() -> Any:
    """Takes in what the input queue brings. Made for each invocation, which forgets what it learns of other queues."""
    from scheduler.accepting import limited_queues, receiving  # noqa: PLC0415
    from scheduler.aws import failure_targets  # noqa: PLC0415
    from scheduler.aws.input_queue import Postbox  # noqa: PLC0415

    limited = dataclasses.replace(desk, queues=limited_queues.LimitedQueues(queues, outside.clock))
    reception = receiving.Reception(
        accept=functools.partial(scheduling.accept_letter, desk=limited),
        put_back=Postbox(sqs, settings.input_queue_url).put_back,
        report=queues.report,
        tell=failure_targets.Hearers(client_of, settings.output_queue_url).tell,
        may_hear=settings.listed.arns.__contains__,
        crew=desk.crew,
    )
    return functools.partial(receiving.receive, reception=reception)


@functools.cache
def client_of(service: str) -> Any:
    """For failure targets."""
    return sqs if service == "sqs" else outside.client(service, CREW_WIDTH)


desk = scheduling.Desk(
    table=table,
    memory=partitions.Memory(table),
    queues=queues,
    crew=outside.crew(CREW_WIDTH),
    rules=request.Rules(settings.listed, settings.require_user),
    keyring=Keyring(settings.partition_count, outside.randomness, settings.bundle_span_ms),
    reach_ms=settings.reach_ms,
    records=records,
)


def handler(event: Any, context: Any) -> dict[str, Any]:
    patience = outside.patience(context, RESERVE_S)
    if batch.is_from_queue(event):
        answer: dict[str, Any] = letters()(event["Records"], patience)
        return answer
    answer = scheduling.accept(event, desk, patience)
    log.outcome(
        "scheduled", accepted=answer.get("accepted", 1), rejected=answer.get("rejected", 0), id=answer.get("id")
    )
    return answer
