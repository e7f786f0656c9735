"""Look at the items of applications that lie beside a partition.

Most applications have little that is due in one partition within a tick. One query finds it, and the feed of the
partition moves it at once. An application with more gets a separate feed, with its own lease, position and retries. So
its backlog does not delay the others. It also gets a separate feed if a schedule could not be moved.

A crash leaves the items where they are. Lambda's retry of the partition's feed looks at every application again. If a
feed of its own is already at work on an application, a glance may send what that feed sends, too: it comes out twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Protocol

from scheduler.counting.ledger import NO_LEDGER, Ledger
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.feeding import mover as moving
from scheduler.feeding import reader as reading
from scheduler.feeding.jobs import FeedCounts, Page
from scheduler.feeding.mover import Mover
from scheduler.feeding.reader import Task
from scheduler.feeding.tally import PageCount, Tally
from scheduler.model.application import is_application_id
from scheduler.model.schedule import sort_from
from scheduler.value_class import value_class

GLANCE_ITEMS_MAX = 200
"""The items and schedules of an application that the feed of a partition moves itself: less than a second's work."""
BETWEEN_TASKS = 8
"""How many applications are looked at for each task of the owner. A glance that finds nothing is a query of 5 ms."""
GLANCE_TRIES_MAX = 3
"""A feed of its own has more time for an application whose items cannot be read."""


class Table(moving.Table, reading.Table, Protocol):
    pass


@value_class
class Parts:
    """The table and the queues of one application."""

    table: Table
    queues: moving.Queues
    ledger: Ledger = NO_LEDGER


def of_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the input of a feed says of applications, as fields of a FeedEvent."""
    applications, application = event.get("applications", []), event.get("application", "")
    if not (isinstance(applications, list) and all(map(is_application_id, applications))):
        raise ValueError(f"applications is {applications!r}; wanted: a list of ids of applications")
    if application != "" and not is_application_id(application):
        raise ValueError(f"application is {application!r}; wanted: the id of an application")
    return {"applications": tuple(applications), "application": application}


@value_class
class Glance:
    application: str


@dataclass
class Glances:
    """The applications to look at, and what became of them."""

    partition: str
    end_sort: str
    """The sort key before which schedules are within reach."""
    mover: Mover
    parts_of: Callable[[str], Parts]
    hand_over: Callable[[str], None]
    """Invokes a feed for an application. It raises NotConfirmed."""
    deadline: Deadline
    counts: FeedCounts = field(default_factory=FeedCounts)
    left: list[str] = field(default_factory=list)
    """The applications that the next feed has to look at."""
    _adding: Lock = field(default_factory=Lock)

    def between(
        self, tasks: Iterator[Task | PageCount], applications: Sequence[str]
    ) -> Iterator[Task | PageCount | Glance]:
        """Yield the tasks and the applications in turn. Every run looks at one application or more."""
        waiting = list(reversed(applications))
        begun = False
        for task in tasks:
            for _ in range(min(BETWEEN_TASKS, len(waiting))):
                yield Glance(waiting.pop())
                begun = True
            yield task
        while waiting and not (begun and self.deadline.passed(reading.JOB_S)):
            yield Glance(waiting.pop())
            begun = True
        self.left += reversed(waiting)

    def work(self, application: str) -> None:
        """Move what an application has within reach, or hand it over to a feed of its own."""
        counts = self._moved(application)
        if counts is None or counts.left or counts.held:
            try:
                if self.deadline.passed():
                    raise NotConfirmed("time is over")
                self.hand_over(application)
            except NotConfirmed as failure:
                counts = counts or FeedCounts()
                counts.why = f"the feed of {application} was not invoked: {failure}"
                with self._adding:
                    self.left.append(application)
        if counts is not None:
            with self._adding:
                self.counts.add(counts)

    def _moved(self, application: str) -> FeedCounts | None:
        """Move the items, and return the counts. Return None if that is too much, or if they cannot be read."""
        parts, short = self.parts_of(application), replace(self.deadline, tries_max=GLANCE_TRIES_MAX)
        bounds = self.partition, sort_from(0), self.end_sort, GLANCE_ITEMS_MAX
        try:
            page = retry_call(lambda: parts.table.page(*bounds), short)
        except NotConfirmed:
            return None
        if page.next_sort is not None or _count(page) > GLANCE_ITEMS_MAX:
            return None
        tally = Tally.begin(parts.ledger, self.deadline)
        if tally is not None:
            tally.begin_page(page)
        counts, mover = FeedCounts(), self.mover.of(parts.table, parts.queues, tally)
        for number, job in enumerate(reading.cut(page, parts.queues.url_of)):
            if number and self.deadline.passed(reading.JOB_S):
                counts.add(FeedCounts(left=1, why="time is over"))
                break
            counts.add(mover.work(job))
        if tally is not None:
            tally.end()
        return counts


def _count(page: Page) -> int:
    return len(page.schedules) + len(page.unreadable) + sum(bundle.count for bundle in page.bundles)
