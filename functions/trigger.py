"""Lambda: begin a tick. The rule invokes it every FeedIntervalMinutes; an operator may, with {}, after an outage."""

from typing import Any

from scheduler import config, moments, triggering, world
from scheduler.functions import Function
from scheduler.table import Table

RESERVE_S = 6
CREW_WIDTH = 16

settings = config.from_environment("TABLE_NAME", "FEED_FUNCTION", "PARTITION_COUNT")
outside = world.outside()
table = Table(outside.client("dynamodb", 1), settings.table_name)
feed = Function(outside.client("lambda", CREW_WIDTH), settings.feed_function)
crew = outside.crew(CREW_WIDTH)


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    patience = outside.patience(context, RESERVE_S)
    if "time" in event:
        until_s = moments.from_event_time(event["time"]) + settings.feed_interval_s
    else:
        until_s = outside.clock() + triggering.BY_HAND_S
    feeds = triggering.trigger(until_s, settings.partition_count, table, crew, feed.invoke, patience)
    return {"feeds": feeds}
