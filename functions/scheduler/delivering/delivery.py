"""Deliver: wait for the moment, look whether it is still wanted, hand it over, and write down what came of it.

A message of the delivery queue comes a little early. That little is waited out here; what comes far too early is set
anew. A named schedule is looked up after the wait, so that a cancel counts to the last moment, and its outcome is
written on condition that it still stands. `retrying` has what follows an attempt that failed, and `concluding` what
follows an outcome.

What a crash leaves behind:
- before the target has it: the message, which comes again;
- between the target and the outcome: the message too, so the target gets it twice under one id;
- between a retry, or what is put off, and the note of it: two messages for the next turn, of which the second finds
  the first's note. If the note cannot be written the retry goes on without it;
- between the outcome and the delete of a message that the function received itself: the message, as above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from scheduler import log
from scheduler.delivering import conclusion, retry, timers
from scheduler.delivering.circuit_breaker import PER_HOST_MAX, CircuitBreaker, PutOff
from scheduler.delivering.in_flight import InFlight, Message
from scheduler.errors import NotConfirmed, Undelivered, reason
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch, retry_call
from scheduler.execution.worker_pool import WorkerPool
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.failure_report import Report, Tell, expired, unreadable
from scheduler.model.name_record import Record
from scheduler.model.schedule import Schedule, Timer, sound
from scheduler.model.targets import Receiver, receiver
from scheduler.placing import naming, partitions

if TYPE_CHECKING:
    from scheduler.delivering.self_polling import DeliveryQueue
    from scheduler.placing.near_names import Row

THREADS_MAX = 2 * PER_HOST_MAX
"""A batch side by side, each waiting for its own moment, and what is taken in beside it; no host has more than half."""
WAIT_MS_MAX = 5_000
"""More than the lead, what rounding down a delay adds, and two clocks that differ. What is earlier is set anew."""
NOBODY = "not tried any more: its target answers nobody"
RESERVE_S = 8
"""Time kept back so that a delivery that begins last has its outcome written."""


class Records(timers.Records, Protocol):
    def get(self, name: str) -> Record | None: ...
    def close(self, read: Record, state: str, now_ms: int, attempts: int, error: str = "") -> bool: ...
    def note(self, read: Record, turns: int, attempts: int, error: str, now_ms: int, retry_ms: int) -> bool: ...


class Table(Protocol):
    def put(self, things: Sequence[Schedule]) -> BatchResult[Any]: ...
    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]: ...
    def put_failed(self, reports: Sequence[Report[Any]]) -> BatchResult[Report[Any]]: ...


class Queues(Protocol):
    def send_errand(self, job: DeliveryJob, now_ms: int) -> BatchResult[DeliveryJob]: ...
    def report(self, reports: Sequence[Report[Any]]) -> BatchResult[Report[Any]]: ...


class Transports(Protocol):
    def deliver(self, schedule: Schedule) -> None:
        """Undelivered where the target did not take it."""


@dataclass(frozen=True)
class DeliveryDependencies:
    """What a delivery works with."""

    records: Records
    table: Table
    queues: Queues
    transports: Transports
    tell: Tell
    pool: WorkerPool
    memory: partitions.PartitionCount
    resting: CircuitBreaker
    delivery_queue: Callable[[], DeliveryQueue]
    """The delivery queue, for when something hangs."""
    reach_ms: int


def deliver(records: Sequence[object], post: DeliveryDependencies, deadline: Deadline) -> dict[str, Any]:
    """A batch, side by side and the earliest first, and what is behind it where something hangs; those of the batch
    that are to come again by themselves."""
    batch = [Message.of(record) for record in records]
    batch.sort(key=lambda message: message.wake_ms)
    watch = InFlight(deadline.clock)
    post.resting.open(deadline.clock())

    def one(message: Message) -> bool:
        try:
            _one(message, post, deadline)
            _dismiss(message, post, deadline)
        except Exception as failure:  # noqa: BLE001 - It is about this message; its fellows are not to come again.
            log.outcome("not confirmed", message=message.id, error=reason(failure))
            return False
        finally:
            watch.end(message)
        return True

    done = post.pool.run(one, _under_watch(batch, watch, post, deadline))
    again = [message.id for message, well in zip(batch, done, strict=False) if not well]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}


def _under_watch(
    batch: Sequence[Message], watch: InFlight, post: DeliveryDependencies, deadline: Deadline
) -> Iterator[Message]:
    """The batch; then, should one of it hang, what is behind it."""
    begun_s = deadline.clock()
    for message in batch:
        yield watch.begin(message, _moment_s(message, deadline))
    under_way, hanging = watch.counts()
    while under_way and not hanging:
        deadline.sleep(watch.quiet_s())
        under_way, hanging = watch.counts()
    if hanging:
        from scheduler.delivering import self_polling  # noqa: PLC0415 - Most invocations do without.

        for message in self_polling.more(post.delivery_queue(), watch, THREADS_MAX, begun_s, deadline):
            yield watch.begin(message, _moment_s(message, deadline))


def _moment_s(message: Message, deadline: Deadline) -> float:
    """When its target is to be called. What is set anew is not waited for."""
    return (0 if message.wake_ms - deadline.now_ms() > WAIT_MS_MAX else message.wake_ms) / 1000


def _dismiss(message: Message, post: DeliveryDependencies, deadline: Deadline) -> None:
    receipt = message.receipt
    if receipt is not None:
        retry_call(lambda: post.delivery_queue().delete(receipt), deadline)


def _one(message: Message, post: DeliveryDependencies, deadline: Deadline) -> None:
    job = message.job
    if job is None:
        conclusion.unreadable(unreadable(message.body, message.fault, deadline.now_ms()), post, deadline)
        return
    wait_ms = job.wake_ms - deadline.now_ms()
    if wait_ms > WAIT_MS_MAX or deadline.passed(wait_ms / 1000):
        conclusion.send(job, post, deadline)
        return
    if wait_ms > 0:
        deadline.sleep(wait_ms / 1000)
    if job.conclusion is not None:
        conclusion.resume(job, job.conclusion, post, deadline)
    elif job.schedule.name is None:
        _hand_over(job, None, post, deadline)
    else:
        _wake(message.id, job, job.schedule.name, post, deadline)


def _wake(message_id: str, job: DeliveryJob, name: str, post: DeliveryDependencies, deadline: Deadline) -> None:
    """A timer has come: the record says whether it is the one, and what is to be done."""
    role, record = timers.role(job, message_id, name, post.records, post.reach_ms, deadline)
    if record is None or role == timers.DROP:
        log.outcome("dropped", id=job.id, state=record.state if record else "gone")
    elif role == timers.FOLLOW:
        _set_timer(naming.following(record, deadline.now_ms(), post.reach_ms), post, deadline)
        log.outcome("followed", id=job.id, by=record.id)
    elif record.schedule.due_ms > deadline.now_ms():
        _set_timer(naming.timer_of(record), post, deadline)
    else:
        _hand_over_named(job, record, post, deadline)


def _hand_over_named(job: DeliveryJob, record: Record, post: DeliveryDependencies, deadline: Deadline) -> None:
    """The record lies where others may write, too."""
    try:
        due = replace(job, schedule=sound(record.schedule))
    except ValueError as fault:
        failure = Undelivered(f"under its name lies no schedule: {fault}", permanent=True)
        retry.not_delivered(job, record, failure, post, deadline)
        return
    _hand_over(due, record, post, deadline)


def _hand_over(job: DeliveryJob, record: Record | None, post: DeliveryDependencies, deadline: Deadline) -> None:
    schedule, begun_ms = job.schedule, deadline.now_ms()
    job = retry.begun(job, begun_ms)
    if schedule.expired(begun_ms):
        log.outcome("expired", id=schedule.id)
        report = replace(expired(schedule, begun_ms), attempts=job.attempt - 1)
        conclusion.not_delivered(job, record, report, post, deadline)
        return
    postponed = _put_off(job, record, post, deadline)
    if postponed is not None:
        _wait(job, record, postponed, post, deadline)
        return
    begun_ms = deadline.now_ms()
    failure = _tried(schedule, receiver(schedule.target), post, deadline)
    if failure is not None:
        retry.not_delivered(job, record, failure, post, deadline)
        return
    log.outcome("delivered", id=schedule.id, lateness_ms=begun_ms - schedule.due_ms, attempt=job.attempt)
    conclusion.delivered(job, record, post, deadline)


def _put_off(job: DeliveryJob, record: Record | None, post: DeliveryDependencies, deadline: Deadline) -> PutOff | None:
    """Take a place at the target, or say when to come again. The record was read a moment ago, so a delivery with one
    does not wait for a place: a cancel meanwhile would not count."""
    schedule = job.schedule
    shared, last_s = receiver(schedule.target), retry.last_ms(job) / 1000
    if record is None:
        return post.resting.admit(shared, last_s, deadline)
    return post.resting.begin(shared, deadline.clock(), last_s)


def _wait(
    job: DeliveryJob, record: Record | None, postponed: PutOff, post: DeliveryDependencies, deadline: Deadline
) -> None:
    """Come again, by another message and without an attempt counted. At the end of its terms a delivery is given up,
    unless it was never tried and only the targets of others are the reason."""
    schedule, again_ms = job.schedule, round(postponed.until_s * 1000)
    spared = schedule.target is None or (job.attempt == 1 and not postponed.silent)
    if again_ms > retry.last_ms(job) and not spared:
        log.outcome("undelivered", id=schedule.id, attempt=job.attempt, error=NOBODY, again=False)
        retry.give_up(job, record, NOBODY, job.attempt - 1, post, deadline)
        return
    log.outcome("put off", id=schedule.id, group=receiver(schedule.target).name)
    following = retry.woken_again(job, record, job.attempt, again_ms)
    retry.take_up_again(following, record, record.error if record is not None else "", post, deadline)


def _tried(schedule: Schedule, shared: Receiver, post: DeliveryDependencies, deadline: Deadline) -> Undelivered | None:
    """What came of it, which those who put off the others hear of first."""
    timed_out, begun_s = False, deadline.clock()
    try:
        post.transports.deliver(schedule)
    except Undelivered as failure:
        timed_out = failure.timed_out
        return failure
    finally:
        post.resting.end(shared, timed_out, begun_s, deadline.clock())
    return None


def _set_timer(timer: Timer, post: DeliveryDependencies, deadline: Deadline) -> None:
    """In the table where its key is far, else on its way. A second timer may be out of reach when its key is not. In
    the table it would come at the moment of its key, together with the first."""
    if timer.key.due_ms - deadline.now_ms() <= post.reach_ms:
        conclusion.send(DeliveryJob(timer), post, deadline)
        return
    sure = post.memory.ensure(int(timer.key.partition) + 1, deadline)  # Whoever wrote the record may not have been.
    stored = (
        retry_batch(post.table.put, [timer], deadline) if sure.confirmed else BatchResult(last_error=sure.last_error)
    )
    if not stored.confirmed:
        raise NotConfirmed(f"a timer is not stored: {stored.last_error}")
