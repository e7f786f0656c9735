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
from scheduler.delivering.circuit_breaker import CROWD_MAX, PutOff, Resting
from scheduler.delivering.in_flight import Message, Watch
from scheduler.errors import NotConfirmed, Undelivered, reason
from scheduler.execution.batch_result import Outcome
from scheduler.execution.deadline import Patience, ask, insist
from scheduler.execution.worker_pool import Crew
from scheduler.model.delivery_job import Errand
from scheduler.model.failure_report import Report, Tell, expired, unreadable
from scheduler.model.name_record import Record
from scheduler.model.schedule import Schedule, Timer, sound
from scheduler.model.targets import Receiver, receiver
from scheduler.placing import naming, partitions

if TYPE_CHECKING:
    from scheduler.delivering.self_polling import Intake
    from scheduler.placing.near_names import Row

CREW_WIDTH = 2 * CROWD_MAX
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
    def put(self, things: Sequence[Schedule]) -> Outcome[Any]: ...
    def put_near_names(self, rows: Sequence[Row]) -> Outcome[Row]: ...
    def put_failed(self, reports: Sequence[Report[Any]]) -> Outcome[Report[Any]]: ...


class Queues(Protocol):
    def send_errand(self, errand: Errand, now_ms: int) -> Outcome[Errand]: ...
    def report(self, reports: Sequence[Report[Any]]) -> Outcome[Report[Any]]: ...


class Outlets(Protocol):
    def deliver(self, schedule: Schedule) -> None:
        """Undelivered where the target did not take it."""


@dataclass(frozen=True)
class Post:
    """What a delivery works with."""

    records: Records
    table: Table
    queues: Queues
    outlets: Outlets
    tell: Tell
    crew: Crew
    memory: partitions.Memory
    resting: Resting
    intake: Callable[[], Intake]
    """The delivery queue, for when something hangs."""
    reach_ms: int


def deliver(records: Sequence[object], post: Post, patience: Patience) -> dict[str, Any]:
    """A batch, side by side and the earliest first, and what is behind it where something hangs; those of the batch
    that are to come again by themselves."""
    batch = [Message.of(record) for record in records]
    batch.sort(key=lambda message: message.wake_ms)
    watch = Watch(patience.clock)
    post.resting.open(patience.clock())

    def one(message: Message) -> bool:
        try:
            _one(message, post, patience)
            _dismiss(message, post, patience)
        except Exception as failure:  # noqa: BLE001 - It is about this message; its fellows are not to come again.
            log.outcome("not confirmed", message=message.id, error=reason(failure))
            return False
        finally:
            watch.end(message)
        return True

    done = post.crew.run(one, _under_watch(batch, watch, post, patience))
    again = [message.id for message, well in zip(batch, done, strict=False) if not well]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}


def _under_watch(batch: Sequence[Message], watch: Watch, post: Post, patience: Patience) -> Iterator[Message]:
    """The batch; then, should one of it hang, what is behind it."""
    begun_s = patience.clock()
    for message in batch:
        yield watch.begin(message, _moment_s(message, patience))
    under_way, hanging = watch.counts()
    while under_way and not hanging:
        patience.sleep(watch.quiet_s())
        under_way, hanging = watch.counts()
    if hanging:
        from scheduler.delivering import self_polling  # noqa: PLC0415 - Most invocations do without.

        for message in self_polling.more(post.intake(), watch, CREW_WIDTH, begun_s, patience):
            yield watch.begin(message, _moment_s(message, patience))


def _moment_s(message: Message, patience: Patience) -> float:
    """When its target is to be called. What is set anew is not waited for."""
    return (0 if message.wake_ms - patience.now_ms() > WAIT_MS_MAX else message.wake_ms) / 1000


def _dismiss(message: Message, post: Post, patience: Patience) -> None:
    receipt = message.receipt
    if receipt is not None:
        ask(lambda: post.intake().delete(receipt), patience)


def _one(message: Message, post: Post, patience: Patience) -> None:
    errand = message.errand
    if errand is None:
        conclusion.unreadable(unreadable(message.body, message.fault, patience.now_ms()), post, patience)
        return
    wait_ms = errand.wake_ms - patience.now_ms()
    if wait_ms > WAIT_MS_MAX or patience.over(wait_ms / 1000):
        conclusion.send(errand, post, patience)
        return
    if wait_ms > 0:
        patience.sleep(wait_ms / 1000)
    if errand.conclusion is not None:
        conclusion.resume(errand, errand.conclusion, post, patience)
    elif errand.schedule.name is None:
        _hand_over(errand, None, post, patience)
    else:
        _wake(message.id, errand, errand.schedule.name, post, patience)


def _wake(message_id: str, errand: Errand, name: str, post: Post, patience: Patience) -> None:
    """A timer has come: the record says whether it is the one, and what is to be done."""
    role, record = timers.role(errand, message_id, name, post.records, post.reach_ms, patience)
    if record is None or role == timers.DROP:
        log.outcome("dropped", id=errand.id, state=record.state if record else "gone")
    elif role == timers.FOLLOW:
        _set_timer(naming.following(record, patience.now_ms(), post.reach_ms), post, patience)
        log.outcome("followed", id=errand.id, by=record.id)
    elif record.schedule.due_ms > patience.now_ms():
        _set_timer(naming.timer_of(record), post, patience)
    else:
        _hand_over_named(errand, record, post, patience)


def _hand_over_named(errand: Errand, record: Record, post: Post, patience: Patience) -> None:
    """The record lies where others may write, too."""
    try:
        due = replace(errand, schedule=sound(record.schedule))
    except ValueError as fault:
        failure = Undelivered(f"under its name lies no schedule: {fault}", permanent=True)
        retry.not_delivered(errand, record, failure, post, patience)
        return
    _hand_over(due, record, post, patience)


def _hand_over(errand: Errand, record: Record | None, post: Post, patience: Patience) -> None:
    schedule, begun_ms = errand.schedule, patience.now_ms()
    errand = retry.begun(errand, begun_ms)
    if schedule.expired(begun_ms):
        log.outcome("expired", id=schedule.id)
        report = replace(expired(schedule, begun_ms), attempts=errand.attempt - 1)
        conclusion.not_delivered(errand, record, report, post, patience)
        return
    put_off = _put_off(errand, record, post, patience)
    if put_off is not None:
        _wait(errand, record, put_off, post, patience)
        return
    begun_ms = patience.now_ms()
    failure = _tried(schedule, receiver(schedule.target), post, patience)
    if failure is not None:
        retry.not_delivered(errand, record, failure, post, patience)
        return
    log.outcome("delivered", id=schedule.id, lateness_ms=begun_ms - schedule.due_ms, attempt=errand.attempt)
    conclusion.delivered(errand, record, post, patience)


def _put_off(errand: Errand, record: Record | None, post: Post, patience: Patience) -> PutOff | None:
    """Take a place at the target, or say when to come again. The record was read a moment ago, so a delivery with one
    does not wait for a place: a cancel meanwhile would not count."""
    schedule = errand.schedule
    shared, last_s = receiver(schedule.target), retry.last_ms(errand) / 1000
    if record is None:
        return post.resting.admit(shared, last_s, patience)
    return post.resting.begin(shared, patience.clock(), last_s)


def _wait(errand: Errand, record: Record | None, put_off: PutOff, post: Post, patience: Patience) -> None:
    """Come again, by another message and without an attempt counted. At the end of its terms a delivery is given up,
    unless it was never tried and only the targets of others are the reason."""
    schedule, again_ms = errand.schedule, round(put_off.until_s * 1000)
    spared = schedule.target is None or (errand.attempt == 1 and not put_off.silent)
    if again_ms > retry.last_ms(errand) and not spared:
        log.outcome("undelivered", id=schedule.id, attempt=errand.attempt, error=NOBODY, again=False)
        retry.give_up(errand, record, NOBODY, errand.attempt - 1, post, patience)
        return
    log.outcome("put off", id=schedule.id, group=receiver(schedule.target).name)
    following = retry.woken_again(errand, record, errand.attempt, again_ms)
    retry.take_up_again(following, record, record.error if record is not None else "", post, patience)


def _tried(schedule: Schedule, shared: Receiver, post: Post, patience: Patience) -> Undelivered | None:
    """What came of it, which those who put off the others hear of first."""
    timed_out, begun_s = False, patience.clock()
    try:
        post.outlets.deliver(schedule)
    except Undelivered as failure:
        timed_out = failure.timed_out
        return failure
    finally:
        post.resting.end(shared, timed_out, begun_s, patience.clock())
    return None


def _set_timer(timer: Timer, post: Post, patience: Patience) -> None:
    """In the table where its key is far, else on its way. A second timer may be out of reach when its key is not. In
    the table it would come at the moment of its key, together with the first."""
    if timer.key.due_ms - patience.now_ms() <= post.reach_ms:
        conclusion.send(Errand(timer), post, patience)
        return
    sure = post.memory.make_sure(int(timer.key.partition) + 1, patience)  # Whoever wrote the record may not have been.
    stored = insist(post.table.put, [timer], patience) if sure.done else Outcome(why=sure.why)
    if not stored.done:
        raise NotConfirmed(f"a timer is not stored: {stored.why}")
