"""Accept schedules: send near ones to their queue, store far ones, and answer when AWS has confirmed.

A crash after the write and before the answer leaves a schedule that its caller does not know of. It is delivered all
the same. A caller who sends the request again gets two deliveries. With a token, a far schedule is stored once, and a
near one is delivered twice under one id.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from scheduler import timestamps
from scheduler.accepting import batch, request
from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch
from scheduler.execution.worker_pool import WorkerPool
from scheduler.model.bundle import Bundle
from scheduler.model.schedule import Request, Schedule, Timer, accepted, is_near
from scheduler.placing import partitions
from scheduler.placing.keys import KeyGenerator
from scheduler.placing.sending import CHUNK_SCHEDULES_MAX, Queues, SendChunk, send, send_chunks

if TYPE_CHECKING:
    from scheduler.accepting.input_message import InputMessage
    from scheduler.placing import naming
    from scheduler.placing.naming import NameResult
    from scheduler.placing.near_names import Row

Answer = dict[str, Any]
ROWS_MAX = 25
"""Rows of the index of near names that one job writes: one batch of DynamoDB."""

Failures = dict[str, InvalidSchedule | NotConfirmed]


class Table(Protocol):
    def put(self, things: Sequence[Schedule | Bundle]) -> BatchResult[Schedule | Bundle]: ...
    def remove_timer(self, timer: Timer) -> None: ...
    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]: ...


@dataclass(frozen=True)
class SchedulingDependencies:
    """The rules for requests, and the table and queues that accepted schedules go to."""

    table: Table
    memory: partitions.PartitionCount
    queues: Queues
    pool: WorkerPool
    rules: request.AcceptRules
    key_generator: KeyGenerator
    reach_ms: int
    records: Callable[[], naming.Records]


@dataclass(frozen=True, slots=True)
class RequestContext:
    """When a batch of requests is processed, and under which token.

    `sent_ms` is when the batch was sent. It is set only for an input message, because its repeats have the same time.
    """

    now_ms: int
    token: str | None = None
    sent_ms: int | None = None
    closed_for_good: bool = False
    """Whether to refuse schedules for a target queue that is missing or denies access, because it was so for long."""
    by_callers_token: bool = True
    """Whether the token is the caller's own, and not a message id. A repeat may then be sent at another time."""
    by_older_rules: bool = False
    """Whether the previous version may have accepted some members. It allowed a delay together with a token."""

    @property
    def counted_from_ms(self) -> int:
        return self.now_ms if self.sent_ms is None else self.sent_ms


@dataclass(frozen=True, slots=True)
class KeyedBatch:
    """The valid members of a batch, by index, with their keys.

    Some members share bundles. `named` holds the results of those with a name, once their records are written.
    """

    schedules: dict[int, Schedule]
    bundles: list[Bundle]
    named: dict[int, NameResult] = field(default_factory=dict)
    denied: dict[int, InvalidSchedule | NotConfirmed] = field(default_factory=dict)
    """Failures to register a name, by index.

    The id would not do: under a token, the current schedule may have the same id and be kept for another member.
    """

    def at(self, places: Collection[int]) -> KeyedBatch:
        """Return only these members, with unchanged keys. A bundle that is still to be stored has all members here."""
        schedules = {place: self.schedules[place] for place in places if place in self.schedules}
        keys = {each.key for each in schedules.values()}
        return KeyedBatch(schedules, [bundle for bundle in self.bundles if bundle.key in keys])


def accept(event: object, desk: SchedulingDependencies, deadline: Deadline) -> Answer:
    """Accept one schedule or a batch. A batch returns an answer for each member. A single schedule raises its error."""
    if batch.is_batch(event):
        return _accept_batch(event, desk, deadline)
    occasion = RequestContext(deadline.now_ms())
    asked = request.parse(event, occasion.now_ms, desk.rules)
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
    requests = {place: each for place, each in enumerate(checked) if isinstance(each, Request)}
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
        return request.parse(member, occasion.counted_from_ms, rules, under_token, occasion.by_older_rules)
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
        _put(unnamed, failures, occasion, desk, deadline)
        return failures
    from scheduler.accepting import named_batch  # noqa: PLC0415 - Most callers give no names.

    slices = named_batch.slices(requests, names)
    if len(slices) > 1:  # Several slices take long, so unnamed schedules go first, in half of the time at most.
        _put(unnamed, failures, occasion, desk, replace(deadline, deadline_s=_half_way(deadline)))
        unnamed = []
    put = functools.partial(_put, failures=failures, occasion=occasion, desk=desk, deadline=deadline)
    registrar = named_batch.Registrar(
        taken, requests, failures, occasion, desk, deadline, lambda timers: put([*unnamed, *timers])
    )
    registrar.take_in(slices)
    return failures


def _half_way(deadline: Deadline) -> float:
    return (deadline.clock() + deadline.deadline_s) / 2


def _put(
    things: Sequence[Schedule | Bundle],
    failures: Failures,
    occasion: RequestContext,
    desk: SchedulingDependencies,
    deadline: Deadline,
) -> None:
    """Send near schedules, store far ones, and write the index rows of near names, all concurrently.

    A member of a near bundle is sent by itself. A far bundle is stored as one item.
    """

    def is_far(thing: Schedule | Bundle) -> bool:
        return not is_near(thing.key.due_ms, occasion.now_ms, desk.reach_ms)

    schedules = {each.id: each for each in things if not isinstance(each, Bundle)}.values()  # Without duplicates.
    near = [schedule for schedule in schedules if not is_far(schedule) and schedule.id not in failures]
    items: list[Schedule | Bundle] = [each for each in schedules if each.index is None and is_far(each)]
    items += [each for each in things if isinstance(each, Bundle) and is_far(each)]
    if items:
        remembered = desk.memory.ensure(desk.key_generator.partition_count, deadline)
        if remembered.unconfirmed:
            _note(failures, BatchResult(unconfirmed=items, last_error=remembered.last_error))
            items = []

    def work(job: SendChunk | list[Schedule | Bundle] | tuple[Row, ...]) -> BatchResult[Any]:
        if deadline.passed():
            return BatchResult(
                not_attempted=job.schedules if isinstance(job, SendChunk) else list(job), last_error="time is over"
            )
        if isinstance(job, tuple):
            return retry_batch(desk.table.put_near_names, job, deadline)
        return (
            send(job, desk.queues, deadline)
            if isinstance(job, SendChunk)
            else retry_batch(desk.table.put, job, deadline)
        )

    shelves = [items[start : start + CHUNK_SCHEDULES_MAX] for start in range(0, len(items), CHUNK_SCHEDULES_MAX)]
    jobs: list[SendChunk | list[Schedule | Bundle] | tuple[Row, ...]] = [
        *send_chunks(near, desk.queues.url_of),
        *shelves,
    ]
    jobs += _row_jobs(near)
    for job, outcome in zip(jobs, desk.pool.run(work, jobs) if len(jobs) > 1 else map(work, jobs), strict=True):
        others = isinstance(job, SendChunk) and not desk.queues.are_ours(job.queue_url)
        _note(failures, outcome, closed_for_good=others and occasion.closed_for_good)


def _row_jobs(near: Sequence[Schedule]) -> list[tuple[Row, ...]]:
    """Return jobs that write the index rows of near named schedules. Their timers go to the delivery queue."""
    names = [schedule for schedule in near if schedule.name is not None]
    if not names:
        return []
    from scheduler.placing import near_names  # noqa: PLC0415 - Most callers give no names.

    rows = near_names.rows(map(near_names.entry_of, names))
    return [tuple(rows[start : start + ROWS_MAX]) for start in range(0, len(rows), ROWS_MAX)]


def _note(failures: Failures, outcome: BatchResult[Any], closed_for_good: bool = False) -> None:
    for thing, reason in outcome.rejected:
        failures[thing.id] = InvalidSchedule(f"the queue does not take it: {reason}")
    for thing, reason in outcome.unavailable:
        kind = InvalidSchedule if closed_for_good else NotConfirmed
        failures[thing.id] = kind(f"the queue is gone or closed to us: {reason}")
    for thing in _each_that_waits(outcome):
        failures[thing.id] = NotConfirmed(f"AWS did not confirm it in time ({outcome.last_error}); send it again")


def _each_that_waits(outcome: BatchResult[Any]) -> list[Any]:
    """Return what was not confirmed. A row counts as its entries, because they cannot be listed without it."""
    return [
        each for thing in [*outcome.unconfirmed, *outcome.not_attempted] for each in getattr(thing, "entries", (thing,))
    ]


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
