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
from typing import TYPE_CHECKING, Any

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
from scheduler.model.schedule import Schedule, sound
from scheduler.model.targets import Receiver
from scheduler.placing import naming

if TYPE_CHECKING:
    pass

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
    watch = InFlight(deadline.clock)
    dependencies.breaker.open(deadline.clock())

    def one(message: Message) -> bool:
        try:
            _one(message, dependencies, deadline)
            _delete(message, dependencies, deadline)
        except Exception as failure:  # noqa: BLE001 - An error must repeat only this message.
            log.outcome("not confirmed", message=message.id, error=reason(failure))
            return False
        finally:
            watch.end(message)
        return True

    tracked = _tracked(batch, watch, dependencies, deadline)
    done = dependencies.pool.run(lambda each: log.about(each.application, one, each), tracked)
    dependencies.ledger.settle(deadline)
    again = [message.id for message, well in zip(batch, done, strict=False) if not well]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}


def _tracked(
    batch: Sequence[Message], watch: InFlight, dependencies: DeliveryDependencies, deadline: Deadline
) -> Iterator[Message]:
    """Yield the messages of the batch. If one of them hangs, yield later messages from the queue, too."""
    begun_s = deadline.clock()
    for message in batch:
        yield watch.begin(message, _moment_s(message, deadline))
    in_flight, stalled = watch.counts()
    while in_flight and not stalled:
        deadline.sleep(watch.idle_s())
        in_flight, stalled = watch.counts()
    if stalled:
        from scheduler.delivering import self_polling

        for message in self_polling.more(dependencies.delivery_queue(), watch, DELIVER_THREADS_MAX, begun_s, deadline):
            yield watch.begin(message, _moment_s(message, deadline))


def _moment_s(message: Message, deadline: Deadline) -> float:
    """Return when the target is to be called, in seconds, or 0 if the message will be sent again instead."""
    return (0 if message.wake_ms - deadline.now_ms() > WAIT_MS_MAX else message.wake_ms) / 1000


def _delete(message: Message, dependencies: DeliveryDependencies, deadline: Deadline) -> None:
    receipt = message.receipt
    if receipt is not None:
        dependencies.ledger.settle(deadline)
        retry_call(lambda: dependencies.delivery_queue().delete(receipt), deadline)


def _one(message: Message, dependencies: DeliveryDependencies, deadline: Deadline) -> None:
    job = message.job
    if message.newer is not None:
        raise message.newer
    if job is None:
        conclusion.unreadable(unreadable(message.body, message.fault, deadline.now_ms()), dependencies, deadline)
        return
    if job.application:
        dependencies = dependencies.of(job.application)
    wait_ms = job.wake_ms - deadline.now_ms()
    if wait_ms > WAIT_MS_MAX or deadline.passed(wait_ms / 1000):
        conclusion.send(job, dependencies, deadline)
        return
    if wait_ms > 0:
        deadline.sleep(wait_ms / 1000)
    if dependencies.next_messages.is_copy(job, deadline.now_ms()):
        log.outcome("dropped", id=job.id, state=conclusion.COPY)
    elif job.conclusion is not None:
        conclusion.resume(job, job.conclusion, dependencies, deadline)
    elif job.schedule.name is None:
        _deliver_due(job, None, dependencies, deadline)
    else:
        _on_timer(message.id, job, job.schedule.name, dependencies, deadline)


def _on_timer(
    message_id: str, job: DeliveryJob, name: str, dependencies: DeliveryDependencies, deadline: Deadline
) -> None:
    """Handle a timer. The record of the name decides whether this timer delivers, sets another timer or is dropped."""
    role, record = timers.role(job, message_id, name, dependencies.records, dependencies.reach_ms, deadline)
    if record is None or role == timers.DROP:
        log.outcome("dropped", id=job.id, state=record.state if record else "gone")
    elif role == timers.BACK_UP:
        timers.send(naming.backup_timer(record, deadline.now_ms(), dependencies.reach_ms), dependencies, deadline)
        log.outcome("followed", id=job.id, by=record.id)
    elif record.schedule.due_ms > deadline.now_ms():
        timers.send(naming.timer_of(record), dependencies, deadline)
    else:
        _deliver_named(job, record, dependencies, deadline)


def _deliver_named(job: DeliveryJob, record: Record, dependencies: DeliveryDependencies, deadline: Deadline) -> None:
    """Check the schedule of the record, because others may write to the table, too. Then deliver it."""
    try:
        due = replace(job, schedule=sound(record.schedule))
    except ValueError as fault:
        failure = Undelivered(f"under its name lies no schedule: {fault}", permanent=True)
        retry.not_delivered(job, record, failure, dependencies, deadline)
        return
    _deliver_due(due, record, dependencies, deadline)


def _deliver_due(
    job: DeliveryJob, record: Record | None, dependencies: DeliveryDependencies, deadline: Deadline
) -> None:
    schedule, begun_ms = job.schedule, deadline.now_ms()
    job = retry.begun(job, begun_ms)
    if schedule.expired(begun_ms):
        log.outcome("expired", id=schedule.id)
        report = replace(expired(schedule, begun_ms), attempts=job.attempt - 1)
        conclusion.not_delivered(job, record, report, dependencies, deadline)
        return
    postponed = _postpone(job, record, dependencies, deadline)
    if postponed is not None:
        _wait(job, record, postponed, dependencies, deadline)
        return
    begun_ms = deadline.now_ms()
    failure = _tried(schedule, dependencies.receiver(schedule), dependencies, deadline)
    dependencies.metrics.attempted(begun_ms - schedule.due_ms, job.attempt, failure)
    if record is not None and not (failure is not None and failure.ours):
        record = record.attempted(begun_ms)
    if failure is not None:
        retry.not_delivered(job, record, failure, dependencies, deadline)
        return
    log.outcome("delivered", id=schedule.id, lateness_ms=begun_ms - schedule.due_ms, attempt=job.attempt)
    conclusion.delivered(job, record, dependencies, deadline)


def _postpone(
    job: DeliveryJob, record: Record | None, dependencies: DeliveryDependencies, deadline: Deadline
) -> Postponement | None:
    """Begin a request to the target, or return when to try instead.

    A delivery with a record does not wait for a place, because it would miss a cancel during the wait.
    """
    schedule = job.schedule
    shared, last_s = dependencies.receiver(schedule), retry.last_ms(job) / 1000
    if record is None:
        return dependencies.breaker.admit(shared, last_s, deadline)
    return dependencies.breaker.begin(shared, deadline.clock(), last_s)


def _wait(
    job: DeliveryJob,
    record: Record | None,
    postponed: Postponement,
    dependencies: DeliveryDependencies,
    deadline: Deadline,
) -> None:
    """Postpone the delivery by another message, without counting an attempt.

    A delivery past its maximum age fails. The exceptions are a delivery to the output queue, and a delivery that was
    never tried and waits only because of other targets.
    """
    schedule, again_ms = job.schedule, round(postponed.until_s * 1000)
    spared = schedule.target is None or (job.attempt == 1 and not postponed.silent)
    if again_ms > retry.last_ms(job) and not spared:
        log.outcome("undelivered", id=schedule.id, attempt=job.attempt, error=NOBODY, again=False)
        retry.give_up(job, record, NOBODY, job.attempt - 1, dependencies, deadline)
        return
    log.outcome("put off", id=schedule.id, group=dependencies.receiver(schedule).name)
    next_job = retry.woken_again(job, record, job.attempt, again_ms)
    error = record.error if record is not None else ""
    retry.take_up_again(job, next_job, record, error, dependencies, deadline)


def _tried(
    schedule: Schedule, shared: Receiver, dependencies: DeliveryDependencies, deadline: Deadline
) -> Undelivered | None:
    """Call the target, and return the failure or None. The circuit breaker learns the result first."""
    timed_out, begun_s = False, deadline.clock()
    try:
        dependencies.transports.deliver(schedule)
    except Undelivered as failure:
        timed_out = failure.timed_out
        return failure
    finally:
        dependencies.breaker.end(shared, timed_out, begun_s, deadline.clock())
    return None
