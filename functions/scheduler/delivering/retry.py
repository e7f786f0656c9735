"""Retry a delivery: decide what follows an attempt that failed, and send the message of the next one.

A retry is a message with its own delay. It is sent before the message that it follows goes, and then noted in the
record of a name. An attempt counts only if the target was called. A fault of our own puts a delivery off without using
up its attempts or its age.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scheduler import log
from scheduler.delivering import conclusion
from scheduler.errors import Undelivered, reason
from scheduler.execution.deadline import Patience, ask
from scheduler.limits import SQS_DELAY_S_MAX
from scheduler.model.delivery_job import Errand
from scheduler.model.delivery_options import PUT_OFFS_MAX, Terms, pause_s
from scheduler.model.failure_report import failed
from scheduler.model.name_record import Record
from scheduler.model.targets import goes_straight
from scheduler.placing import naming

if TYPE_CHECKING:
    from scheduler.delivering.delivery import Post

QUEUE_PAUSE_S_MAX = 60
"""SQS comes back as a whole; nothing is spared by asking it seldom, and everything waits for it."""


def begun(errand: Errand, now_ms: int) -> Errand:
    """Add the moment from which its age counts: when a function takes it up for the first time, so that a delivery that
    is overdue has all of its attempts. A retry of the version before has no such moment, and counts from its due time.
    """
    if errand.begun_ms is not None:
        return replace(errand, begun_ms=min(errand.begun_ms, now_ms))
    return replace(errand, begun_ms=now_ms if errand.retry_ms is None else errand.schedule.due_ms)


def not_delivered(errand: Errand, record: Record | None, failure: Undelivered, post: Post, patience: Patience) -> None:
    if failure.ours:
        _not_called(errand, record, failure.error, post, patience)
        return
    now_ms, attempt = patience.now_ms(), errand.attempt
    longest_s = QUEUE_PAUSE_S_MAX if goes_straight(errand.schedule.target) else SQS_DELAY_S_MAX
    wait_s = pause_s(attempt, failure.retry_after_s, patience.jitter(), longest_s)
    retry_ms = now_ms + round(wait_s * 1000)
    again = _worth_trying(errand, failure, retry_ms)
    log.outcome("undelivered", id=errand.id, attempt=attempt, error=failure.error, again=again)
    if not again:
        give_up(errand, record, failure.error, attempt, post, patience)
        return
    take_up_again(woken_again(errand, record, attempt + 1, retry_ms), record, failure.error, post, patience)


def _not_called(errand: Errand, record: Record | None, error: str, post: Post, patience: Patience) -> None:
    """For a fault of our own. The target was not called, so this uses up neither an attempt nor the age."""
    if errand.faults >= PUT_OFFS_MAX:
        log.outcome("undelivered", id=errand.id, attempt=errand.attempt, error=error, again=False)
        give_up(errand, record, error, errand.attempt - 1, post, patience)
        return
    log.outcome("put off", id=errand.id, error=error)
    wait_ms = round(pause_s(errand.faults + 1, None, patience.jitter()) * 1000)
    begun_ms = None if errand.begun_ms is None else errand.begun_ms + wait_ms
    following = woken_again(errand, record, errand.attempt, patience.now_ms() + wait_ms)
    following = replace(following, begun_ms=begun_ms, faults=errand.faults + 1)
    take_up_again(following, record, error, post, patience)


def give_up(errand: Errand, record: Record | None, error: str, attempts: int, post: Post, patience: Patience) -> None:
    report = failed(errand.schedule, error, attempts, patience.now_ms())
    conclusion.not_delivered(errand, record, report, post, patience)


def _worth_trying(errand: Errand, failure: Undelivered, retry_ms: int) -> bool:
    """A queue that fails for now is no less to be trusted than the one that the schedule waits in; ours is never
    given up. Others are, by their terms."""
    schedule = errand.schedule
    if schedule.target is None:
        return not failure.permanent
    if failure.permanent or not _in_time(errand, retry_ms):
        return False
    return goes_straight(schedule.target) or errand.attempt < Terms.read(schedule.terms).attempts_max


def _in_time(errand: Errand, retry_ms: int) -> bool:
    return retry_ms <= last_ms(errand)


def last_ms(errand: Errand) -> int:
    """After this moment it is too old to be tried."""
    schedule = errand.schedule
    return max(schedule.due_ms, errand.begun_ms or 0) + Terms.read(schedule.terms).age_ms_max


def woken_again(errand: Errand, record: Record | None, attempt: int, retry_ms: int) -> Errand:
    following = replace(errand, attempt=attempt, retry_ms=retry_ms)
    if record is None:
        return following
    return replace(following, schedule=naming.timer_of(record), turn=max(errand.turn, record.turns) + 1)


def take_up_again(following: Errand, record: Record | None, error: str, post: Post, patience: Patience) -> None:
    """By another message, and then a note of that in the record: a name may have two timers, and of those which are put
    off to one moment only the one that is noted finds something to do."""
    conclusion.send(following, post, patience)
    if record is not None:
        from scheduler.placing import near_names  # noqa: PLC0415 - Most deliveries need no retry.

        near_names.list_retry(following.schedule, following.wake_ms, post.table, patience)
        turns, attempts, now_ms = following.turn - 1, following.attempt - 1, patience.now_ms()
        try:
            ask(lambda: post.records.note(record, turns, attempts, error, now_ms, following.wake_ms), patience)
        except Exception as failure:  # noqa: BLE001 - The attempt was made, and is not made again for this.
            log.outcome("not noted", id=record.id, error=reason(failure))
