"""Deliver schedules: wait until they are due, check that they are still wanted, call the target, record the result.

A message of the delivery queue arrives slightly early. The function waits until it is due, or sends it again with a
delay if it is more than five seconds early. A named schedule is looked up after the wait, so that a cancel works until
the last moment. Its result is written only if the record is unchanged. `retry` handles failed attempts, and
`conclusion` handles final results.

A crash leaves behind:
- The message, before the target has the schedule. It comes again.
- The message, between the call of the target and the result. The target receives the schedule twice under one id.
- Two messages for the next turn, between a retry or postponement and its note. The second one finds the note of the
  first. If the note cannot be written, the retry continues without it.
- The message, between the result and the delete of a message that the function itself received. It comes again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from scheduler import log
from scheduler.delivering import conclusion, retry, timers
from scheduler.delivering.circuit_breaker import PER_HOST_MAX, Postponement
from scheduler.delivering.dependencies import DeliveryDependencies
from scheduler.delivering.in_flight import InFlight, Message
from scheduler.errors import Undelivered, reason
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.failure_report import expired, unreadable
from scheduler.model.name_record import Record
from scheduler.model.schedule import sound
from scheduler.placing import naming

DELIVER_THREADS_MAX = 2 * PER_HOST_MAX
"""Threads for the batch, and for the messages that the function itself receives. Each thread waits for its own
delivery. One host has at most half of the threads."""
WAIT_MS_MAX = 5_000
"""The longest wait in a function. It covers the lead, the rounding of a delay, and a clock difference. A message that
arrives earlier is sent again."""
NOBODY = "not tried any more: its target answers nobody"
DELIVER_RESERVE_S = 8
"""Time kept back to record the result of the last delivery."""


def deliver(records: Sequence[object], dependencies: DeliveryDependencies, deadline: Deadline) -> dict[str, Any]:
    """Deliver a batch concurrently, the earliest first. Return the messages that SQS should deliver again.

    If a delivery hangs, the function also receives and delivers later messages.
    """
    batch = [Message.of(record) for record in records]
    batch.sort(key=lambda message: message.wake_ms)
    again = _Invocation(dependencies, deadline).deliver(batch)
    return {"batchItemFailures": [{"itemIdentifier": message.id} for message in again]}


class _Invocation:
    """One invocation of the function: the messages of its batch, and those that it receives itself."""

    def __init__(self, dependencies: DeliveryDependencies, deadline: Deadline) -> None:
        self._dependencies, self._deadline = dependencies, deadline
        self._watch = InFlight(deadline.clock)

    def deliver(self, batch: Sequence[Message]) -> list[Message]:
        """Return the messages of the batch that failed."""
        dependencies, deadline = self._dependencies, self._deadline
        dependencies.breaker.open(deadline.clock())
        tracked = self._tracked(batch)
        done = dependencies.pool.run(lambda each: log.about(each.application, self._is_done, each), tracked)
        dependencies.ledger.settle(deadline)
        return [message for message, well in zip(batch, done, strict=False) if not well]

    def _tracked(self, batch: Sequence[Message]) -> Iterator[Message]:
        """Yield the messages of the batch. If one of them hangs, yield later messages from the queue, too."""
        watch, deadline = self._watch, self._deadline
        begun_s = deadline.clock()
        for message in batch:
            yield watch.begin(message, self._moment_s(message))
        in_flight, stalled = watch.counts()
        while in_flight and not stalled:
            deadline.sleep(watch.idle_s())
            in_flight, stalled = watch.counts()
        if stalled:
            from scheduler.delivering import self_polling

            queue = self._dependencies.delivery_queue()
            for message in self_polling.more(queue, watch, DELIVER_THREADS_MAX, begun_s, deadline):
                yield watch.begin(message, self._moment_s(message))

    def _moment_s(self, message: Message) -> float:
        """Return when the target is to be called, in seconds, or 0 if the message will be sent again instead."""
        return (0 if message.wake_ms - self._deadline.now_ms() > WAIT_MS_MAX else message.wake_ms) / 1000

    def _is_done(self, message: Message) -> bool:
        """Handle a message, and return whether that succeeded."""
        try:
            self._handle(message)
            self._delete(message)
        except Exception as failure:  # noqa: BLE001 - An error must repeat only this message.
            log.outcome("not confirmed", message=message.id, error=reason(failure))
            return False
        finally:
            self._watch.end(message)
        return True

    def _handle(self, message: Message) -> None:
        job, deadline = message.job, self._deadline
        if message.newer is not None:
            raise message.newer
        if job is None:
            report = unreadable(message.body, message.fault, deadline.now_ms())
            conclusion.unreadable(report, self._dependencies, deadline)
            return
        dependencies = self._dependencies.of(job.application)
        _Turn(message.id, job, dependencies, deadline).take()

    def _delete(self, message: Message) -> None:
        """Delete a message that the function itself received. Lambda deletes the others."""
        receipt, dependencies, deadline = message.receipt, self._dependencies, self._deadline
        if receipt is not None:
            dependencies.ledger.settle(deadline)
            retry_call(lambda: dependencies.delivery_queue().delete(receipt), deadline)


class _Turn:
    """The turn of a job whose message has arrived. A delivery has several turns if it is retried or postponed."""

    def __init__(
        self, message_id: str, job: DeliveryJob, dependencies: DeliveryDependencies, deadline: Deadline
    ) -> None:
        self._message_id, self._job = message_id, job
        self._dependencies, self._deadline = dependencies, deadline

    def take(self) -> None:
        """Wait until the job is due, and do its work. Send its message again if the wait is too long."""
        job, deadline = self._job, self._deadline
        wait_ms = job.wake_ms - deadline.now_ms()
        if wait_ms > WAIT_MS_MAX or deadline.passed(wait_ms / 1000):
            conclusion.send(job, self._dependencies, deadline)
            return
        if wait_ms > 0:
            deadline.sleep(wait_ms / 1000)
        if self._dependencies.next_messages.is_copy(job, deadline.now_ms()):
            log.outcome("dropped", id=job.id, state=conclusion.COPY)
        elif job.conclusion is not None:
            conclusion.resume(job, job.conclusion, self._dependencies, deadline)
        elif job.schedule.name is None:
            self._deliver(job, None)
        else:
            self._follow_timer(job.schedule.name)

    def _follow_timer(self, name: str) -> None:
        """Handle a timer. The record of the name decides whether it delivers, sets another timer or is dropped."""
        job, dependencies, deadline = self._job, self._dependencies, self._deadline
        reach_ms = dependencies.reach_ms
        role, record = timers.role(job, self._message_id, name, dependencies.records, reach_ms, deadline)
        if record is None or role == timers.DROP:
            log.outcome("dropped", id=job.id, state=record.state if record else "gone")
        elif role == timers.BACK_UP:
            timers.send(naming.backup_timer(record, deadline.now_ms(), reach_ms), dependencies, deadline)
            log.outcome("followed", id=job.id, by=record.id)
        elif record.schedule.due_ms > deadline.now_ms():
            timers.send(naming.timer_of(record), dependencies, deadline)
        else:
            self._deliver_named(record)

    def _deliver_named(self, record: Record) -> None:
        """Check the schedule of the record, because others may write to the table, too. Then deliver it."""
        try:
            due = replace(self._job, schedule=sound(record.schedule))
        except ValueError as fault:
            failure = Undelivered(f"under its name lies no schedule: {fault}", permanent=True)
            retry.not_delivered(self._job, record, failure, self._dependencies, self._deadline)
            return
        self._deliver(due, record)

    def _deliver(self, due: DeliveryJob, record: Record | None) -> None:
        """Attempt a delivery that is due, unless it has expired."""
        schedule, dependencies, deadline = due.schedule, self._dependencies, self._deadline
        now_ms = deadline.now_ms()
        job = retry.begun(due, now_ms)
        if schedule.expired(now_ms):
            log.outcome("expired", id=schedule.id)
            report = replace(expired(schedule, now_ms), attempts=job.attempt - 1)
            conclusion.not_delivered(job, record, report, dependencies, deadline)
            return
        _Attempt(job, record, dependencies, deadline).make()


class _Attempt:
    """An attempt to deliver a schedule, with the record of its name if it has one."""

    def __init__(
        self, job: DeliveryJob, record: Record | None, dependencies: DeliveryDependencies, deadline: Deadline
    ) -> None:
        self._job, self._record = job, record
        self._dependencies, self._deadline = dependencies, deadline
        self._receiver = dependencies.receiver(job.schedule)

    def make(self) -> None:
        """Call the target, and hand over to `conclusion` or `retry`. The circuit breaker may postpone the attempt."""
        job, record, dependencies, deadline = self._job, self._record, self._dependencies, self._deadline
        postponed = self._admit()
        if postponed is not None:
            self._put_off(postponed)
            return
        begun_ms = deadline.now_ms()
        lateness_ms = begun_ms - job.schedule.due_ms
        failure = self._call_target()
        dependencies.metrics.attempted(lateness_ms, job.attempt, failure)
        if record is not None and not (failure is not None and failure.ours):
            record = record.attempted(begun_ms)
        if failure is not None:
            retry.not_delivered(job, record, failure, dependencies, deadline)
            return
        log.outcome("delivered", id=job.id, lateness_ms=lateness_ms, attempt=job.attempt)
        conclusion.delivered(job, record, dependencies, deadline)

    def _admit(self) -> Postponement | None:
        """Begin a request to the target, or return when to try instead.

        A delivery with a record does not wait for a place, because it would miss a cancel during the wait.
        """
        breaker, last_s = self._dependencies.breaker, retry.last_ms(self._job) / 1000
        if self._record is None:
            return breaker.admit(self._receiver, last_s, self._deadline)
        return breaker.begin(self._receiver, self._deadline.clock(), last_s)

    def _put_off(self, postponed: Postponement) -> None:
        """Postpone the delivery by another message, without counting an attempt.

        A delivery past its maximum age fails. The exceptions are a delivery to the output queue, and a delivery that
        was never tried and waits only because of other targets.
        """
        job, record, dependencies, deadline = self._job, self._record, self._dependencies, self._deadline
        again_ms = round(postponed.until_s * 1000)
        spared = job.schedule.target is None or (job.attempt == 1 and not postponed.silent)
        if again_ms > retry.last_ms(job) and not spared:
            log.outcome("undelivered", id=job.id, attempt=job.attempt, error=NOBODY, again=False)
            retry.give_up(job, record, NOBODY, job.attempt - 1, dependencies, deadline)
            return
        log.outcome("put off", id=job.id, group=self._receiver.name)
        next_job = retry.woken_again(job, record, job.attempt, again_ms)
        error = record.error if record is not None else ""
        retry.take_up_again(job, next_job, record, error, dependencies, deadline)

    def _call_target(self) -> Undelivered | None:
        """Call the target, and return the failure or None. The circuit breaker learns the result first."""
        timed_out, begun_s = False, self._deadline.clock()
        try:
            self._dependencies.transports.deliver(self._job.schedule)
        except Undelivered as failure:
            timed_out = failure.timed_out
            return failure
        finally:
            self._dependencies.breaker.end(self._receiver, timed_out, begun_s, self._deadline.clock())
        return None
