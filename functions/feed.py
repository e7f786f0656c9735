"""Lambda: feed one partition. The trigger, or the feed before it, invokes it: {"partition": "3", "until": 1564378340}.

`until` is the time of the next tick in seconds since 1970. A feed that another feed invoked also gets a position and
the lease: see `feeding.feed.FeedEvent`.
"""

from dataclasses import asdict
from typing import Any

from scheduler import log
from scheduler.feeding import feed, mover
from scheduler.wiring import config, runtime
from scheduler.wiring.resources import Resources

settings = config.from_environment("TABLE_NAME", *config.QUEUES, "REACH_SECONDS")
resources = Resources(settings, runtime.current(), mover.FEED_THREADS_MAX)
dependencies = resources.for_feeding()


@resources.measured
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    deadline = resources.deadline(context, mover.FEED_RESERVE_S)
    holder = f"{resources.runtime.randomness.getrandbits(64):016x}"
    its = feed.FeedEvent.read(event)
    return asdict(log.about(its.application, feed.feed, its, dependencies, deadline, holder))
