"""Decide what a timer has to do, so that few timers exist and one of them delivers. Set timers.

A request sets one timer. A timer that finds another schedule pending sets a backup timer for that schedule. The writer
of the record may have crashed before it set the first. Without a bound, each replacement of a name would add a timer
that never ends. So a message notes on the record that it sets the backup timer:
- The message writes the note before it sets the timer. After a crash in between, SQS delivers the same message again.
  It finds its own id in the note, and sets the timer.
- Every other message that finds the note drops its timer. So a schedule has two timers at most.
- A schedule beyond the reach needs no note. Its backup timer is the same item as the first.
- A newly written record has no note. A record with a retry needs none, because its own timer has come.

A first and a backup timer may come together when the queue has a backlog. A late timer, and every backup timer,
therefore claims the first delivery. The other timer finds the claim and is dropped. After a crash SQS delivers the
message with the claim again. A claim expires before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.delivering import conclusion
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch, retry_call
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.name_record import Record
from scheduler.model.schedule import Timer, is_near
from scheduler.placing import naming

if TYPE_CHECKING:
    from scheduler.delivering.dependencies import DeliveryDependencies, Records

DROP, BACK_UP, DELIVER = "drop", "follow", "deliver"

TIMER_LATE_MS = 1_000
"""A first timer that is later than this may still be running when the backup timer comes."""
CLAIM_MS = 60_000
"""Longer than the deliver function runs, and shorter than the visibility timeout of its queue."""
COVERED_MS = 24 * 3600 * 1000
"""The message of an older note may be in the dead-letter queue, and come back with another id."""


def role(
    job: DeliveryJob, message_id: str, name: str, records: Records, reach_ms: int, deadline: Deadline
) -> tuple[str, Record | None]:
    """Return what this timer has to do, and the record of its name."""
    for _ in range(naming.WRITE_ROUNDS_MAX):
        record = retry_call(lambda: records.get(name), deadline)
        if record is None or not record.pending:
            return DROP, record
        if record.id == job.id:
            found = _own(job, record, message_id, records, deadline)
        else:
            found = _other(record, message_id, records, reach_ms, deadline)
        if found is not None:
            return found, record
    raise NotConfirmed("the name is written by others all the time")


def _other(record: Record, message_id: str, records: Records, reach_ms: int, deadline: Deadline) -> str | None:
    """Return the role while another schedule is pending, or None if the record has changed since it was read."""
    now_ms = deadline.now_ms()
    if not is_near(record.schedule.due_ms, now_ms, reach_ms):
        return BACK_UP
    covered = record.covered_by not in ("", message_id) and now_ms < record.schedule.due_ms + COVERED_MS
    if covered or record.wake_count:
        return DROP
    if record.covered_by or retry_call(lambda: records.cover(record, message_id), deadline):
        return BACK_UP
    return None


def _own(job: DeliveryJob, record: Record, message_id: str, records: Records, deadline: Deadline) -> str | None:
    """Return the role while this timer's schedule is pending, or None if the record has changed since it was read."""
    if _is_past(job, record):
        return DROP
    now_ms = deadline.now_ms()
    is_first_delivery = not record.wake_count and job.wake_number == 1
    is_second_timer = job.schedule.due_ms > record.schedule.due_ms
    if not is_first_delivery or not (is_second_timer or now_ms - record.schedule.due_ms > TIMER_LATE_MS):
        return DELIVER
    if record.claimed_by not in ("", message_id) and now_ms < record.claimed_until_ms:
        return DROP
    if retry_call(lambda: records.claim(record, message_id, now_ms, now_ms + CLAIM_MS), deadline):
        return DELIVER
    return None


def _is_past(job: DeliveryJob, record: Record) -> bool:
    """Return whether a later timer continues this delivery. The record notes that timer after it was sent."""
    return job.wake_number <= record.wake_count if job.wake_number else job.attempt <= record.attempts


def send(timer: Timer, dependencies: DeliveryDependencies, deadline: Deadline) -> None:
    """Store the timer in the table if the time in its key is beyond the reach. Otherwise send its message.

    The key decides, because a backup timer is later than its key. The table would release it with the first timer.
    """
    if is_near(timer.key.due_ms, deadline.now_ms(), dependencies.reach_ms):
        conclusion.send(DeliveryJob(timer), dependencies, deadline)
        return
    # The writer of the record may not have done so.
    sure = dependencies.stored_count.ensure(int(timer.key.partition) + 1, deadline)
    stored: BatchResult[Timer] = BatchResult(last_error=sure.last_error)
    if sure.confirmed:
        stored = retry_batch(dependencies.table.put, [timer], deadline)
    if not stored.confirmed:
        raise NotConfirmed(f"a timer is not stored: {stored.last_error}")
