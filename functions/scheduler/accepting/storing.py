"""Send near schedules, store far ones, and write the index rows of near names.

A crash between two calls leaves some of these done. The caller has no answer then, and a repeat under a token does the
same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch
from scheduler.model.bundle import Bundle
from scheduler.model.schedule import Schedule, is_near
from scheduler.placing.sending import CHUNK_SCHEDULES_MAX, SendChunk, send, send_chunks

if TYPE_CHECKING:
    from scheduler.accepting.keyed_batch import Failures, RequestContext, SchedulingDependencies
    from scheduler.placing.near_names import Row

ROWS_MAX = 25
"""Rows of the index of near names that one job writes: one batch of DynamoDB."""


def put(
    things: Sequence[Schedule | Bundle],
    failures: Failures,
    context: RequestContext,
    dependencies: SchedulingDependencies,
    deadline: Deadline,
) -> None:
    """Send, store and index all concurrently, and add what failed to `failures`.

    A member of a near bundle is sent by itself. A far bundle is stored as one item.
    """
    near, items = _near_and_far(things, failures, context.now_ms, dependencies.reach_ms)
    if items:
        remembered = dependencies.stored_count.ensure(dependencies.key_generator.partition_count, deadline)
        if remembered.unconfirmed:
            _note(failures, BatchResult(unconfirmed=items, last_error=remembered.last_error))
            items = []

    def work(job: SendChunk | list[Schedule | Bundle] | tuple[Row, ...]) -> BatchResult[Any]:
        if deadline.passed():
            waiting = job.schedules if isinstance(job, SendChunk) else list(job)
            return BatchResult(not_attempted=waiting, last_error="time is over")
        if isinstance(job, tuple):
            return retry_batch(dependencies.table.put_near_names, job, deadline)
        if isinstance(job, SendChunk):
            return send(job, dependencies.queues, deadline)
        return retry_batch(dependencies.table.put, job, deadline)

    chunks = [items[start : start + CHUNK_SCHEDULES_MAX] for start in range(0, len(items), CHUNK_SCHEDULES_MAX)]
    jobs: list[SendChunk | list[Schedule | Bundle] | tuple[Row, ...]]
    jobs = [*send_chunks(near, dependencies.queues.url_of), *chunks, *_row_jobs(near)]
    for job, outcome in zip(jobs, dependencies.pool.run(work, jobs) if len(jobs) > 1 else map(work, jobs), strict=True):
        others = isinstance(job, SendChunk) and not dependencies.queues.is_stack_queue(job.queue_url)
        _note(failures, outcome, refuse_unavailable=others and context.refuse_unavailable)


def _near_and_far(
    things: Sequence[Schedule | Bundle], failures: Failures, now_ms: int, reach_ms: int
) -> tuple[list[Schedule], list[Schedule | Bundle]]:
    """Return the schedules to send and the items to store, without duplicates."""

    def is_far(thing: Schedule | Bundle) -> bool:
        return not is_near(thing.key.due_ms, now_ms, reach_ms)

    schedules = {each.id: each for each in things if not isinstance(each, Bundle)}.values()
    near = [schedule for schedule in schedules if not is_far(schedule) and schedule.id not in failures]
    items: list[Schedule | Bundle] = [each for each in schedules if each.index is None and is_far(each)]
    return near, items + [each for each in things if isinstance(each, Bundle) and is_far(each)]


def _row_jobs(near: Sequence[Schedule]) -> list[tuple[Row, ...]]:
    """Return jobs that write the index rows of near named schedules. Their timers go to the delivery queue."""
    names = [schedule for schedule in near if schedule.name is not None]
    if not names:
        return []
    from scheduler.placing import near_names

    rows = near_names.rows(map(near_names.entry_of, names))
    return [tuple(rows[start : start + ROWS_MAX]) for start in range(0, len(rows), ROWS_MAX)]


def _note(failures: Failures, outcome: BatchResult[Any], refuse_unavailable: bool = False) -> None:
    for thing, reason in outcome.rejected:
        failures[thing.id] = InvalidSchedule(f"the queue does not take it: {reason}")
    for thing, reason in outcome.unavailable:
        kind = InvalidSchedule if refuse_unavailable else NotConfirmed
        failures[thing.id] = kind(f"the queue is missing or denies access: {reason}")
    for thing in _each_that_waits(outcome):
        failures[thing.id] = NotConfirmed(f"AWS did not confirm it in time ({outcome.last_error}); send it again")


def _each_that_waits(outcome: BatchResult[Any]) -> list[Any]:
    """Return what was not confirmed. A row counts as its entries, because they cannot be listed without it."""
    return [
        each for thing in [*outcome.unconfirmed, *outcome.not_attempted] for each in getattr(thing, "entries", (thing,))
    ]
