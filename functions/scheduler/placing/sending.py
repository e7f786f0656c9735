"""Schedules to their queue, in parcels that one thread works through, with a delay that is right at every try."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from scheduler.execution.batch_result import Outcome
from scheduler.execution.deadline import Patience, insist
from scheduler.limits import SQS_DELAY_S_MAX
from scheduler.model.schedule import Schedule

PARCEL_SCHEDULES_MAX = 50
"""Five full batches of SQS and two of DynamoDB: 0.14 calls per schedule, and what a crash can repeat stays small."""


class Queues(Protocol):
    def url_of(self, schedule: Schedule) -> str: ...
    def are_ours(self, url: str) -> bool: ...
    def batches(self, queue_url: str, schedules: Iterable[Schedule]) -> Iterator[list[Schedule]]: ...
    def send(self, queue_url: str, schedules: Sequence[Schedule], now_ms: int) -> Outcome[Schedule]: ...


@dataclass(frozen=True, slots=True)
class Parcel:
    """A few schedules for one queue."""

    queue_url: str
    schedules: list[Schedule]


def parcels(schedules: Iterable[Schedule], url_of: Callable[[Schedule], str]) -> Iterator[Parcel]:
    """Sort by queue, in the order they come, and cut."""
    by_queue: dict[str, list[Schedule]] = {}
    for schedule in schedules:
        by_queue.setdefault(url_of(schedule), []).append(schedule)
    for url, waiting in by_queue.items():
        for start in range(0, len(waiting), PARCEL_SCHEDULES_MAX):
            yield Parcel(url, waiting[start : start + PARCEL_SCHEDULES_MAX])


def send(parcel: Parcel, queues: Queues, patience: Patience) -> Outcome[Schedule]:
    """Send batch by batch. Once the queue is found closed, a batch found no way through, or time is over, the rest is
    not tried."""
    total: Outcome[Schedule] = Outcome()
    stuck = False
    for number, batch in enumerate(queues.batches(parcel.queue_url, parcel.schedules)):
        if total.closed:
            total.closed += [(schedule, total.closed[0][1]) for schedule in batch]
        elif stuck or (number and patience.over()):
            total.untried += batch
        else:
            outcome = insist(lambda left: _try(left, parcel.queue_url, queues, patience.now_ms()), batch, patience)
            stuck = bool(outcome.left) and not outcome.done
            total.add(outcome)
    return total


def _try(schedules: Sequence[Schedule], queue_url: str, queues: Queues, now_ms: int) -> Outcome[Schedule]:
    """What may be sent at this moment. A clock that was set back may find a schedule out of reach again: SQS would
    refuse it, and a shorter delay would be early; a timer may come early, it is set again. And what has expired
    meanwhile is not to be delivered."""
    latest_ms = now_ms + SQS_DELAY_S_MAX * 1000
    fit = [each for each in schedules if (each.due_ms <= latest_ms or each.name) and not each.expired(now_ms)]
    outcome = queues.send(queue_url, fit, now_ms) if fit else Outcome()
    if len(fit) < len(schedules):
        outcome.left += [schedule for schedule in schedules if schedule not in fit]
        outcome.why = outcome.why or "expired, or out of reach by this clock"
    return outcome
