"""Lambda: begin a tick. The rule invokes it every FeedIntervalMinutes; an operator may, with {}, after an outage."""

from typing import Any

from scheduler import timestamps
from scheduler.aws.lambda_function import Function
from scheduler.aws.table import Table
from scheduler.feeding import trigger
from scheduler.wiring import config, runtime

RESERVE_S = 6
CREW_WIDTH = 16

settings = config.from_environment("TABLE_NAME", "FEED_FUNCTION", "PARTITION_COUNT")
outside = runtime.outside()
table = Table(outside.client("dynamodb", 1), settings.table_name)
feed = Function(outside.client("lambda", CREW_WIDTH), settings.feed_function)
crew = outside.crew(CREW_WIDTH)


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    patience = outside.patience(context, RESERVE_S)
    if "time" in event:
        until_s = timestamps.from_event_time(event["time"]) + settings.feed_interval_s
    else:
        until_s = outside.clock() + trigger.BY_HAND_S
    feeds = trigger.trigger(until_s, settings.partition_count, table, crew, feed.invoke, patience)
    return {"feeds": feeds}
