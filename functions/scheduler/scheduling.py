"""Accept schedules: what is near goes to its queue at once, what is far to the table, and nothing is answered before
AWS has confirmed it.

A crash after the write and before the answer leaves a schedule that its caller does not know of: it comes out, and a
caller who sends it again gets it twice, unless with a token (far: stored once; near: twice under one id).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from scheduler import batches, moments, partitions, request
from scheduler.bundle import Bundle
from scheduler.crew import Crew
from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.keying import Keyring
from scheduler.outcome import Outcome
from scheduler.patience import Patience, insist
from scheduler.schedule import Key, Request, Schedule
from scheduler.sending import PARCEL_SCHEDULES_MAX, Parcel, Queues, parcels, send

Answer = dict[str, Any]


class Table(Protocol):
    def put(self, things: Sequence[Schedule | Bundle]) -> Outcome[Schedule | Bundle]: ...


@dataclass(frozen=True)
class Desk:
    """Where requests are taken in: by which rules, and where they go from here."""

    table: Table
    memory: partitions.Memory
    queues: Queues
    crew: Crew
    rules: request.Rules
    keyring: Keyring
    reach_ms: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What was accepted of a batch by our own rules, by its place in it; some of it lies together in bundles."""

    schedules: dict[int, Schedule]
    bundles: list[Bundle]


def accept(event: object, desk: Desk, patience: Patience) -> Answer:
    """One schedule or a batch: a batch answers for each of its members, a single one raises what is wrong with it."""
    if batches.is_batch(event):
        return _accept_batch(event, desk, patience)
    now_ms = patience.now_ms()
    schedule = desk.keyring.schedule(request.parse(event, now_ms, desk.rules))
    if schedule.expired(now_ms):
        raise _expired(schedule)
    failures = _write(Taken({0: schedule}, []), now_ms, desk, patience)
    if failures:
        raise failures[schedule.id]
    return _accepted(schedule, now_ms, desk.reach_ms)


def _accept_batch(event: list[object] | dict[str, object], desk: Desk, patience: Patience) -> Answer:
    members, token = batches.unwrapped(event)
    now_ms = patience.now_ms()
    checked = [_checked(member, now_ms, desk.rules, token) for member in members]
    requests = {place: each for place, each in enumerate(checked) if isinstance(each, Request)}
    taken = _take(requests, token, now_ms, desk)
    failures = _write(taken, now_ms, desk, patience)
    results = [
        _result(taken.schedules[place], failures, now_ms, desk.reach_ms)
        if isinstance(each, Request)
        else _refusal(each)
        for place, each in enumerate(checked)
    ]
    rejected = sum("error" in result for result in results)
    return {"accepted": len(results) - rejected, "rejected": rejected, "results": results}


def _checked(member: object, now_ms: int, rules: request.Rules, token: str | None) -> Request | InvalidSchedule:
    try:
        return request.parse(member, now_ms, rules, under_token=token is not None)
    except InvalidSchedule as refusal:
        return refusal


def _take(requests: dict[int, Request], token: str | None, now_ms: int, desk: Desk) -> Taken:
    """Pack what is far, or under a token whatever may be packed, and give the rest keys of its own."""
    taken = Taken({}, [])
    company = {
        place: each
        for place, each in requests.items()
        if each.token is None and (token is not None or each.due_ms - now_ms > desk.reach_ms)
    }
    for bundle, members in desk.keyring.bundles(company, token):
        taken.bundles.append(bundle)
        taken.schedules.update(members)
    for place, each in requests.items():
        if place not in taken.schedules:
            taken.schedules[place] = desk.keyring.schedule(each, place, token)
    return taken


def _expired(schedule: Schedule) -> InvalidSchedule:
    expires_after_s = moments.epoch_s(schedule.expires_after_ms or 0)
    return InvalidSchedule(
        f"expires_after is {expires_after_s}, so it is past already and would never be released; "
        f"wanted: {request.EXPIRY_WANTED}"
    )


def _write(taken: Taken, now_ms: int, desk: Desk, patience: Patience) -> dict[str, InvalidSchedule | NotConfirmed]:
    """Send the near and store the far, side by side; what did not come through, by id."""

    failures: dict[str, InvalidSchedule | NotConfirmed] = {
        each.id: _expired(each) for each in taken.schedules.values() if each.expired(now_ms)
    }

    def is_far(thing: Schedule | Bundle) -> bool:
        return not _is_near(thing.key, now_ms, desk.reach_ms)

    known = {schedule.id: schedule for schedule in taken.schedules.values()}.values()  # Twins become one here.
    near = [schedule for schedule in known if not is_far(schedule) and schedule.id not in failures]
    items: list[Schedule | Bundle] = [each for each in known if each.index is None and is_far(each)]
    items += [bundle for bundle in taken.bundles if is_far(bundle)]
    if items:
        remembered = desk.memory.make_sure(desk.keyring.partition_count, patience)
        if remembered.left:
            _note(failures, Outcome(left=items, why=remembered.why))
            items = []

    def work(job: Parcel | list[Schedule | Bundle]) -> Outcome[Any]:
        if patience.over():
            return Outcome(untried=job.schedules if isinstance(job, Parcel) else job, why="time is over")
        return send(job, desk.queues, patience) if isinstance(job, Parcel) else insist(desk.table.put, job, patience)

    shelves = [items[start : start + PARCEL_SCHEDULES_MAX] for start in range(0, len(items), PARCEL_SCHEDULES_MAX)]
    jobs: list[Parcel | list[Schedule | Bundle]] = [*parcels(near, desk.queues.output_queue_url), *shelves]
    for outcome in desk.crew.run(work, jobs) if len(jobs) > 1 else map(work, jobs):
        _note(failures, outcome)
    return failures


def _is_near(key: Key, now_ms: int, reach_ms: int) -> bool:
    """By the key: the members of a bundle go one way together."""
    return key.due_ms - now_ms <= reach_ms


def _note(failures: dict[str, InvalidSchedule | NotConfirmed], outcome: Outcome[Any]) -> None:
    for thing, reason in outcome.refused:
        failures[thing.id] = InvalidSchedule(f"the queue does not take it: {reason}")
    for thing, reason in outcome.closed:
        failures[thing.id] = NotConfirmed(f"the queue is gone or closed to us: {reason}")
    for thing in [*outcome.left, *outcome.untried]:
        failures[thing.id] = NotConfirmed(f"AWS did not confirm it in time ({outcome.why}); send it again")


def _result(
    schedule: Schedule, failures: dict[str, InvalidSchedule | NotConfirmed], now_ms: int, reach_ms: int
) -> Answer:
    """A member that lies in a bundle has come as far as its bundle has."""
    failure = failures.get(schedule.id) or failures.get(schedule.key.id)
    return _refusal(failure) if failure else _accepted(schedule, now_ms, reach_ms)


def _accepted(schedule: Schedule, now_ms: int, reach_ms: int) -> Answer:
    state = "queued" if _is_near(schedule.key, now_ms, reach_ms) else "stored"
    return {"id": schedule.id, "timestamp": moments.epoch_s(schedule.due_ms), "state": state}


def _refusal(error: Exception) -> Answer:
    return {"error": type(error).__name__, "message": str(error)}
