"""Pages and jobs of a feed, as the reader cuts them and the mover does them, and the counts of what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scheduler.model.bundle import Bundle
from scheduler.model.schedule import Key, Schedule
from scheduler.placing.sending import SendChunk
from scheduler.value_class import value_class


@value_class
class QuarantinedItem:
    """Content that can never be sent, with its key in the table and the reason.

    The content is a schedule, a bundle, an item that holds neither, or an unreadable member of a bundle.
    """

    key: Key
    content: Schedule | Bundle | dict[str, Any]
    reason: str
    newer: bool = False
    """Whether newer code can send it."""

    @property
    def schedule_count(self) -> int:
        """Return how many schedules it certainly holds. An unreadable item may be none of ours."""
        if isinstance(self.content, Bundle):
            return self.content.count
        return int(isinstance(self.content, Schedule))


@value_class
class Page:
    """Schedules and bundles in key order, the unreadable items between them, and the start of the next page."""

    schedules: list[Schedule]
    bundles: list[Bundle]
    unreadable: list[QuarantinedItem]
    next_sort: str | None

    @property
    def size_bytes(self) -> int:
        """Estimate the size of the page in the table, without keys and small fields."""
        schedules_bytes = sum(len(each.data) + len(each.target or "") for each in self.schedules)
        return schedules_bytes + sum(len(bundle.packed) for bundle in self.bundles)


@value_class
class BundleGroup:
    """A few bundles, unpacked one at a time and deleted together."""

    bundles: list[Bundle]


@value_class
class UnreadableItems:
    """Items that hold no readable schedule."""

    things: list[QuarantinedItem]


Job = SendChunk | BundleGroup | UnreadableItems


def item_count(job: Job) -> int:
    if isinstance(job, BundleGroup):
        return len(job.bundles)
    return len(job.things if isinstance(job, UnreadableItems) else job.schedules)


def write_units(job: Job) -> int:
    """Estimate the write units for deleting the items of a job."""
    if isinstance(job, BundleGroup):
        return sum(1 + len(bundle.packed) // 1024 for bundle in job.bundles)
    if isinstance(job, UnreadableItems):
        return len(job.things)
    return sum(1 + len(each.data) // 1024 for each in job.schedules)


@dataclass(slots=True)
class FeedCounts:
    """Counts the schedules by result. Closed, held, left and undeleted schedules are still in the table.

    The answer of the function and its log line have these names.
    """

    sent: int = 0
    expired: int = 0
    quarantined: int = 0
    closed: int = 0
    """Their queue is missing or denies access."""
    held: int = 0
    """An immediate retry would not help: their queue fails, or their expiry cannot be reported now."""
    left: int = 0
    """Not confirmed, or not attempted for lack of time: to be tried again as soon as possible."""
    stuck: int = 0
    """The part of `left` that was attempted without success."""
    undeleted: int = 0
    """Sent, but their item could not be deleted. The next tick sends them again."""
    deleted: int = 0
    """Deleted items. Each was a schedule, a bundle or a quarantined original."""
    lightened: int = 0
    """Bundles written back with fewer members. They are not finished, but the run made progress."""
    why: str = ""

    def add(self, other: FeedCounts) -> None:
        self.sent += other.sent
        self.expired += other.expired
        self.quarantined += other.quarantined
        self.closed += other.closed
        self.held += other.held
        self.left += other.left
        self.stuck += other.stuck
        self.undeleted += other.undeleted
        self.deleted += other.deleted
        self.lightened += other.lightened
        self.why = other.why or self.why


@dataclass(slots=True)
class JobCounts(FeedCounts):
    """The counts of one job. The ledger needs three more of them."""

    released: int = 0
    """The part of `sent` that went to the queue of its target, and not to the delivery queue."""
    dropped: int = 0
    """The part of `expired` that ended here, and was not handed over to the deliver function."""
    spoiled: int = 0
    """The schedules among the quarantined things."""
