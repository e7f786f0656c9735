"""Conclude a delivery: store and report its failure, tell the failure target, and close the record of its name.

The outcome is known, so the target is not called again. If a step cannot be done now, a message of the delivery queue
carries the outcome and the steps that are left, and comes with growing pauses. After `PUT_OFFS_MAX` of
them, which is about a day, no more are sent. A failure target that still does not answer is given up then: the failure
queue has the report. For any other step SQS brings the last message again, and in the end moves it to the dead-letter
queue.

What a crash leaves behind:
- before the first step is done, or the message for the rest is sent: the message of the delivery, which comes again,
  so the target gets it twice under one id. The same happens if SQS does not take the message for the rest;
- between two steps: the same, and the steps before are done twice;
- between the message for the rest and the close of the record: that message, which closes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scheduler import log
from scheduler.errors import NotConfirmed, reason
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch, retry_call
from scheduler.model.delivery_job import CLOSE, KEEP, REPORT, TELL, Conclusion, DeliveryJob
from scheduler.model.delivery_options import PUT_OFFS_MAX, DeliveryOptions, pause_s
from scheduler.model.failure_report import Report
from scheduler.model.name_record import DELIVERED, Record
from scheduler.model.schedule import Schedule, timer

if TYPE_CHECKING:
    from scheduler.delivering.delivery import DeliveryDependencies

STEP_TRIES_MAX = 5
"""In under a second. Then a message waits for the rest, rather than a thread that others need."""


def delivered(job: DeliveryJob, record: Record | None, post: DeliveryDependencies, deadline: Deadline) -> None:
    """Close the record; there is nothing else to write."""
    if record is not None:
        conclusion = Conclusion(DELIVERED, job.attempt, deadline.now_ms(), "", (CLOSE,))
        conclude(job, record, conclusion, post, deadline)


def not_delivered(
    job: DeliveryJob, record: Record | None, report: Report[Schedule], post: DeliveryDependencies, deadline: Deadline
) -> None:
    """Failed for good, or expired: the reason of the report is the state of the record."""
    steps = [KEEP, REPORT]
    if DeliveryOptions.read(job.schedule.terms).failure_target is not None:
        steps.append(TELL)
    if record is not None:
        steps.append(CLOSE)
    conclusion = Conclusion(report.reason, report.attempts, report.at_ms, report.error, tuple(steps))
    conclude(job, record, conclusion, post, deadline)


def resume(job: DeliveryJob, conclusion: Conclusion, post: DeliveryDependencies, deadline: Deadline) -> None:
    """Do the steps that are left, as a message carried them here."""
    record = Record(job.schedule, 0, 0) if job.schedule.name is not None else None
    conclude(job, record, conclusion, post, deadline)


def conclude(
    job: DeliveryJob, record: Record | None, conclusion: Conclusion, post: DeliveryDependencies, deadline: Deadline
) -> None:
    """Do each step that is left. The record is closed last: once it is, no message of the delivery does anything.

    If steps are left, it is closed as soon as a message carries them. The outcome is known, so `get` tells it. An open
    record would let a second timer call the target again, and a cancel undo what has happened.
    """
    brief = replace(deadline, tries_max=STEP_TRIES_MAX)
    telling = [step for step in conclusion.left if step != CLOSE]
    left = [step for step in telling if not _is_done(step, job, record, conclusion, post, brief)]
    if CLOSE in conclusion.left and (left or not _is_done(CLOSE, job, record, conclusion, post, brief)):
        left.append(CLOSE)
    if not left:
        return
    _send_rest(job, record, replace(conclusion, left=tuple(left)), post, deadline)
    if CLOSE in left and telling and record is not None:
        with suppress(Exception):  # The message does it if this does not.
            _close(record, conclusion, post, replace(deadline, tries_max=1))


def unreadable(report: Report[str], post: DeliveryDependencies, deadline: Deadline) -> None:
    """Store and report a message that holds no errand. It has no outcome to carry, so SQS brings it again."""
    for call in (post.table.put_failed, post.queues.report):
        _insist(call, report, deadline)


def _is_done(
    step: str,
    job: DeliveryJob,
    record: Record | None,
    conclusion: Conclusion,
    post: DeliveryDependencies,
    deadline: Deadline,
) -> bool:
    """Do one step, unless time is over. Whatever goes wrong, the delivery is not made again for it."""
    if deadline.passed():
        return False
    try:
        _do(step, job.schedule, record, conclusion, post, deadline)
    except Exception as failure:  # noqa: BLE001 - As above. A fault of our own is in the log, and ends as dead letter.
        log.outcome("not concluded", id=job.id, step=step, error=reason(failure))
        return False
    return True


def _do(
    step: str,
    schedule: Schedule,
    record: Record | None,
    conclusion: Conclusion,
    post: DeliveryDependencies,
    deadline: Deadline,
) -> None:
    report = Report(schedule, conclusion.state, conclusion.error, conclusion.at_ms, conclusion.attempts)
    failure_target = DeliveryOptions.read(schedule.terms).failure_target
    if step == KEEP:
        _insist(post.table.put_failed, report, deadline)
    elif step == REPORT:
        _insist(post.queues.report, report, deadline)
    elif step == TELL and failure_target is not None:
        retry_call(lambda: post.tell(failure_target, report), deadline)
    elif step == CLOSE and record is not None:
        _close(record, conclusion, post, deadline)


def _insist(
    call: Callable[[Sequence[Report[Any]]], BatchResult[Report[Any]]], report: Report[Any], deadline: Deadline
) -> None:
    outcome = retry_batch(call, [report], deadline)
    if not outcome.confirmed:
        raise NotConfirmed(f"a failure is not told: {outcome.reason}")


def _close(record: Record, conclusion: Conclusion, post: DeliveryDependencies, deadline: Deadline) -> None:
    its = conclusion
    retry_call(lambda: post.records.close(record, its.state, deadline.now_ms(), its.attempts, its.error), deadline)


def _send_rest(
    job: DeliveryJob, record: Record | None, rest: Conclusion, post: DeliveryDependencies, deadline: Deadline
) -> None:
    """By a message that comes after a while. It carries the schedule of a name only if somebody is to be told of it."""
    if rest.tries >= PUT_OFFS_MAX:
        _give_up(job, rest)
        return
    schedule = job.schedule
    if record is not None and rest.left == (CLOSE,):
        schedule = timer(schedule, record.asked)
    retry_ms = deadline.now_ms() + round(pause_s(rest.tries + 1, None, deadline.jitter()) * 1000)
    following = DeliveryJob(schedule, job.attempt, retry_ms, job.turn, conclusion=replace(rest, tries=rest.tries + 1))
    send(following, post, deadline)
    log.outcome("concluded later", id=job.id, left=rest.left)


def _give_up(job: DeliveryJob, rest: Conclusion) -> None:
    if rest.left != (TELL,):
        raise NotConfirmed(f"not done within {rest.tries} messages: {', '.join(rest.left)}")
    failure_target = DeliveryOptions.read(job.schedule.terms).failure_target
    log.outcome("untold", id=job.id, failure_target=failure_target, error=f"no answer to {rest.tries} messages")


def send(job: DeliveryJob, post: DeliveryDependencies, deadline: Deadline) -> None:
    outcome = retry_batch(lambda _: post.queues.send_errand(job, deadline.now_ms()), [job], deadline)
    if not outcome.confirmed:
        raise NotConfirmed(f"an errand is not sent: {outcome.reason}")
