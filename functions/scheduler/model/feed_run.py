"""What one run of a feed did. The table keeps a line for each run for 30 days, under the day on which the run began."""

from __future__ import annotations

from datetime import date

from scheduler.model.schedule import Key, sort_from
from scheduler.timestamps import day_of, epoch_s
from scheduler.value_class import value_class

RUNS = "runs#"
RUN_KEPT_S = 30 * 24 * 3600


@value_class
class FeedRun:
    partition: str
    begun_ms: int
    ended_ms: int
    moved: int
    """How many schedules it sent to their queues."""
    left: int
    """How many schedules it found and had to leave in the table. A later run tries them again."""
    error: str = ""
    """Why it left some, or why it failed."""
    holder: str = ""
    """A random text that tells runs apart that began in the same millisecond."""

    @property
    def key(self) -> Key:
        """The key of the line. The partition of the feed comes last, because a reader asks for a time."""
        return Key(partition_of(day_of(self.begun_ms)), f"{sort_from(self.begun_ms)}#{self.partition}-{self.holder}")

    def facts(self) -> dict[str, object]:
        """Return what callers see."""
        return {
            "partition": self.partition,
            "begun": epoch_s(self.begun_ms),
            "ended": epoch_s(self.ended_ms),
            "moved": self.moved,
            "left": self.left,
            "error": self.error or None,
        }


def partition_of(day: date) -> str:
    return f"{RUNS}{day.isoformat()}"
