"""The result of one run of the feed, while it is at work."""

from __future__ import annotations

from dataclasses import dataclass, field

from scheduler.feeding.jobs import FeedCounts
from scheduler.feeding.lease import Lease
from scheduler.model.feed_run import FeedRun


@dataclass(slots=True)
class Run:
    """The result of one feed."""

    counts: FeedCounts = field(default_factory=FeedCounts)
    beside: FeedCounts = field(default_factory=FeedCounts)
    """The counts of the applications that the feed of a partition looked at."""
    applications_left: tuple[str, ...] = ()
    """The applications that it did not look at."""
    behind: str | None = None
    """The first page that was skipped with unsent schedules."""
    turns: int = 0
    failure: str = ""
    """Why the run failed, if it did."""

    @property
    def total(self) -> FeedCounts:
        both = FeedCounts()
        both.add(self.counts)
        both.add(self.beside)
        return both

    def as_line(self, lease: Lease, begun_ms: int, ended_ms: int) -> FeedRun:
        """Return what the table keeps about this run. Schedules whose queue is unavailable are left, too."""
        counts = self.total
        left = counts.left + counts.held + counts.closed
        error = (counts.why if left else "") or self.failure
        return FeedRun(lease.partition, begun_ms, ended_ms, counts.sent, left, error, lease.holder)
