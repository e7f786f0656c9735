"""Retry a delivery: decide what follows a failed attempt, and send the message of the next attempt.

A retry is a message with its own delay. It is sent before the current message is deleted, and then noted in the record
of a name. An attempt counts only if the target was called. An error of our own postpones the delivery, and costs
neither an attempt nor age.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scheduler import log
from scheduler.delivering import conclusion
from scheduler.errors import Undelivered, reason
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import SQS_DELAY_S_MAX
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.delivery_options import POSTPONEMENTS_MAX, DeliveryOptions, pause_s
from scheduler.model.failure_report import failed
from scheduler.model.name_record import Record
from scheduler.model.targets import goes_straight
from scheduler.placing import naming

if TYPE_CHECKING:
    from scheduler.delivering.dependencies import DeliveryDependencies

QUEUE_PAUSE_S_MAX = 60
"""An SQS outage ends for all queues at once. A longer pause saves nothing, and makes more schedules late."""


def begun(job: DeliveryJob, now_ms: int) -> DeliveryJob:
    """Return the job with the time from which its age counts.

    The age counts from the moment when a function first handles the delivery. So an overdue delivery has all of its
    attempts. A retry that an earlier version sent has no such time, and counts from its due time.
    """
    if job.begun_ms is not None:
        return replace(job, begun_ms=min(job.begun_ms, now_ms))
    return replace(job, begun_ms=now_ms if job.retry_ms is None else job.schedule.due_ms)


def not_delivered(
    job: DeliveryJob,
    record: Record | None,
    failure: Undelivered,
    dependencies: DeliveryDependencies,
    deadline: Deadline,
) -> None:
    """Try the delivery again later, or give it up."""
    attempt = _FailedAttempt(job, record, failure, dependencies, deadline)
    if failure.ours:
        attempt.put_off()
    else:
        attempt.follow_up()


def give_up(
    job: DeliveryJob,
    record: Record | None,
    error: str,
    attempts: int,
    dependencies: DeliveryDependencies,
    deadline: Deadline,
) -> None:
    report = failed(job.schedule, error, attempts, deadline.now_ms())
    conclusion.not_delivered(job, record, report, dependencies, deadline)


def take_up_again(
    job: DeliveryJob,
    next_job: DeliveryJob,
    record: Record | None,
    error: str,
    dependencies: DeliveryDependencies,
    deadline: Deadline,
) -> None:
    """Send the message of the next try, and note it in the record of a name.

    A name may have two timers, and both may be postponed to the same moment. Only the noted one delivers then.
    """
    if record is None:
        conclusion.send_next(job, next_job, dependencies, deadline)
        return
    conclusion.send(next_job, dependencies, deadline)
    from scheduler.placing import near_names

    near_names.list_retry(next_job.schedule, next_job.wake_ms, dependencies.table, deadline)
    wake_count, attempts, now_ms = next_job.wake_number - 1, next_job.attempt - 1, deadline.now_ms()
    try:
        retry_call(
            lambda: dependencies.records.note(record, wake_count, attempts, error, now_ms, next_job.wake_ms),
            deadline,
        )
    except Exception as failure:  # noqa: BLE001 - A failed note must not repeat the attempt.
        log.outcome("not noted", id=record.id, error=reason(failure))


def woken_again(job: DeliveryJob, record: Record | None, attempt: int, retry_ms: int) -> DeliveryJob:
    next_job = replace(job, attempt=attempt, retry_ms=retry_ms)
    if record is None:
        return next_job
    return replace(next_job, schedule=naming.timer_of(record), wake_number=max(job.wake_number, record.wake_count) + 1)


def last_ms(job: DeliveryJob) -> int:
    """Return the last moment at which the delivery may be tried."""
    schedule = job.schedule
    return max(schedule.due_ms, job.begun_ms or 0) + DeliveryOptions.read(schedule.terms).age_ms_max


class _FailedAttempt:
    """An attempt that failed, with the record of the name if the schedule has one."""

    def __init__(
        self,
        job: DeliveryJob,
        record: Record | None,
        failure: Undelivered,
        dependencies: DeliveryDependencies,
        deadline: Deadline,
    ) -> None:
        self._job, self._record, self._failure = job, record, failure
        self._dependencies, self._deadline = dependencies, deadline

    def follow_up(self) -> None:
        """Try again after a pause, or give up."""
        job, failure, deadline = self._job, self._failure, self._deadline
        now_ms, attempt = deadline.now_ms(), job.attempt
        longest_s = QUEUE_PAUSE_S_MAX if goes_straight(job.schedule.target) else SQS_DELAY_S_MAX
        wait_s = pause_s(attempt, failure.retry_after_s, deadline.jitter(), longest_s)
        retry_ms = now_ms + round(wait_s * 1000)
        again = self._is_worth_trying(retry_ms)
        log.outcome("undelivered", id=job.id, attempt=attempt, error=failure.error, again=again)
        if not again:
            self._give_up(attempt)
            return
        self._dependencies.metrics.retried()
        self._take_up_again(woken_again(job, self._record, attempt + 1, retry_ms))

    def put_off(self) -> None:
        """Postpone after an error of our own. The target was not called, so this costs no attempt and no age."""
        job, error = self._job, self._failure.error
        if job.faults >= POSTPONEMENTS_MAX:
            log.outcome("undelivered", id=job.id, attempt=job.attempt, error=error, again=False)
            self._give_up(job.attempt - 1)
            return
        log.outcome("put off", id=job.id, error=error)
        wait_ms = round(pause_s(job.faults + 1, None, self._deadline.jitter()) * 1000)
        begun_ms = None if job.begun_ms is None else job.begun_ms + wait_ms
        next_job = woken_again(job, self._record, job.attempt, self._deadline.now_ms() + wait_ms)
        self._take_up_again(replace(next_job, begun_ms=begun_ms, faults=job.faults + 1))

    def _give_up(self, attempts: int) -> None:
        give_up(self._job, self._record, self._failure.error, attempts, self._dependencies, self._deadline)

    def _take_up_again(self, next_job: DeliveryJob) -> None:
        take_up_again(self._job, next_job, self._record, self._failure.error, self._dependencies, self._deadline)

    def _is_worth_trying(self, retry_ms: int) -> bool:
        """Return whether the delivery is tried again.

        The stack's own queue is given up only for a permanent error. Other targets are given up at the end of their
        age, too, and after their last attempt. Attempts do not limit a target queue, because a queue usually recovers.
        """
        job, failure, schedule = self._job, self._failure, self._job.schedule
        if schedule.target is None:
            return not failure.permanent
        if failure.permanent or not _in_time(job, retry_ms):
            return False
        return goes_straight(schedule.target) or job.attempt < DeliveryOptions.read(schedule.terms).attempts_max


def _in_time(job: DeliveryJob, retry_ms: int) -> bool:
    return retry_ms <= last_ms(job)
