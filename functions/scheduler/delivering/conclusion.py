"""Conclude a delivery: store and report its failure, notify the failure target, and close the record of its name.

The result is known, so the target is not called again. If a step fails, a message of the delivery queue carries the
result and the remaining steps. It comes again with growing pauses. No more such messages are sent after
`POSTPONEMENTS_MAX`, which is about a day. A failure target that still does not answer is then given up, because the
failure queue has the report. For any other step SQS delivers the last message again, and finally moves it to the
dead-letter queue.

A crash leaves behind:
- The message of the delivery, before the first step or before the message for the rest. It comes again, and the target
  receives the schedule twice under one id. The same happens if SQS does not accept the message for the rest.
- The message of the delivery, between two steps. It comes again, and repeats the earlier steps.
- The message for the rest, between that message and the close of the record. It closes the record.

The ledger counts an outcome before any step, so a crash may count it once more and never misses it.
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
from scheduler.model.delivery_job import CLOSE, KEEP, NOTIFY, REPORT, Conclusion, DeliveryJob
from scheduler.model.delivery_options import POSTPONEMENTS_MAX, DeliveryOptions, pause_s
from scheduler.model.failure_report import Report
from scheduler.model.name_record import DELIVERED, EXPIRED, Record
from scheduler.model.schedule import Schedule, timer

if TYPE_CHECKING:
    from scheduler.delivering.dependencies import DeliveryDependencies

COPY = "copy"
"""The log's word for a message that is dropped because it is a copy. See `next_messages`."""
STEP_TRIES_MAX = 5
"""These attempts take less than a second. Then a message carries the rest, because other deliveries need the thread."""


def delivered(job: DeliveryJob, record: Record | None, dependencies: DeliveryDependencies, deadline: Deadline) -> None:
    """Count the delivery, and close the record if the schedule has a name. A success needs nothing else."""
    dependencies.ledger.delivered(job.schedule, deadline)
    if record is None:
        dependencies.next_messages.end(job, deadline.now_ms())
    else:
        dependencies.ledger.settle(deadline)
        now_ms, attempted_ms = deadline.now_ms(), record.attempted_ms
        conclusion = Conclusion(DELIVERED, job.attempt, now_ms, "", (CLOSE,), attempted_ms=attempted_ms)
        _Ending(job, record, conclusion, dependencies, deadline).conclude()


def not_delivered(
    job: DeliveryJob,
    record: Record | None,
    report: Report[Schedule],
    dependencies: DeliveryDependencies,
    deadline: Deadline,
) -> None:
    """Conclude a delivery that failed finally or expired. The reason of the report becomes the state of the record."""
    dependencies.metrics.ended(report.reason)
    steps = [KEEP, REPORT]
    if DeliveryOptions.read(job.schedule.terms).failure_target is not None:
        steps.append(NOTIFY)
    if record is not None:
        steps.append(CLOSE)
    attempted_ms = record.attempted_ms if record is not None else ()
    its, ledger, expired = report, dependencies.ledger, int(report.reason == EXPIRED)
    ledger.add(ledger.today(deadline), expired=expired, failed=1 - expired)
    ledger.settle(deadline)
    conclusion = Conclusion(its.reason, its.attempts, its.at_ms, its.error, tuple(steps), attempted_ms=attempted_ms)
    _Ending(job, record, conclusion, dependencies, deadline).conclude()
    if record is None:
        dependencies.next_messages.end(job, deadline.now_ms())


def resume(job: DeliveryJob, conclusion: Conclusion, dependencies: DeliveryDependencies, deadline: Deadline) -> None:
    """Do the remaining steps that a message carried."""
    named = job.schedule.name is not None
    record = Record(job.schedule, 0, 0, attempted_ms=conclusion.attempted_ms) if named else None
    _Ending(job, record, conclusion, dependencies, deadline).conclude()


def unreadable(report: Report[str], dependencies: DeliveryDependencies, deadline: Deadline) -> None:
    """Store and report a message without a readable delivery job. If that fails, SQS delivers the message again."""
    for call in (dependencies.table.put_failed, dependencies.queues.report):
        _write_report(call, report, deadline)
    dependencies.metrics.ended(report.reason)


def send(job: DeliveryJob, dependencies: DeliveryDependencies, deadline: Deadline) -> None:
    outcome = retry_batch(lambda _: dependencies.queues.send_job(job, deadline.now_ms()), [job], deadline)
    if not outcome.confirmed:
        raise NotConfirmed(f"a delivery job was not sent: {outcome.reason}")


def send_next(job: DeliveryJob, next_job: DeliveryJob, dependencies: DeliveryDependencies, deadline: Deadline) -> None:
    """Send the message that follows the one of `job`, unless a copy of that message was followed already."""
    messages = dependencies.next_messages
    if not messages.send(job, next_job, lambda: send(next_job, dependencies, deadline), deadline):
        log.outcome("dropped", id=job.id, state=COPY)


class _Ending:
    """The end of one delivery, and the record of its name if it has one."""

    def __init__(
        self,
        job: DeliveryJob,
        record: Record | None,
        conclusion: Conclusion,
        dependencies: DeliveryDependencies,
        deadline: Deadline,
    ) -> None:
        self._job, self._record, self._conclusion = job, record, conclusion
        self._dependencies, self._deadline = dependencies, deadline
        self._brief = replace(deadline, tries_max=STEP_TRIES_MAX)

    def conclude(self) -> None:
        """Do the remaining steps. Close the record last, because a closed record stops every message of the delivery.

        If steps remain, close the record as soon as a message carries them. The outcome is known, so `get` shows it.
        An open record would let a backup timer call the target again, and would let a cancel undo the outcome.
        """
        record, steps = self._record, self._conclusion.left
        others = [step for step in steps if step != CLOSE]
        left = [step for step in others if not self._is_done(step)]
        if CLOSE in steps and (left or not self._is_done(CLOSE)):
            left.append(CLOSE)
        if not left:
            self._dependencies.next_messages.end(self._job, self._deadline.now_ms())
            return
        self._send_rest(replace(self._conclusion, left=tuple(left)))
        if CLOSE in left and others and record is not None:
            with suppress(Exception):  # The message for the rest closes it otherwise.
                self._close(record, replace(self._deadline, tries_max=1))

    def _is_done(self, step: str) -> bool:
        """Do one step, unless time is over, and return whether it is done. An error never repeats the delivery."""
        if self._brief.passed():
            return False
        try:
            self._do(step)
        except Exception as failure:  # noqa: BLE001 - As above. The log and the dead-letter queue show our own bugs.
            log.outcome("not concluded", id=self._job.id, step=step, error=reason(failure))
            return False
        return True

    def _do(self, step: str) -> None:
        schedule, its, dependencies = self._job.schedule, self._conclusion, self._dependencies
        report = Report(schedule, its.state, its.error, its.at_ms, its.attempts)
        failure_target = DeliveryOptions.read(schedule.terms).failure_target
        if step == KEEP:
            _write_report(dependencies.table.put_failed, report, self._brief)
        elif step == REPORT:
            _write_report(dependencies.queues.report, report, self._brief)
        elif step == NOTIFY and failure_target is not None:
            retry_call(lambda: dependencies.notify(failure_target, report), self._brief)
        elif step == CLOSE and self._record is not None:
            self._close(self._record, self._brief)

    def _close(self, record: Record, deadline: Deadline) -> None:
        its, records = self._conclusion, self._dependencies.records
        retry_call(lambda: records.close(record, its.state, deadline.now_ms(), its.attempts, its.error), deadline)

    def _send_rest(self, rest: Conclusion) -> None:
        """Send a delayed message with the remaining steps. It holds only the timer if nothing but the close is left."""
        job, record, deadline = self._job, self._record, self._deadline
        if rest.tries >= POSTPONEMENTS_MAX:
            _give_up(job, rest)
            return
        schedule = job.schedule
        if record is not None and rest.left == (CLOSE,):
            schedule = timer(schedule, record.request_number)
        retry_ms = deadline.now_ms() + round(pause_s(rest.tries + 1, None, deadline.jitter()) * 1000)
        carried = replace(rest, tries=rest.tries + 1)
        next_job = replace(job, schedule=schedule, retry_ms=retry_ms, begun_ms=None, faults=0, conclusion=carried)
        send_next(job, next_job, self._dependencies, deadline)
        log.outcome("concluded later", id=job.id, left=rest.left)


def _write_report(
    call: Callable[[Sequence[Report[Any]]], BatchResult[Report[Any]]], report: Report[Any], deadline: Deadline
) -> None:
    outcome = retry_batch(call, [report], deadline)
    if not outcome.confirmed:
        raise NotConfirmed(f"a failure is not told: {outcome.reason}")


def _give_up(job: DeliveryJob, rest: Conclusion) -> None:
    if rest.left != (NOTIFY,):
        raise NotConfirmed(f"not done within {rest.tries} messages: {', '.join(rest.left)}")
    failure_target = DeliveryOptions.read(job.schedule.terms).failure_target
    log.outcome("untold", id=job.id, failure_target=failure_target, error=f"no answer to {rest.tries} messages")
