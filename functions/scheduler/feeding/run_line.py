"""Write a line about a run of the feed, so that a person can see later what the feed did.

The line is the last call of a run: every schedule that was sent is deleted by then, and the next feed is invoked. No
guarantee depends on it. It is written once, and only if even a slow call would end in time. If it is not written, the
log says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from scheduler import log
from scheduler.errors import reason
from scheduler.model.feed_run import FeedRun

CALL_S = 5
"""The longest that the call may take. Lambda would retry a feed that it has to end."""


class Table(Protocol):
    def put_run(self, run: FeedRun) -> None: ...


def write(run: FeedRun, table: Table, clock: Callable[[], float], ends_ms: int) -> None:
    """Write the line. Ignore a failure, because the work of the run is done."""
    if clock() + CALL_S > ends_ms / 1000:
        log.outcome("run not written", partition=run.partition, error="time is over")
        return
    try:
        table.put_run(run)
    except Exception as failure:  # noqa: BLE001 - A failed line must not repeat the feed.
        log.outcome("run not written", partition=run.partition, error=reason(failure))
