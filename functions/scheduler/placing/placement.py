"""Put a schedule where it waits until it is due: in its queue if that is soon, in the table otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from scheduler.counting.ledger import Ledger
from scheduler.errors import InvalidRequest, NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch
from scheduler.model.schedule import Schedule, is_near
from scheduler.model.targets import goes_straight
from scheduler.placing import near_names, partitions
from scheduler.placing.keys import KeyGenerator
from scheduler.placing.sending import Queues, SendChunk, send


class Table(near_names.Table, Protocol):
    def put(self, things: Sequence[Any]) -> BatchResult[Any]: ...


class Dependencies(Protocol):
    """The table and the queues, and what is needed to choose between them."""

    @property
    def table(self) -> Table: ...
    @property
    def queues(self) -> Queues: ...
    @property
    def stored_count(self) -> partitions.PartitionCount: ...
    @property
    def key_generator(self) -> KeyGenerator: ...
    @property
    def reach_ms(self) -> int: ...
    @property
    def ledger(self) -> Ledger: ...


def get_ready(schedule: Schedule, now_ms: int, dependencies: Dependencies, deadline: Deadline) -> None:
    """Make sure that the trigger will feed the partition of a far schedule. Call this before anything is written."""
    if not is_near(schedule.due_ms, now_ms, dependencies.reach_ms):
        remembered = dependencies.stored_count.ensure(dependencies.key_generator.partition_count, deadline)
        if not remembered.confirmed:
            raise NotConfirmed(f"AWS did not confirm it in time ({remembered.last_error}); try again")


def place(schedule: Schedule, dependencies: Dependencies, deadline: Deadline) -> None:
    """Put one schedule into its queue or the table. Return when AWS has confirmed it.

    Raise NotConfirmed if AWS did not confirm. Raise InvalidRequest if the queue refuses the message. A target queue
    that is missing or denies access is an InvalidRequest too, but the stack's own queue is only NotConfirmed.
    """
    outcome: BatchResult[Any]
    near = is_near(schedule.due_ms, deadline.now_ms(), dependencies.reach_ms)
    if near and schedule.name is not None:
        _put_near_name(schedule, dependencies, deadline)
    url = dependencies.queues.url_of(schedule)
    now_ms = deadline.now_ms()
    key_is_near = is_near(schedule.key.due_ms, now_ms, dependencies.reach_ms)  # The table would release it by its key.
    if key_is_near or is_near(schedule.due_ms, now_ms, dependencies.reach_ms):
        outcome = _send(schedule, url, dependencies, deadline)
    else:
        outcome = retry_batch(dependencies.table.put, [schedule], deadline)
    if outcome.rejected:
        raise InvalidRequest(f"the queue does not take it: {outcome.rejected[0][1]}")
    if outcome.unavailable and not dependencies.queues.is_stack_queue(url):
        raise InvalidRequest(f"its queue is missing or denies access: {outcome.unavailable[0][1]}")
    if not outcome.confirmed:
        why = outcome.unavailable[0][1] if outcome.unavailable else outcome.last_error
        raise NotConfirmed(f"AWS did not confirm it in time ({why}); try again")


def _send(schedule: Schedule, url: str, dependencies: Dependencies, deadline: Deadline) -> BatchResult[Any]:
    """Send one schedule, and count it as released if its queue is its target. A schedule without an answer counts."""
    released = int(schedule.name is None and goes_straight(schedule.target))
    day = dependencies.ledger.count(deadline, released=released)
    outcome = send(SendChunk(url, [schedule]), dependencies.queues, deadline)
    if outcome.rejected or outcome.unavailable:
        dependencies.ledger.take_back(day, released=released)
    return outcome


def _put_near_name(schedule: Schedule, dependencies: Dependencies, deadline: Deadline) -> None:
    """Write the row that lists a named schedule while its timer is in the queue."""
    if near_names.write([near_names.entry_of(schedule)], dependencies.table, deadline):
        raise NotConfirmed("AWS did not confirm in time by which row it is listed; try again")
