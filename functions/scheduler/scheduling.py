"""Accept schedules: what is near goes to its queue at once, what is far to the table, and nothing is answered before
AWS has confirmed it.

A crash after the write and before the answer leaves a schedule that its caller does not know of: it comes out, and a
caller who sends it again gets it twice, unless with a token (far: stored once; near: twice under one id).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from scheduler import moments, partitions, request
from scheduler.crew import Crew
from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.limits import BATCH_SCHEDULES_MAX
from scheduler.outcome import Outcome
from scheduler.patience import Patience, insist
from scheduler.schedule import Schedule, keyed
from scheduler.sending import PARCEL_SCHEDULES_MAX, Parcel, Queues, parcels, send
from scheduler.text import shown

BATCH_WANTED = f'a list of 1 to {BATCH_SCHEDULES_MAX} schedules, or {{"schedules": [...], "token": "..."}}'

Answer = dict[str, Any]


class Table(Protocol):
    def put(self, schedules: Sequence[Schedule]) -> Outcome[Schedule]: ...


@dataclass(frozen=True)
class Desk:
    """Where requests are taken in: by which rules, and where they go from here."""

    table: Table
    memory: partitions.Memory
    queues: Queues
    crew: Crew
    randomness: random.Random
    rules: request.Rules
    partition_count: int
    reach_ms: int


def accept(event: object, desk: Desk, patience: Patience) -> Answer:
    """One schedule or a batch: a batch answers for each of its members, a single one raises what is wrong with it."""
    if isinstance(event, list) or (isinstance(event, dict) and "schedules" in event):
        return _accept_batch(event, desk, patience)
    (answer,) = _accept([event], [None], desk, patience)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _accept_batch(event: list[object] | dict[str, object], desk: Desk, patience: Patience) -> Answer:
    """A token of the batch makes twins of the same batch sent again, not of two members that look alike."""
    members, token = _unwrapped(event) if isinstance(event, dict) else (event, None)
    if not isinstance(members, list) or not 1 <= len(members) <= BATCH_SCHEDULES_MAX:
        raise InvalidSchedule(f"schedules is {shown(members)}; wanted: {BATCH_WANTED}")
    twins = [None if token is None else f"batch {index} {token}" for index in range(len(members))]
    answers = _accept(members, twins, desk, patience)
    results = [_refusal(answer) if isinstance(answer, Exception) else answer for answer in answers]
    rejected = sum("error" in result for result in results)
    return {"accepted": len(results) - rejected, "rejected": rejected, "results": results}


def _unwrapped(event: dict[str, object]) -> tuple[object, str | None]:
    for field in event:
        if field not in ("schedules", "token"):
            raise InvalidSchedule(f"{shown(field)} is not a field of a batch; wanted: {BATCH_WANTED}")
    return event["schedules"], request.batch_token(event)


def _accept(
    members: Sequence[object], twins: Sequence[str | None], desk: Desk, patience: Patience
) -> list[Answer | InvalidSchedule | NotConfirmed]:
    """Refuse, send or store each; the answers come in the order of the requests."""
    now_ms = patience.now_ms()
    asked = [_keyed(member, twin_of, desk, now_ms) for member, twin_of in zip(members, twins, strict=True)]
    known = {schedule.id: schedule for schedule in asked if isinstance(schedule, Schedule)}  # Twins become one here.
    near = [schedule for schedule in known.values() if schedule.due_ms - now_ms <= desk.reach_ms]
    far = [schedule for schedule in known.values() if schedule.due_ms - now_ms > desk.reach_ms]
    failures = _failures(_write(near, far, desk, patience))
    return [
        (failures.get(each.id) or _accepted(each, now_ms, desk.reach_ms)) if isinstance(each, Schedule) else each
        for each in asked
    ]


def _keyed(member: object, twin_of: str | None, desk: Desk, now_ms: int) -> Schedule | InvalidSchedule:
    try:
        wanted = request.parse(member, now_ms, desk.rules, twin_of)
    except InvalidSchedule as refusal:
        return refusal
    return keyed(wanted, desk.partition_count, desk.randomness)


def _write(near: list[Schedule], far: list[Schedule], desk: Desk, patience: Patience) -> Outcome[Schedule]:
    """Send the near and store the far, side by side."""
    total: Outcome[Schedule] = Outcome()
    if far:
        remembered = desk.memory.make_sure(desk.partition_count, patience)
        if remembered.left:
            total.left, total.why, far = far, remembered.why, []

    def work(job: Parcel | list[Schedule]) -> Outcome[Schedule]:
        return send(job, desk.queues, patience) if isinstance(job, Parcel) else insist(desk.table.put, job, patience)

    shelves = [far[start : start + PARCEL_SCHEDULES_MAX] for start in range(0, len(far), PARCEL_SCHEDULES_MAX)]
    jobs: list[Parcel | list[Schedule]] = [*parcels(near, desk.queues.output_queue_url), *shelves]
    for outcome in desk.crew.run(work, jobs) if len(jobs) > 1 else map(work, jobs):
        total.add(outcome)
    return total


def _accepted(schedule: Schedule, now_ms: int, reach_ms: int) -> Answer:
    state = "queued" if schedule.due_ms - now_ms <= reach_ms else "stored"
    return {"id": schedule.id, "timestamp": moments.epoch_s(schedule.due_ms), "state": state}


def _failures(outcome: Outcome[Schedule]) -> dict[str, InvalidSchedule | NotConfirmed]:
    """What did not come through, by id."""
    failures: dict[str, InvalidSchedule | NotConfirmed] = {}
    for schedule, reason in outcome.refused:
        failures[schedule.id] = InvalidSchedule(f"the queue does not take it: {reason}")
    for schedule, reason in outcome.closed:
        failures[schedule.id] = NotConfirmed(f"the queue is gone or closed to us: {reason}")
    for schedule in outcome.left:
        failures[schedule.id] = NotConfirmed(f"AWS did not confirm it in time ({outcome.why}); send it again")
    return failures


def _refusal(error: Exception) -> Answer:
    return {"error": type(error).__name__, "message": str(error)}
