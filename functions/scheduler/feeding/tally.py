"""Count what a feed releases in the ledger.

A page is counted before its first schedule is sent, as if all of it were released. Each job then takes back what was
not. So a crash counts too much, and the next feed, which sends those schedules again, counts them again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from scheduler.counting.ledger import Ledger
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline
from scheduler.feeding.jobs import BundleGroup, Job, JobCounts, UnreadableItems
from scheduler.model.targets import goes_straight

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scheduler.feeding.reader import Page
    from scheduler.model.schedule import Schedule

TRIES_MAX = 3
"""A count must not hold up for long the schedules that are due."""


@dataclass
class Tally:
    """The tally of one run, for the owner or for one application. All threads share it."""

    ledger: Ledger
    deadline: Deadline
    day: str = field(init=False)
    _open: int = 0
    """How many schedules are counted, and not yet sent."""
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.day = self.ledger.today(self.deadline)
        self._few = replace(self.deadline, tries_max=TRIES_MAX)

    @classmethod
    def begin(cls, ledger: Ledger, deadline: Deadline) -> Tally | None:
        return cls(ledger, deadline) if ledger.on else None

    def begin_page(self, page: Page) -> None:
        """Count a page. If the row is not written, the next write takes the count along."""
        expected = self.straight(page.schedules) + sum(bundle.count for bundle in page.bundles)
        with self._lock:
            self._open += expected
        try:
            self.ledger.count(self._few, self.day, released=expected)
        except NotConfirmed:
            self.ledger.add(self.day, released=expected)

    def end_job(self, job: Job, counts: JobCounts) -> None:
        """Take back what was not released. Call this before the items are deleted: what ended otherwise is written."""
        expected = self._expected(job)
        with self._lock:
            self._open -= expected
        self.ledger.take_back(self.day, released=expected - counts.released)
        if counts.dropped or counts.spoiled:
            self.ledger.add(self.day, expired=counts.dropped, failed=counts.spoiled)
            self.ledger.settle(self._few)

    def end(self) -> None:
        """Take back what the run had no time for, and write the rows."""
        self.ledger.take_back(self.day, released=self._open)
        self._open = 0
        self.ledger.settle(self._few)

    @staticmethod
    def straight(schedules: Iterable[Schedule]) -> int:
        """Return how many go straight to the queue of their target. The delivery queue is no exit."""
        return sum(each.name is None and goes_straight(each.target) for each in schedules)

    def _expected(self, job: Job) -> int:
        if isinstance(job, BundleGroup):
            return sum(bundle.count for bundle in job.bundles)
        return 0 if isinstance(job, UnreadableItems) else self.straight(job.schedules)
