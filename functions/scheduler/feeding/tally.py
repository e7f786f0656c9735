"""Count what a feed releases in the ledger.

A page is counted beside its sends, as if all of it were released, and before its items are deleted. Each job then takes
back what it did not release. A crash before the delete leaves the items, and the next feed counts them again. So a
crash counts too much, and never too little.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from scheduler import log
from scheduler.counting.ledger import Ledger
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline
from scheduler.feeding.jobs import BundleGroup, Job, JobCounts, Page, UnreadableItems
from scheduler.model.targets import goes_straight

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scheduler.model.schedule import Schedule

LOOK_S = 0.01
"""How often a thread checks whether the count of its page is written."""


@dataclass(eq=False, slots=True)
class PageCount:
    """The task to write the count of a page."""

    tally: Tally
    expected: int

    def write(self) -> None:
        self.tally.write(self)


@dataclass
class Tally:
    """The tally of one run, for the owner or for one application. All threads share it."""

    ledger: Ledger
    deadline: Deadline
    day: str = field(init=False)
    _open: int = 0
    """How many schedules are counted, and not yet sent."""
    _begun: int = 0
    _written: int = 0
    """How many pages are to be counted, and how many are."""
    _waiting: list[PageCount] = field(default_factory=list)
    """The counts that no thread has begun to write."""
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.day = self.ledger.today(self.deadline)
        # One try. A count must not hold up the deletes, and the next write takes it along.
        self._once = replace(self.deadline, tries_max=1)

    @classmethod
    def begin(cls, ledger: Ledger, deadline: Deadline) -> Tally | None:
        return cls(ledger, deadline) if ledger.on else None

    def begin_page(self, page: Page) -> PageCount:
        """Return the task to count a page. The first job that is sent does it, unless another thread has."""
        count = PageCount(self, self.straight(page.schedules) + sum(bundle.count for bundle in page.bundles))
        with self._lock:
            self._begun += 1
            self._waiting.append(count)
        return count

    def write(self, count: PageCount) -> None:
        """Count a page, unless that is begun. If the row is not written, the next write takes the count along."""
        expected = count.expected
        with self._lock:
            if count not in self._waiting:
                return
            self._waiting.remove(count)
            self._open += expected
        try:
            self.ledger.count(self._once, self.day, released=expected)
        except NotConfirmed as failure:
            log.outcome("not counted yet", day=self.day, released=expected, error=str(failure))
            self.ledger.add(self.day, released=expected)
        finally:
            with self._lock:
                self._written += 1

    def end_job(self, job: Job, counts: JobCounts) -> None:
        """Take back what was not released. Return when what ended is written, so that the items may be deleted."""
        expected, begun = self._expected(job), self._begun
        for count in list(self._waiting):
            self.write(count)
        while self._written < begun:
            self.deadline.sleep(LOOK_S)
        with self._lock:
            self._open -= expected
        self.ledger.take_back(self.day, released=expected - counts.released)
        if counts.dropped or counts.spoiled:
            self.ledger.add(self.day, expired=counts.dropped, failed=counts.spoiled)
            self.ledger.settle(self._once)

    def end(self) -> None:
        """Take back what the run had no time for. A write at the end of the invocation corrects the row."""
        self.ledger.take_back(self.day, released=self._open)
        self._open = 0

    @staticmethod
    def straight(schedules: Iterable[Schedule]) -> int:
        """Return how many go straight to the queue of their target. The delivery queue is no exit."""
        return sum(each.name is None and goes_straight(each.target) for each in schedules)

    def _expected(self, job: Job) -> int:
        if isinstance(job, BundleGroup):
            return sum(bundle.count for bundle in job.bundles)
        return 0 if isinstance(job, UnreadableItems) else self.straight(job.schedules)
