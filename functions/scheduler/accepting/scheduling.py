"""Accept schedules: send near ones to their queue, store far ones, and answer when AWS has confirmed.

A crash after the write and before the answer leaves a schedule that its caller does not know of. It is delivered all
the same. A caller who sends the request again gets two deliveries. With a token, a far schedule is stored once, and a
near one is delivered twice under one id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scheduler import timestamps
from scheduler.accepting import batch, request
from scheduler.accepting.keyed_batch import Failures, KeyedBatch, RequestContext, SchedulingDependencies
from scheduler.accepting.storing import put
from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.execution.deadline import Deadline
from scheduler.model.bundle import Bundle
from scheduler.model.schedule import Request, Schedule, Timer, accepted, is_near

if TYPE_CHECKING:
    from scheduler.accepting.input_message import InputMessage

Answer = dict[str, Any]


def accept(event: object, desk: SchedulingDependencies, deadline: Deadline) -> Answer:
    """Accept one schedule or a batch. A batch returns an answer for each member. A single schedule raises its error."""
    if batch.is_batch(event):
        return _accept_batch(event, desk, deadline)
    occasion = RequestContext(deadline.now_ms())
    asked = desk.key_generator.drawn(request.parse(event, occasion.now_ms, desk.rules))
    taken = KeyedBatch({0: desk.key_generator.schedule(asked)}, [])
    failures = _write(taken, {0: asked}, occasion, desk, deadline)
    failure = _failure(taken, 0, failures)
    if failure is not None:
        raise failure
    return _accepted(taken, 0, occasion.now_ms, desk.reach_ms)


def accept_letter(
    letter: InputMessage, closed_for_good: bool, desk: SchedulingDependencies, deadline: Deadline
) -> list[Answer]:
    """Accept the members of an input message that are left to accept. Return an answer for each of them.

    SQS may deliver the message again, in whole or in part. The same members must then be the same schedules. So all
    members get their keys and are packed as they were the first time.
    """
    occasion = RequestContext(
        deadline.now_ms(),
        letter.token_root,
        letter.sent_ms,
        closed_for_good,
        letter.has_token,
        letter.came.by_older_rules,
        letter.came.before_zones,
    )
    return _accept_members(letter.requests, occasion, desk, deadline, letter.places)


def _accept_batch(event: list[object] | dict[str, object], desk: SchedulingDependencies, deadline: Deadline) -> Answer:
    members, token = batch.unwrapped(event)
    results = _accept_members(members, RequestContext(deadline.now_ms(), token), desk, deadline, range(len(members)))
    rejected = sum("error" in result for result in results)
    return {"accepted": len(results) - rejected, "rejected": rejected, "results": results}


def _accept_members(
    members: Sequence[object],
    occasion: RequestContext,
    desk: SchedulingDependencies,
    deadline: Deadline,
    places: Collection[int],
) -> list[Answer]:
    """Accept the members at these indexes. Return an answer for each of them."""
    checked = [_checked(member, occasion, desk.rules) for member in members]
    drawn, token = desk.key_generator.drawn, occasion.token
    requests = {place: drawn(each, place, token) for place, each in enumerate(checked) if isinstance(each, Request)}
    taken = _take(requests, occasion, desk)
    if len(places) < len(members):
        taken = taken.at(places)
    failures = _write(taken, requests, occasion, desk, deadline)

    def answer(place: int) -> Answer:
        each = checked[place]
        if not isinstance(each, Request):
            return _refusal(each)
        return _result(taken, place, failures, occasion.now_ms, desk.reach_ms)

    return [answer(place) for place in places]


def _checked(member: object, occasion: RequestContext, rules: request.AcceptRules) -> Request | InvalidSchedule:
    under_token = occasion.token is not None and occasion.by_callers_token
    try:
        by_older_rules, before_zones = occasion.by_older_rules, occasion.before_zones
        return request.parse(member, occasion.counted_from_ms, rules, under_token, by_older_rules, before_zones)
    except InvalidSchedule as refusal:
        return refusal


def _take(requests: dict[int, Request], occasion: RequestContext, desk: SchedulingDependencies) -> KeyedBatch:
    """Pack the far members into bundles, and give the other members keys of their own.

    Under a token, near members are packed too, so that a repeat has the same bundles.
    """
    taken, token, now_ms = KeyedBatch({}, []), occasion.token, occasion.now_ms
    company = {
        place: each
        for place, each in requests.items()
        if each.token is None
        and each.name is None
        and (token is not None or not is_near(each.due_ms, now_ms, desk.reach_ms))
    }
    for bundle, members in desk.key_generator.bundles(company, token):
        taken.bundles.append(bundle)
        taken.schedules.update(members)
    for place, each in requests.items():
        if place not in taken.schedules:
            taken.schedules[place] = desk.key_generator.schedule(each, place, token)
    return taken


def _expired(schedule: Schedule) -> InvalidSchedule:
    expires_after_s = timestamps.epoch_s(schedule.expires_after_ms or 0)
    return InvalidSchedule(
        f"expires_after is {expires_after_s}, so it is past already and would never be released; "
        f"wanted: {request.EXPIRY_WANTED}"
    )


def _write(
    taken: KeyedBatch,
    requests: Mapping[int, Request],
    occasion: RequestContext,
    desk: SchedulingDependencies,
    deadline: Deadline,
) -> Failures:
    """Send or store the schedules. Return the failures by id.

    A named schedule has its record written first. Then its timer is sent or stored.
    """
    now_ms = occasion.now_ms
    failures: Failures = {each.id: _expired(each) for each in taken.schedules.values() if each.expired(now_ms)}
    unnamed: list[Schedule | Bundle] = [each for each in taken.schedules.values() if each.name is None]
    unnamed += taken.bundles
    names = [place for place, each in taken.schedules.items() if each.name is not None]
    if not names:
        put(unnamed, failures, occasion, desk, deadline)
        return failures
    from scheduler.accepting import named_batch  # noqa: PLC0415 - Most callers give no names.

    slices = named_batch.slices(requests, names)
    if len(slices) > 1:  # Several slices take long, so unnamed schedules go first, in half of the time at most.
        put(unnamed, failures, occasion, desk, replace(deadline, deadline_s=_half_way(deadline)))
        unnamed = []

    def put_timers(timers: Sequence[Timer]) -> None:
        put([*unnamed, *timers], failures, occasion, desk, deadline)

    registrar = named_batch.Registrar(taken, requests, failures, occasion, desk, deadline, put_timers)
    registrar.take_in(slices)
    return failures


def _half_way(deadline: Deadline) -> float:
    return (deadline.clock() + deadline.deadline_s) / 2


def _result(taken: KeyedBatch, place: int, failures: Failures, now_ms: int, reach_ms: int) -> Answer:
    failure = _failure(taken, place, failures)
    return _accepted(taken, place, now_ms, reach_ms) if failure is None else _refusal(failure)


def _failure(taken: KeyedBatch, place: int, failures: Failures) -> InvalidSchedule | NotConfirmed | None:
    """Return the failure of a member, or None. A failure of its bundle is a failure of the member."""
    schedule = taken.schedules[place]
    return taken.denied.get(place) or failures.get(schedule.id) or failures.get(schedule.key.id)


def _accepted(taken: KeyedBatch, place: int, now_ms: int, reach_ms: int) -> Answer:
    schedule, named = taken.schedules[place], taken.named.get(place)
    answer = accepted(schedule, now_ms, reach_ms)
    return answer if named is None else {**answer, "state": named.state or answer["state"], "result": named.result}


def _refusal(error: Exception) -> Answer:
    return {"error": type(error).__name__, "message": str(error)}
