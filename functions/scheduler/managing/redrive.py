"""Schedule failures again: one, or all that failed in a time range.

A redriven schedule is due now, or at a random time within a spread. It keeps its id, by which a receiver recognizes a
repeat, unless it has a name or is due beyond the reach. The new schedule is written first and its failure is deleted
after that, so a crash in between repeats it.

If the schedule may get a new id, the first call notes that id on the failure before it schedules anything. A repeated
call, or one at the same time, finds that id and uses it too. So nothing is delivered under two ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from scheduler import log
from scheduler.errors import InvalidRequest, NotConfirmed, NotFound, OutOfTime
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch, retry_call
from scheduler.limits import DUE_MS_MAX
from scheduler.managing import failures, paging
from scheduler.managing.dependencies import Failure, Failures, ManageDependencies
from scheduler.managing.failures import FailureRange
from scheduler.managing.request import ManageRequest
from scheduler.model.name_record import request_number_at
from scheduler.model.schedule import Schedule, index_of, is_near, key_of, random_key
from scheduler.placing import naming, placement
from scheduler.placing.naming import NameRequest
from scheduler.timestamps import DAY_MS

STEP_MAX = 100
"""Redriven in one step: the most that a crash can repeat."""
SPREAD_MS_MAX = 30 * DAY_MS


def redrive(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    call = _Redrive(request.duration_ms("spread", 0, SPREAD_MS_MAX, 0), dependencies, deadline)
    if "id" in request.fields:
        others = [field for field in ("from", "to") if field in request.fields]
        if others:
            raise InvalidRequest(f"id and {others[0]} are both given; wanted: one failure, or those of a time")
        return call.one(request)
    if "from" not in request.fields or "to" not in request.fields:
        raise InvalidRequest("id is missing, and so is from or to; wanted: an id, or both of the others")
    return call.all(request)


class _Redrive:
    """One call of the operation."""

    def __init__(self, spread_ms: int, dependencies: ManageDependencies, deadline: Deadline) -> None:
        self._spread_ms, self._dependencies, self._deadline = spread_ms, dependencies, deadline
        self._redriven: set[str] = set()

    def one(self, request: ManageRequest) -> dict[str, Any]:
        """Redrive the latest failure of an id that was found in time, and delete its other failures that were found."""
        schedule_id = request.id() or ""
        found, next_position = self._failures_of(schedule_id, request.fields.get("next"))
        if not found and next_position is not None:
            return _answer(BatchResult(), next_position)
        if not found:
            raise NotFound(f"{schedule_id} is not among the failures that are kept")
        outcome = self._again(found[-1:])
        if outcome.unconfirmed:
            raise NotConfirmed(f"AWS did not confirm it in time ({outcome.last_error}); try again")
        if outcome.rejected:
            raise InvalidRequest(f"{schedule_id} {outcome.rejected[0][1]}")
        if not outcome.confirmed:
            raise NotFound(f"{schedule_id} is not among the failures that are kept any more")
        self._delete(found[:-1])  # The schedule failed more than once.
        return _answer(outcome, None)

    def all(self, request: ManageRequest) -> dict[str, Any]:
        """Redrive step by step until the deadline. Leave failures that cannot be scheduled again, and count them.

        Redrive only failures from before the first call. A new failure would otherwise be redriven again and again. If
        a schedule failed several times, redrive it once, and delete its other failures.
        """
        span, position = request.span(), request.fields.get("next")
        partition, sort, begun_ms = _position(position, "redrive", self._deadline.now_ms())
        total: BatchResult[Failure] = BatchResult()
        begun = looked = False
        for failure_range, page in self._pages(failures.failure_ranges(span, begun_ms, (partition, sort))):
            if looked and self._deadline.passed():
                return _answer(total, _next(failure_range, "redrive", begun_ms))
            looked = True
            outcome = self._each_once(page.failures)
            if outcome.unconfirmed and not (begun or outcome.confirmed):
                raise NotConfirmed(f"AWS did not confirm a single one in time ({outcome.last_error}); try again")
            if outcome.unconfirmed:  # The next call reads this page again, and counts its refusals.
                total.confirmed += outcome.confirmed
                return _answer(total, _next(failure_range, "redrive", begun_ms))
            total.add(outcome)
            begun = begun or bool(page.failures)
        return _answer(total, None)

    def _failures_of(self, schedule_id: str, position: object) -> tuple[list[Failure], str | None]:
        """Return the quarantined item, or else the failures of the id, and where the next call continues."""
        dependencies, deadline = self._dependencies, self._deadline
        partition, sort, begun_ms = _position(position, "redrive one", deadline.now_ms())
        if position is None:  # A later call continues with the pages below, which end with the quarantine.
            with suppress(OutOfTime):
                quarantined = failures.quarantined_item(schedule_id, dependencies, deadline.half())
                if quarantined is not None:
                    return [quarantined], None
        found, rest = failures.of_id(schedule_id, begun_ms, (partition, sort), dependencies, deadline)
        return found, None if rest is None else _next(rest, "redrive one", begun_ms)

    def _pages(self, all_ranges: Iterable[FailureRange]) -> Iterator[tuple[FailureRange, Failures]]:
        filled = failures.filled(all_ranges, self._dependencies, self._deadline)
        return failures.pages(filled, STEP_MAX, self._dependencies, self._deadline)

    def _each_once(self, found: Sequence[Failure]) -> BatchResult[Failure]:
        """Redrive one failure of each schedule, and delete its others. One that has noted a new id comes first.

        A schedule fails several times if a feed stores its expiry as a failure, and then cannot delete the schedule.
        """
        chosen: dict[str, Failure] = {}
        for each in sorted(found, key=lambda failure: failure.again is None):
            if _id_of(each) not in self._redriven:
                chosen.setdefault(_id_of(each), each)
        outcome = self._again(list(chosen.values()))
        self._redriven.update(map(_id_of, outcome.confirmed))
        others = [each for each in found if chosen.get(_id_of(each)) is not each]
        self._delete([each for each in others if _id_of(each) in self._redriven])
        return outcome

    def _again(self, found: Sequence[Failure]) -> BatchResult[Failure]:
        """Schedule the failures in parallel, then delete the confirmed ones."""
        total: BatchResult[Failure] = BatchResult()
        day = self._dependencies.ledger.count(self._deadline, redriven=len(found))
        for outcome in self._dependencies.pool.run(self._one_again, found):
            total.add(outcome)
        not_redriven = len(found) - len(total.confirmed) - len(total.unconfirmed)
        self._dependencies.ledger.take_back(day, redriven=not_redriven)
        self._delete(total.confirmed)
        return total

    def _delete(self, found: Sequence[Failure]) -> None:
        deleted = retry_batch(self._dependencies.table.delete, [each.key for each in found], self._deadline)
        if deleted.unconfirmed:  # They are scheduled again, and the next redrive would repeat them.
            log.outcome("not deleted", failures=len(deleted.unconfirmed), why=deleted.last_error)

    def _one_again(self, failure: Failure) -> BatchResult[Failure]:
        if self._deadline.passed():
            return BatchResult(unconfirmed=[failure], last_error="time is over")
        if failure.schedule is None:
            return BatchResult(rejected=[(failure, "cannot be read, so it cannot be scheduled again")])
        try:
            refusal = self._schedule(failure, failure.schedule)
        except NotConfirmed as reason:
            return BatchResult(unconfirmed=[failure], last_error=str(reason))
        except NotFound:  # Another call has redriven and counted it.
            return BatchResult()
        except InvalidRequest as reason:
            return BatchResult(rejected=[(failure, f"cannot be scheduled again: {reason}")])
        return BatchResult(rejected=[(failure, refusal)]) if refusal else BatchResult(confirmed=[failure])

    def _schedule(self, failure: Failure, old: Schedule) -> str:
        """Schedule a failure again. Return an empty string, or the reason why it is left as it is."""
        dependencies, now_ms = self._dependencies, self._deadline.now_ms()
        key_generator = dependencies.key_generator
        if old.name is not None and failure.failed_ms is None:  # A quarantined timer: its record is read when it wakes.
            self._place(replace(old, due_ms=now_ms))
            return ""
        due_ms = min(DUE_MS_MAX, now_ms + round(self._spread_ms * key_generator.randomness.random()))
        new = replace(old, due_ms=due_ms)
        placement.get_ready(new, now_ms, dependencies, self._deadline)
        if old.name is not None or not is_near(new.due_ms, now_ms, dependencies.reach_ms):
            key = random_key(due_ms, key_generator.partition_count, key_generator.randomness)
            new = replace(new, key=key, index=None)
        if old.name is not None or self._spread_ms or failure.again is not None:
            new = self._as_noted(failure, new)
        if old.name is None:
            self._place(new)
            return ""
        return self._register(failure, new, now_ms)

    def _register(self, failure: Failure, new: Schedule, now_ms: int) -> str:
        """Schedule a failure again under its name. Return as `_schedule` does."""
        dependencies, name_request = self._dependencies, NameRequest(new, request_number_at(now_ms), if_exists="keep")
        named = naming.register(name_request, dependencies.records, self._deadline, dependencies.reach_ms)
        if named.timer is not None:
            self._place(named.timer)
        if named.result != "kept" or named.schedule.id == new.id:
            return ""
        retry_call(lambda: dependencies.manage_table.forget_again(failure.key, new.id), self._deadline)
        return f"has the name {new.name!r}, under which {named.schedule.id} is pending"

    def _place(self, schedule: Schedule) -> None:
        placement.place(schedule, self._dependencies, self._deadline)

    def _as_noted(self, failure: Failure, new: Schedule) -> Schedule:
        """Return the schedule under the id that the first call noted, which may be this one.

        Raise NotFound if the failure is gone.
        """
        manage_table = self._dependencies.manage_table
        again = retry_call(lambda: manage_table.note_again(failure.key, new.id), self._deadline)
        if again is None:
            raise NotFound("the failure is gone")
        if again == new.id:
            return new
        key = key_of(again)
        return replace(new, key=key, index=index_of(again), due_ms=max(key.due_ms, self._deadline.now_ms()))


def _id_of(failure: Failure) -> str:
    """Return the id of the failed schedule. A failure that cannot be read stands for itself."""
    return failure.schedule.id if failure.schedule is not None else " ".join(failure.key)


def _answer(total: BatchResult[Failure], next_position: str | None) -> dict[str, Any]:
    return {"redriven": len(total.confirmed), "left": len(total.rejected), "next": next_position}


def _next(failure_range: FailureRange, kind: str, begun_ms: int) -> str:
    return paging.encode(kind, failure_range.partition, failure_range.from_sort, begun_ms)


def _position(value: object, kind: str, now_ms: int) -> tuple[str, str, int]:
    partition, sort, begun_ms = paging.decode(value, kind, str, str, int) or ("", "", now_ms)
    if value is not None and not (paging.is_sort(sort) and paging.is_moment(begun_ms)):
        raise paging.refused(value)
    return partition, sort, begun_ms
