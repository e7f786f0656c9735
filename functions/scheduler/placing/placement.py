"""Put a schedule where it waits for its moment: in its queue where that is near, else in the table."""

from __future__ import annotations

from typing import Any

from scheduler import timestamps
from scheduler.errors import InvalidRequest, NotConfirmed
from scheduler.execution.batch_result import Outcome
from scheduler.execution.deadline import Patience, insist
from scheduler.managing.dependencies import Office
from scheduler.model.schedule import Schedule
from scheduler.placing import near_names
from scheduler.placing.sending import Parcel, send


def is_near(schedule: Schedule, now_ms: int, office: Office) -> bool:
    return schedule.due_ms - now_ms <= office.reach_ms


def get_ready(schedule: Schedule, now_ms: int, office: Office, patience: Patience) -> None:
    """What has to be so before anything is written for a far one: whoever feeds knows of its partition."""
    if not is_near(schedule, now_ms, office):
        remembered = office.memory.make_sure(office.keyring.partition_count, patience)
        if not remembered.done:
            raise NotConfirmed(f"AWS did not confirm it in time ({remembered.why}); try again")


def place(schedule: Schedule, office: Office, patience: Patience) -> None:
    """Confirmed, or NotConfirmed; InvalidRequest where its queue does not take it, or is another's and gone or closed
    to us. One of the stack's own is never given up."""
    outcome: Outcome[Any]
    near = is_near(schedule, patience.now_ms(), office)
    if near and schedule.name is not None:
        _put_near_name(schedule, office, patience)
    url = office.queues.url_of(schedule)
    now_ms = patience.now_ms()
    key_is_near = schedule.key.due_ms - now_ms <= office.reach_ms  # The table would release it by its key.
    if key_is_near or is_near(schedule, now_ms, office):
        outcome = send(Parcel(url, [schedule]), office.queues, patience)
    else:
        outcome = insist(office.table.put, [schedule], patience)
    if outcome.refused:
        raise InvalidRequest(f"the queue does not take it: {outcome.refused[0][1]}")
    if outcome.closed and not office.queues.are_ours(url):
        raise InvalidRequest(f"its queue is gone or closed to us: {outcome.closed[0][1]}")
    if not outcome.done:
        why = outcome.closed[0][1] if outcome.closed else outcome.why
        raise NotConfirmed(f"AWS did not confirm it in time ({why}); try again")


def _put_near_name(schedule: Schedule, office: Office, patience: Patience) -> None:
    """By this row it is listed while its timer is in the queue."""
    if near_names.write([near_names.entry_of(schedule)], office.table, patience):
        raise NotConfirmed("AWS did not confirm in time by which row it is listed; try again")


def placed(schedule: Schedule, now_ms: int, office: Office) -> dict[str, Any]:
    """The answer of the schedule function, too."""
    state = "queued" if is_near(schedule, now_ms, office) else "stored"
    return {"id": schedule.id, "timestamp": timestamps.epoch_s(schedule.due_ms), "state": state}
