"""The feed of one partition around the time when it had to move a schedule."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from punctual.cli.inspecting.subject import Subject
from punctual.client.errors import InvalidRequest, PunctualError

if TYPE_CHECKING:
    from punctual import FeedRun

RUNS_MAX = 5_000
KEPT = timedelta(days=30)
"""How long the stack keeps the line of a run."""
NOTED = timedelta(seconds=60)
"""A run that another run hands over to has ended and is noted within this time."""
CLOCKS_S = 60
"""A run may begin this much later than planned, or by another clock, and is still in time."""


@dataclass(frozen=True, slots=True)
class Feed:
    """The feed that a schedule waits for. `unknown` says why its runs are not known."""

    partition: str
    reachable: datetime
    """From this time on, a run moves the schedule to its queue."""
    latest: datetime
    """A run has begun by this time if the feed is healthy."""
    since: datetime
    """The runs are those that began from this time on."""
    interval: timedelta
    runs: tuple[FeedRun, ...] = ()
    unknown: str = ""

    @property
    def first(self) -> FeedRun | None:
        """The first run that had to move the schedule. It may have failed."""
        return next((run for run in self.runs if run.begun >= self.reachable), None)

    @property
    def last(self) -> FeedRun | None:
        return self.runs[-1] if self.runs else None

    def incomplete(self, until: datetime) -> FeedRun | None:
        """Return the first run that had to move the schedule, and left some in the table or failed."""
        return next((run for run in self._runs_within_reach(until) if run.left or run.error), None)

    def movers(self, until: datetime) -> list[FeedRun]:
        """Return the runs that may have moved the schedule.

        The first run that had to move it need not have done so. A run can fail, and it can end before it has read all
        schedules within reach.
        """
        return [run for run in self._runs_within_reach(until) if run.moved]

    def _runs_within_reach(self, until: datetime) -> Iterator[FeedRun]:
        return (run for run in self.runs if self.reachable <= run.begun <= until)


def due_of(schedule_id: str) -> datetime:
    """Return the time of the item under this id. A bundle has the time of its latest member."""
    return datetime.fromtimestamp(int(schedule_id.split("-")[1]) / 1000, UTC)


def read(subject: Subject, schedule_id: str, now: datetime) -> Feed:
    """Return the feed that moves the schedule with this id."""
    due, interval = due_of(schedule_id), timedelta(seconds=subject.interval_s)
    reachable = due - timedelta(seconds=subject.reach_s)
    since = min(reachable, now) - 2 * interval - timedelta(seconds=CLOCKS_S)
    latest = reachable + interval + timedelta(seconds=CLOCKS_S)
    partition = schedule_id.split("-", maxsplit=1)[0]
    runs: tuple[FeedRun, ...] = ()
    unknown = ""
    if now - reachable > KEPT:
        unknown = "the stack keeps the runs of the feed for 30 days"
    else:
        try:
            end = min(now, due + timedelta(days=1)) + interval
            runs = tuple(itertools.islice(subject.run.scheduler.runs(since, end, partition), RUNS_MAX))
        except InvalidRequest:
            unknown = "the stack is of a version that notes no runs of the feed: punctual deploy updates it"
        except PunctualError as failure:
            unknown = f"the runs of the feed cannot be read: {failure}"
    return Feed(partition, reachable, latest, since, interval, runs, unknown)
