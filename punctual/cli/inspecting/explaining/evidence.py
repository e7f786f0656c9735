"""The facts that the stack knows about one schedule: its state, its feed, its failure, and the queues on its way."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from punctual.cli import queue_state
from punctual.cli.inspecting.explaining import feed
from punctual.cli.inspecting.explaining.feed import Feed
from punctual.cli.inspecting.subject import Subject
from punctual.client.errors import NotFound, OnItsWay, PunctualError

if TYPE_CHECKING:
    from punctual import Failure, Schedule

Verdict = Literal[
    "stored", "queued", "retrying", "overdue", "delivered", "failed", "expired", "cancelled", "on its way", "unknown"
]
PENDING = ("stored", "queued")
FAILURES_MAX = 2_000
FAILURES_KEPT = timedelta(days=90)
AROUND = timedelta(minutes=2)
"""A failure is noted this close to the change of the record."""
LATE = timedelta(seconds=2)
"""Less is not late: SQS and the functions need a part of it."""
SIMILAR_MAX = 200
QUEUES = {"output": "OutputQueueUrl", "delivery": "DeliveryQueueUrl", "dead letters": "DeadLetterQueueUrl"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that `explain` reads. Unknown parts are None or empty."""

    now: datetime
    name: str | None
    id: str | None
    schedule: Schedule | None
    answer: str
    """The message of the stack about a schedule that it does not have."""
    on_its_way: bool
    feed: Feed | None
    in_table: bool | None
    """Whether a pending schedule still waits in the table for its feed. None if that is not known."""
    unread: str
    """Why it is not known whether the schedule is in the table."""
    failure: Failure | None
    queues: Mapping[str, int]
    similar: str | None
    """A name of a pending schedule that resembles the one that is unknown."""

    @property
    def verdict(self) -> Verdict:
        if self.schedule is None:
            if self.failure is not None:
                return "expired" if self.failure.reason == "expired" else "failed"
            return "on its way" if self.on_its_way else "unknown"
        if self.schedule.state not in PENDING:
            return self.schedule.state
        return self._pending(self.schedule)

    def _pending(self, schedule: Schedule) -> Verdict:
        if schedule.attempts or schedule.next_attempt is not None:
            return "retrying"
        if self.in_table:
            return "overdue" if self.feed is not None and self.now > self.feed.latest else "stored"
        return "overdue" if self.now > schedule.due + LATE else "queued"

    @property
    def went_straight(self) -> bool:
        """Whether the schedule was so close when it was accepted that no feed had to move it."""
        accepted = None if self.schedule is None else self.schedule.accepted
        return accepted is not None and self.feed is not None and accepted >= self.feed.reachable


def gather(subject: Subject, name: str | None, schedule_id: str | None) -> Evidence:
    """Read the evidence. An error of the lookup itself is raised, unless it says where the schedule may be."""
    now, scheduler = subject.now(), subject.run.scheduler
    schedule, answer, on_its_way = None, "", False
    try:
        schedule = scheduler.get(name) if name is not None else scheduler.get(id=schedule_id)
    except NotFound as error:
        answer = str(error)
    except OnItsWay as error:
        answer, on_its_way = str(error), True
    known_id = schedule.id if schedule is not None else schedule_id
    its_feed = None if known_id is None else feed.read(subject, known_id, now)
    in_table, unread = _in_table(subject, schedule)  # After the runs, so that none of them can have moved it since.
    return Evidence(
        now=now,
        name=name if schedule is None else schedule.name,
        id=known_id,
        schedule=schedule,
        answer=answer,
        on_its_way=on_its_way,
        feed=its_feed,
        in_table=in_table,
        unread=unread,
        failure=_failure(subject, name, known_id, schedule, now),
        queues=_queues(subject),
        similar=_similar(subject, name) if schedule is None and name is not None else None,
    )


def _in_table(subject: Subject, schedule: Schedule | None) -> tuple[bool | None, str]:
    """Return whether a pending schedule waits in the table. If that is not known, return None and the reason.

    An unnamed schedule is only found in the table. A named one waits there under its id. Its state is `queued` as soon
    as it is within reach, and a run of the feed may end before it has read everything, so neither of them can tell.
    """
    if schedule is None or schedule.state not in PENDING:
        return False, ""
    if schedule.name is None or schedule.state == "stored":
        return True, ""
    if schedule.attempts or schedule.next_attempt is not None:
        return False, ""
    try:
        return subject.run.scheduler.get(id=schedule.id).state in PENDING, ""
    except (NotFound, OnItsWay):
        return False, ""
    except PunctualError as error:
        return None, str(error)


def _failure(
    subject: Subject, name: str | None, schedule_id: str | None, schedule: Schedule | None, now: datetime
) -> Failure | None:
    """Return the stored failure of the schedule, if it may have one."""
    if schedule is not None and schedule.state not in ("failed", "expired"):
        return None
    start, end = now - FAILURES_KEPT, now + AROUND
    if schedule is not None and schedule.changed is not None:
        start, end = schedule.changed - AROUND, schedule.changed + AROUND
    elif schedule_id is not None:
        start = max(start, feed.due_of(schedule_id) - timedelta(days=1))
    if start >= end:
        return None
    try:
        found = subject.run.scheduler.failures(start, end, limit=FAILURES_MAX)
        return next((each for each in found if (each.id == schedule_id if schedule_id else each.name == name)), None)
    except PunctualError:
        return None


def _queues(subject: Subject) -> dict[str, int]:
    """Return how many messages each queue has, as far as the caller may ask."""
    counts: dict[str, int] = {}
    for queue, output in QUEUES.items():
        try:
            counts[queue] = sum(queue_state.message_counts(subject.run, subject.output(output)).values())
        except PunctualError:
            continue
    return counts


def _similar(subject: Subject, name: str) -> str | None:
    """Return the pending name that is most like this one, among those with the same beginning."""
    prefix = name[: max(1, len(name) // 2)]
    try:
        names = [each.name or "" for each in subject.run.scheduler.list(prefix=prefix, limit=SIMILAR_MAX)]
    except PunctualError:
        return None
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.75)), None)
