"""Accept schedules: send near ones to their queue, store far ones, and answer when AWS has confirmed.

A crash after the write and before the answer leaves a schedule whose caller has no answer. The schedule is delivered. A
caller who sends the request again gets two deliveries. With a token, a far schedule is stored once, and a near one is
delivered twice under one id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scheduler import log, timestamps
from scheduler.accepting import batch, request
from scheduler.accepting.keyed_batch import Failures, KeyedBatch, RequestContext, SchedulingDependencies
from scheduler.accepting.storing import put
from scheduler.errors import InvalidSchedule
from scheduler.execution.deadline import Deadline
from scheduler.model.bundle import Bundle
from scheduler.model.schedule import Request, Schedule, Timer, accepted, is_near

if TYPE_CHECKING:
    from scheduler.accepting.from_queue.input_message import InputMessage

Answer = dict[str, Any]


def accept(event: object, dependencies: SchedulingDependencies, deadline: Deadline) -> Answer:
    """Accept one schedule or a batch. A batch returns an answer for each member. A single schedule raises its error."""
    return dependencies.metrics.accepting(lambda: _accept(event, dependencies, deadline))


def accept_call(event: object, dependencies: SchedulingDependencies, deadline: Deadline) -> Answer:
    """Accept what a direct call schedules, and log the counts."""
    answer = accept(event, dependencies, deadline)
    facts = {"accepted": answer.get("accepted", 1), "rejected": answer.get("rejected", 0), "id": answer.get("id")}
    log.about(dependencies.key_generator.application, lambda: log.outcome("scheduled", **facts))
    return answer


def _accept(event: object, dependencies: SchedulingDependencies, deadline: Deadline) -> Answer:
    if batch.is_batch(event):
        return _accept_batch(event, dependencies, deadline)
    return _Acceptance(RequestContext(deadline.now_ms()), dependencies, deadline).single(event)


def accept_message(
    message: InputMessage, refuse_unavailable: bool, dependencies: SchedulingDependencies, deadline: Deadline
) -> list[Answer]:
    """Accept the members of an input message that are not done yet. Return an answer for each of them.

    SQS may deliver the message again, or a remainder of it. The same members must then be the same schedules. So all
    members get keys and are packed as they were the first time, even those that are done.
    """
    context = RequestContext(
        deadline.now_ms(),
        message.token_root,
        message.sent_ms,
        refuse_unavailable,
        message.has_token,
        message.history.by_older_rules,
        message.history.before_zones,
    )
    return _Acceptance(context, dependencies, deadline).members(message.requests, message.indexes)


def _accept_batch(
    event: list[object] | dict[str, object], dependencies: SchedulingDependencies, deadline: Deadline
) -> Answer:
    members, token = batch.unwrapped(event)
    acceptance = _Acceptance(RequestContext(deadline.now_ms(), token), dependencies, deadline)
    results = acceptance.members(members, range(len(members)))
    rejected = sum("error" in result for result in results)
    return {"accepted": len(results) - rejected, "rejected": rejected, "results": results}


class _Acceptance:
    """Accepts the requests of one event or message."""

    def __init__(self, context: RequestContext, dependencies: SchedulingDependencies, deadline: Deadline) -> None:
        self._context, self._dependencies, self._deadline = context, dependencies, deadline

    def single(self, event: object) -> Answer:
        """Accept one schedule, or raise its error."""
        key_generator = self._dependencies.key_generator
        parsed = key_generator.drawn(request.parse(event, self._context.now_ms, self._dependencies.rules))
        keyed = KeyedBatch({0: key_generator.schedule(parsed)}, [])
        failures = self._write(keyed, {0: parsed})
        failure = keyed.failure_of(0, failures)
        if failure is not None:
            raise failure
        return self._accepted(keyed, 0)

    def members(self, members: Sequence[object], indexes: Collection[int]) -> list[Answer]:
        """Accept the members at these indexes. Return an answer for each of them."""
        checked = [self._checked(member) for member in members]
        drawn, token = self._dependencies.key_generator.drawn, self._context.token
        requests = {index: drawn(each, index, token) for index, each in enumerate(checked) if isinstance(each, Request)}
        keyed = self._take(requests)
        if len(indexes) < len(members):
            keyed = keyed.at(indexes)
        failures = self._write(keyed, requests)

        def answer(index: int) -> Answer:
            each = checked[index]
            if not isinstance(each, Request):
                return _refusal(each)
            failure = keyed.failure_of(index, failures)
            return self._accepted(keyed, index) if failure is None else _refusal(failure)

        return [answer(index) for index in indexes]

    def _checked(self, member: object) -> Request | InvalidSchedule:
        context, rules = self._context, self._dependencies.rules
        under_token = context.token is not None and context.by_callers_token
        try:
            by_older_rules, before_zones = context.by_older_rules, context.before_zones
            return request.parse(member, context.counted_from_ms, rules, under_token, by_older_rules, before_zones)
        except InvalidSchedule as refusal:
            return refusal

    def _take(self, requests: dict[int, Request]) -> KeyedBatch:
        """Give each member its key. Pack far members without a name or a token of their own into bundles.

        Under a token, near members are packed too, so that a repeat has the same bundles.
        """
        keyed, token, now_ms = KeyedBatch({}, []), self._context.token, self._context.now_ms
        key_generator, reach_ms = self._dependencies.key_generator, self._dependencies.reach_ms
        bundle_candidates = {
            index: each
            for index, each in requests.items()
            if each.token is None
            and each.name is None
            and (token is not None or not is_near(each.due_ms, now_ms, reach_ms))
        }
        for bundle, members in key_generator.bundles(bundle_candidates, token):
            keyed.bundles.append(bundle)
            keyed.schedules.update(members)
        for index, each in requests.items():
            if index not in keyed.schedules:
                keyed.schedules[index] = key_generator.schedule(each, index, token)
        return keyed

    def _write(self, keyed: KeyedBatch, requests: Mapping[int, Request]) -> Failures:
        """Count, then send or store the schedules. Return the failures by id."""
        now_ms, dependencies = self._context.now_ms, self._dependencies
        failures: Failures = {each.id: _expired(each) for each in keyed.schedules.values() if each.expired(now_ms)}
        if not dependencies.ledger.on:
            self._put(keyed, requests, failures)
            return failures
        from scheduler.accepting.counted import CountedBatch

        counted = CountedBatch(keyed, requests, self._context, dependencies)
        if counted.begin(failures, self._deadline):
            self._put(keyed, requests, failures)
            counted.end(failures, self._deadline)
        return failures

    def _put(self, keyed: KeyedBatch, requests: Mapping[int, Request], failures: Failures) -> None:
        """Send or store the schedules, and add to the failures.

        A named schedule has its record written first. Then its timer is sent or stored.
        """
        context, dependencies, deadline = self._context, self._dependencies, self._deadline
        unnamed: list[Schedule | Bundle] = [each for each in keyed.schedules.values() if each.name is None]
        unnamed += keyed.bundles
        names = [index for index, each in keyed.schedules.items() if each.name is not None]
        if not names:
            put(unnamed, failures, context, dependencies, deadline)
            return
        from scheduler.accepting import named_batch

        slices = named_batch.slices(requests, names)
        if len(slices) > 1:  # Several slices take long, so unnamed schedules go first, in at most half of the time.
            put(unnamed, failures, context, dependencies, replace(deadline, deadline_s=_half_way(deadline)))
            unnamed = []

        def put_timers(timers: Sequence[Timer]) -> None:
            put([*unnamed, *timers], failures, context, dependencies, deadline)

        registrar = named_batch.Registrar(keyed, requests, failures, context, dependencies, deadline, put_timers)
        registrar.take_in(slices)

    def _accepted(self, keyed: KeyedBatch, index: int) -> Answer:
        schedule, named = keyed.schedules[index], keyed.named.get(index)
        answer = accepted(schedule, self._context.now_ms, self._dependencies.reach_ms)
        return answer if named is None else {**answer, "state": named.state or answer["state"], "result": named.result}


def _expired(schedule: Schedule) -> InvalidSchedule:
    expires_after_s = timestamps.epoch_s(schedule.expires_after_ms or 0)
    return InvalidSchedule(
        f"expires_after is {expires_after_s}, so it is past already and would never be released; "
        f"wanted: {request.EXPIRY_WANTED}"
    )


def _half_way(deadline: Deadline) -> float:
    return (deadline.clock() + deadline.deadline_s) / 2


def _refusal(error: Exception) -> Answer:
    return {"error": type(error).__name__, "message": str(error)}
