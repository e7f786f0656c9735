"""Lambda: start a tick. A rule invokes it every FeedIntervalMinutes. An operator may, with {}, after an outage."""

from typing import Any

from scheduler import timestamps
from scheduler.feeding import trigger
from scheduler.wiring import config, runtime
from scheduler.wiring.resources import Resources

settings = config.from_environment("TABLE_NAME", "FEED_FUNCTION", "PARTITION_COUNT")
resources = Resources(settings, runtime.current())
table, invoke = resources.table, resources.feed_function.invoke


@resources.measured
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    deadline = resources.deadline(context)
    if "time" in event:
        until_s = timestamps.from_event_time(event["time"]) + settings.feed_interval_s
    else:
        until_s = resources.runtime.clock() + trigger.BY_HAND_S
    feeds = trigger.trigger(until_s, settings.partition_count, table, resources.pool, invoke, deadline)
    resources.count_stale_partitions(feeds, deadline)
    return {"feeds": feeds}
