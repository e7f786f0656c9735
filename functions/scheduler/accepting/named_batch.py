"""Register the named schedules of a batch: write their records, those of one name in batch order, and set their timers.

A batch is registered in slices: write the records of a slice, set its timers, remove the timers of replaced schedules,
then begin the next slice. The function reserves time for the timers, and begins no slice without enough time for one.
So a batch that is too large for one call leaves records that all have their timers. A repeat under its token continues
where the last call ended.

A slice begins only if every record of the earlier slices has its timer. Each record of a later slice says so: `timed`
is the number of batch indexes that are finished. So a repeat that finds its own record in the next slice need not set
the timers of this slice again. Only the last slice that any call began may lack timers. The mark counts only for
records with the same request time, because another call wrote the others.

Slices follow the indexes of the batch as it was sent, so they are the same when a part of it comes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.execution.deadline import Deadline
from scheduler.model.name_record import REQUEST_NUMBERS_PER_MS, Record, request_number_at
from scheduler.model.schedule import Request, Timer
from scheduler.placing import naming
from scheduler.placing.naming import NameRequest, NameResult
from scheduler.value_class import value_class

if TYPE_CHECKING:
    from scheduler.accepting.keyed_batch import Failures, KeyedBatch, RequestContext, SchedulingDependencies

SLICE_INDEXES = 200
"""Few enough that a slice takes seconds on a slow processor, and enough to make its calls concurrently."""
TIMERS_S = 3
"""The time reserved for the timers of a slice, but at most a quarter of the remaining time."""
READ_NAMES_MAX = 100
"""Amazon DynamoDB, "quotas": keys in one BatchGetItem."""
PROBED_NAMES_MIN = 50
"""With more names than this, the first is written alone, as a probe.

If its record exists already, the batch is a repeat, and the other records are read before they are written. A
conditional write that fails takes as long as one that succeeds.
"""
NOT_REACHED = "time is over; send it again"

Group = list[NameResult]


@value_class
class Slice:
    """Indexes of named schedules that are registered together."""

    start: int
    """All names whose first index is lower are in earlier slices."""
    indexes: list[int]

    @property
    def end(self) -> int:
        return self.start + SLICE_INDEXES


def slices(requests: Mapping[int, Request], indexes: Iterable[int]) -> list[Slice]:
    """Cut these indexes, which have names, into slices. All indexes of a name are in the slice of its first one."""
    first: dict[str | None, int] = {}
    for index in sorted(requests):
        first.setdefault(requests[index].name, index)
    found: dict[int, Slice] = {}
    for index in sorted(indexes):
        start = first[requests[index].name] // SLICE_INDEXES * SLICE_INDEXES
        found.setdefault(start, Slice(start, [])).indexes.append(index)
    return [found[start] for start in sorted(found)]


@dataclass
class Registrar:
    """Registers the named schedules of a batch, slice by slice."""

    keyed: KeyedBatch
    requests: Mapping[int, Request]
    failures: Failures
    context: RequestContext
    dependencies: SchedulingDependencies
    deadline: Deadline
    put: Callable[[Sequence[Timer]], None]
    """Sets the timers of a slice, and adds those that were not confirmed to `failures`."""
    _own_ids: frozenset[str] = frozenset()
    """The ids that this batch requests. A record with one of them was written for this batch."""
    _has_written: bool = False

    def take_in(self, all_slices: Sequence[Slice]) -> None:
        """Register the slices. Deny every index of a slice that does not begin. The first slice always begins."""
        indexes = [index for each in all_slices for index in each.indexes]
        self._own_ids = frozenset(self.keyed.schedules[index].id for index in indexes)
        read: dict[str, Record] = {}
        longest_s, stopped = 0.0, False
        for number, each in enumerate(all_slices):
            # Until this call has written a record it tries even with little time, or a repeat might never get further.
            if stopped or (number and self.deadline.passed(longest_s if self._has_written else 0)):
                self._deny(each)
                continue
            began_s = self.deadline.clock()
            read = self._take_in_one(each, read, all_slices[number + 1 : number + 2], number == 0)
            longest_s = max(longest_s, self.deadline.clock() - began_s)
            stopped = any(self._lacks_something(index) for index in each.indexes)

    def _take_in_one(
        self, each: Slice, read: Mapping[str, Record], following: Sequence[Slice], is_first: bool
    ) -> dict[str, Record]:
        """Register one slice. If the batch found own records in it, return its own records in the next slice."""
        self._register(each, read, is_first)
        groups = _by_name(self.keyed, each.indexes)
        met = [self._is_met(named) for group in groups for named in group]
        self._has_written = self._has_written or not all(met)
        ahead = self._current(following[0]) if any(met) and following else {}
        timed_at_ms = {_requested_ms(record.request_number) for record in ahead.values() if record.timed >= each.end}
        lacking = [
            [named for named in group if not (self._is_met(named) and _timer_requested_ms(named) in timed_at_ms)]
            for group in groups
        ]
        current_ids = [group[-1].schedule.id for group in groups]
        self.put(_timers(zip(current_ids, lacking, strict=True)))
        fail_together(groups, self.failures)
        remove_old_timers(groups, self.failures, self.dependencies, self.deadline)
        return ahead

    def _register(self, each: Slice, read: Mapping[str, Record], is_first: bool) -> None:
        """Write the records, those of one name in batch order, and note the current schedules."""
        deadline = _less_time_for_timers(self.deadline)
        groups = self._indexes_by_name(each)
        if is_first and len(groups) > PROBED_NAMES_MIN:
            self._write(groups[0], each.start, {}, deadline, always=True)
            probed = [self.keyed.named[index] for index in groups[0] if index in self.keyed.named]
            read = self._current(each) if any(map(self._is_met, probed)) else {}
            groups, is_first = groups[1:], False
        if len(groups) > 1:
            jobs = list(enumerate(groups))
            self.dependencies.pool.run(
                lambda job: self._write(job[1], each.start, read, deadline, is_first and not job[0]), jobs
            )
        elif groups:
            self._write(groups[0], each.start, read, deadline, is_first)

    def _indexes_by_name(self, each: Slice) -> list[list[int]]:
        indexes_of: dict[str | None, list[int]] = {}
        for index in each.indexes:
            if self.keyed.schedules[index].id not in self.failures:
                indexes_of.setdefault(self.requests[index].name, []).append(index)
        return list(indexes_of.values())

    def _write(
        self, indexes: list[int], timed: int, read: Mapping[str, Record], deadline: Deadline, always: bool
    ) -> None:
        """Write the records of one name. `always` writes the first of them even if time is over."""
        for number, index in enumerate(indexes):
            try:
                if deadline.passed() and not (always and number == 0):
                    raise NotConfirmed(NOT_REACHED, begun=False)
                known = read.get(self.requests[index].name or "") if len(indexes) == 1 else None
                self.keyed.named[index] = self._written(index, timed, known, deadline)
            except (InvalidSchedule, NotConfirmed) as failure:
                self.keyed.rejected[index] = failure
            else:
                self.keyed.schedules[index] = self.keyed.named[index].schedule

    def _written(self, index: int, timed: int, known: Record | None, deadline: Deadline) -> NameResult:
        """Write the record for this index, unless it is known to exist already."""
        schedule, reach_ms = self.keyed.schedules[index], self.dependencies.reach_ms
        if known is not None and known.id == schedule.id:
            second = naming.backup_timer(known, deadline.now_ms(), reach_ms) if known.pending else None
            return NameResult(known.schedule, "" if known.pending else known.state, "kept", second)
        request_number, repeats = (
            request_number_at(self.context.counted_from_ms, index),
            self.context.sent_ms is not None,
        )
        name_request = NameRequest(schedule, request_number, self.requests[index].if_exists, repeats, timed)
        return naming.register(name_request, self.dependencies.records(), deadline, reach_ms)

    def _current(self, each: Slice) -> dict[str, Record]:
        """Return the records of this slice that this batch wrote before. A record that cannot be read is left out."""
        ids = {self.requests[index].name or "": self.keyed.schedules[index].id for index in each.indexes}
        names: list[str] = list(ids)
        found: dict[str, Record] = {}
        for start in range(0, len(names), READ_NAMES_MAX):
            if self.deadline.passed():
                break
            with suppress(NotConfirmed):
                found |= self.dependencies.records().batch(names[start : start + READ_NAMES_MAX], False)[0]
        return {name: record for name, record in found.items() if record.id == ids[name]}

    def _is_met(self, named: NameResult) -> bool:
        """Return whether this batch's own record existed already, so that nothing was written."""
        return named.result in ("kept", naming.OLDER) and named.schedule.id in self._own_ids

    def _lacks_something(self, index: int) -> bool:
        """Return whether this index may have a record without a timer, or a write without an answer."""
        if isinstance(self.keyed.rejected.get(index), NotConfirmed):
            return True
        return index in self.keyed.named and self.keyed.schedules[index].id in self.failures

    def _deny(self, each: Slice) -> None:
        for index in each.indexes:
            if self.keyed.schedules[index].id not in self.failures:
                self.keyed.rejected[index] = NotConfirmed(NOT_REACHED, begun=False)


def _less_time_for_timers(deadline: Deadline) -> Deadline:
    left_s = max(0.0, deadline.deadline_s - deadline.clock())
    return replace(deadline, deadline_s=deadline.deadline_s - min(TIMERS_S, left_s / 4))


def _timer_requested_ms(named: NameResult) -> int | None:
    return None if named.timer is None else _requested_ms(named.timer.request_number)


def _requested_ms(request_number: int) -> int:
    return request_number // REQUEST_NUMBERS_PER_MS


def _by_name(keyed: KeyedBatch, indexes: Sequence[int]) -> list[Group]:
    """Return the results for each name, in batch order. The last result holds the current schedule."""
    groups: dict[str | None, Group] = {}
    for index in indexes:
        if index in keyed.named:
            groups.setdefault(keyed.named[index].schedule.name, []).append(keyed.named[index])
    return list(groups.values())


def _timers(groups: Iterable[tuple[str, Group]]) -> list[Timer]:
    """Return one timer for each name: the earliest of the timers for its current schedule.

    A backup timer, which a kept member has, would be late. Under a token, an earlier call may have written the current
    schedule, so several results can have a timer for it.
    """
    found: list[Timer] = []
    for current_id, group in groups:
        own = [each.timer for each in group if each.schedule.id == current_id and each.timer is not None]
        found += sorted(own, key=lambda timer: (timer.due_ms, -timer.request_number))[:1]
    return found


def fail_together(groups: Sequence[Group], failures: Failures) -> None:
    """Fail all members of a name if the timer of the last one could not be set.

    Only the last member of a name has a timer. If it fails, the replaced schedule keeps its timer. That wakes the name.
    """
    for group in groups:
        failure = failures.get(group[-1].schedule.id)
        if failure is not None:
            failures.update({each.schedule.id: failure for each in group})


def remove_old_timers(
    groups: Sequence[Group], failures: Failures, dependencies: SchedulingDependencies, deadline: Deadline
) -> None:
    """Remove the timers of replaced schedules, once the new ones have theirs.

    A later member of the batch may have made a replaced schedule current again. Its timer stays.
    """
    current = {group[-1].schedule.id for group in groups}

    def remove(timer: Timer) -> None:
        if not deadline.passed():
            naming.remove(timer, dependencies.table)

    replaced = [each for group in groups for each in group if each.schedule.id not in failures]
    olds = [each.superseded_timer for each in replaced if each.superseded_timer is not None]
    old_timers = [timer for timer in olds if timer.id not in current]
    if len(old_timers) > 1:
        dependencies.pool.run(remove, old_timers)
    elif old_timers:
        remove(old_timers[0])
