"""The entries that a listing returns, each with its place in the order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from scheduler.errors import OutOfTime
from scheduler.execution.deadline import Deadline
from scheduler.managing.dependencies import BATCH_WHOLE_MAX, ManageDependencies
from scheduler.model.bundle import Bundle, Unpackable
from scheduler.model.name_record import Record
from scheduler.model.schedule import Schedule
from scheduler.value_class import value_class

ENTRY_LATE_MS = 60_000
"""How long a near name is listed after its due time. A schedule that is later than this is found by its name."""
TIMER_CLOCKS_MS = 60_000
"""How far the clock that wrote a row of the index may be ahead of ours."""

OrderKey = tuple[int, str, str, int]
"""The sort order: due time, sort key of the item, partition, index in the bundle."""


@value_class
class Entry:
    order_key: OrderKey
    schedule: Schedule
    record: Record | None = None


def entry(schedule: Schedule, characters_max: int) -> Entry:
    """Return the entry of a schedule. A named schedule keeps its place when its timer moves from table to queue.

    The data is cut here, so that memory never holds more of it than the answer shows.
    """
    schedule.data = schedule.data[:characters_max]
    index = -1 if schedule.index is None else schedule.index
    return Entry((schedule.due_ms, schedule.key.sort, schedule.key.partition, index), schedule)


def members(bundle: Bundle, characters_max: int) -> list[Entry]:
    try:
        return [entry(each, characters_max) for each in bundle.members()]
    except Unpackable:  # The feed quarantines it.
        return []


def awake(
    entries: Sequence[Entry], characters_max: int, dependencies: ManageDependencies, deadline: Deadline
) -> Iterator[Entry]:
    """Yield the entries, but timers only if their record waits for them, and with that record.

    Raise OutOfTime if time runs out between two reads.
    """
    for start in range(0, len(entries), BATCH_WHOLE_MAX):
        if start and deadline.passed():
            raise OutOfTime
        step = entries[start : start + BATCH_WHOLE_MAX]
        names = [each.schedule.name for each in step if each.schedule.name is not None]
        records = dependencies.current_records(names, True, deadline) if names else {}
        for each in step:
            if each.schedule.name is None:
                yield each
                continue
            record = records.get(each.schedule.name)
            if record is not None and waits_for(record, each.schedule.id, each.schedule.due_ms):
                record.schedule.data = record.schedule.data[:characters_max]
                yield replace(each, schedule=record.schedule, record=record)


def waits_for(record: Record, timer_id: str, due_ms: int) -> bool:
    """Return whether the schedule of this record is pending, and its next timer is this one."""
    return record.pending and (record.id, record.wakes_ms) == (timer_id, due_ms)


def near_span(from_ms: int, to_ms: int, now_ms: int, reach_ms: int) -> tuple[int, int]:
    """Return the part of a time range that may hold near names. It is empty if its end is not after its start."""
    return max(from_ms, now_ms - ENTRY_LATE_MS), min(to_ms, now_ms + reach_ms + TIMER_CLOCKS_MS)
