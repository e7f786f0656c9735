"""List pending schedules whose names start with a prefix, by their records, in order of time.

Records are stored by name, so each page reads all records with the prefix, without their data. Then it reads the data
of the records to return. One call reads a limited number of records; beyond that the caller has to use a longer prefix.

If time runs out before all records are read, this page and the later ones come in storage order: partition by
partition, and by name in each. A page in storage order reads no more than it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.errors import InvalidRequest, NotConfirmed, OutOfTime
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import ANSWER_BYTES_MAX
from scheduler.managing import lookup, paging
from scheduler.managing.dependencies import BATCH_WHOLE_MAX, ManageDependencies
from scheduler.managing.paging import count_fitting
from scheduler.managing.request import ManageRequest
from scheduler.model.name_record import FIRST_NAME, NAME_PARTITIONS, Record, RecordPage

LIMIT_DEFAULT, LIMIT_MAX = 100, 1_000
LOOKED_AT_MAX = 100_000
"""Records read by one call: about thirty pages and as many megabytes to pay for."""

BY_NAME = "names by name"
"""The kind of position for a page that is not in order of time."""

OrderKey = tuple[int, str]
"""The sort order: due time and name."""


@dataclass(slots=True)
class PartitionCursor:
    """A partition of records, and the name after which it is read next."""

    partition: str
    from_sort: str
    ended: bool = False


def first_sort(prefix: str) -> str:
    """Return the sort key before every name with the prefix. DynamoDB accepts no empty bound."""
    return prefix or FIRST_NAME


def list_(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    value = request.fields.get("next")
    if paging.is_of(BY_NAME, value):
        return _page_by_name(request, *_decoded_by_name(value, request.prefix() or ""), dependencies, deadline)
    after = _decoded(value) or (request.span()[0], "")
    try:
        return _page_by_time(request, after, dependencies, deadline)
    except (OutOfTime, NotConfirmed):  # The time that is left may be enough for a page by name.
        return _page_by_name(request, after, 0, first_sort(request.prefix() or ""), dependencies, deadline)


def _page_by_time(
    request: ManageRequest, after: OrderKey, dependencies: ManageDependencies, deadline: Deadline
) -> dict[str, Any]:
    (from_ms, to_ms), limit = request.span(), request.limit(LIMIT_DEFAULT, LIMIT_MAX)
    span = max(from_ms, after[0]), to_ms
    candidates = _first(request.prefix() or "", after, span, limit + 1, dependencies, deadline.half())
    facts, count = _facts(candidates[:limit], request, dependencies, deadline)
    last = candidates[count - 1] if count < len(candidates) else None
    return {"schedules": facts, "next": paging.encode("names", *_order_key_of(last)) if last else None}


def _page_by_name(
    request: ManageRequest,
    after: OrderKey,
    number: int,
    sort: str,
    dependencies: ManageDependencies,
    deadline: Deadline,
) -> dict[str, Any]:
    """Return the records after a name of a partition, except those already returned in order of time."""
    (from_ms, to_ms), limit = request.span(), request.limit(LIMIT_DEFAULT, LIMIT_MAX)
    prefix, span = request.prefix() or "", (max(from_ms, after[0]), to_ms)
    found: list[tuple[int, Record]] = []
    begun = False
    while number < len(NAME_PARTITIONS) and len(found) < limit and not (begun and deadline.passed()):
        start = NAME_PARTITIONS[number], sort
        names = retry_call(lambda: dependencies.records.page(*start, prefix, *span), deadline)  # noqa: B023 - Called at once.
        found += [(number, each) for each in names.records if _order_key_of(each) > after]
        number, sort = (number, names.next_sort) if names.next_sort is not None else (number + 1, first_sort(prefix))
        begun = True
    facts, count = _facts([each for _, each in found[:limit]], request, dependencies, deadline)
    if count < len(found):
        number, sort = found[count - 1][0], found[count - 1][1].name + FIRST_NAME
    more = number < len(NAME_PARTITIONS)
    return {"schedules": facts, "next": paging.encode(BY_NAME, *after, number, sort) if more else None}


def _facts(
    candidates: Sequence[Record], request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline
) -> tuple[list[dict[str, Any]], int]:
    """Return the facts that callers see, and how many outlines were used for them: as many as time and size allow.

    Read the records in steps, so that memory never holds the data of a whole page. The first step is always read.
    """
    now_ms, scanned, characters = deadline.now_ms(), 0, 0
    facts: list[dict[str, Any]] = []
    places: list[int] = []
    for start in range(0, len(candidates), BATCH_WHOLE_MAX):
        if start and (deadline.passed() or characters > ANSWER_BYTES_MAX):
            break
        step = candidates[start : start + BATCH_WHOLE_MAX]
        records = dependencies.current_records([each.name for each in step], True, deadline)
        for each in step:
            record = records.get(each.name)
            if record is not None and _unchanged(record, each):
                fact = lookup.shown_listed(record.schedule, record, request, now_ms, dependencies.reach_ms)
                facts.append(fact)
                places.append(scanned)
                characters += len(fact["data"] or "")
            scanned += 1
    count = count_fitting(facts)
    return facts[:count], scanned if count == len(facts) else places[count]


def _decoded(value: object) -> OrderKey | None:
    decoded = paging.decode(value, "names", int, str)
    if decoded is None:
        return None
    due_ms, name = decoded
    if not paging.is_moment(due_ms):
        raise paging.refused(value)
    return due_ms, name


def _decoded_by_name(value: object, prefix: str) -> tuple[OrderKey, int, str]:
    decoded = paging.decode(value, BY_NAME, int, str, int, str)
    if decoded is None:
        raise paging.refused(value)
    due_ms, name, number, sort = decoded
    sound = paging.is_moment(due_ms) and 0 <= number < len(NAME_PARTITIONS) and paging.is_name_position(sort)
    if not sound or not sort.startswith(prefix):
        raise paging.refused(value)
    return (due_ms, name), number, sort


def _order_key_of(record: Record) -> OrderKey:
    return record.schedule.due_ms, record.name


def _unchanged(record: Record, candidate: Record) -> bool:
    """Return whether the record is still in its place. A schedule that was moved meanwhile has another place."""
    return record.pending and _order_key_of(record) == _order_key_of(candidate)


def _first(
    prefix: str,
    after: OrderKey,
    span: tuple[int, int],
    count: int,
    dependencies: ManageDependencies,
    deadline: Deadline,
) -> list[Record]:
    """Return the first records after the place, at most `count`, without their data."""
    if span[0] >= span[1]:
        return []

    def page(cursor: PartitionCursor) -> RecordPage:
        if deadline.passed():
            raise OutOfTime
        names = retry_call(
            lambda: dependencies.records.page(cursor.partition, cursor.from_sort, prefix, *span), deadline
        )
        cursor.from_sort, cursor.ended = names.next_sort or "", names.next_sort is None
        return names

    cursors, known, scanned = [PartitionCursor(each, first_sort(prefix)) for each in NAME_PARTITIONS], [], 0
    while behind := [each for each in cursors if not each.ended]:
        if scanned > LOOKED_AT_MAX:
            raise InvalidRequest(
                f"prefix is {prefix!r}, and more names begin so than one call can look at ({LOOKED_AT_MAX}); "
                "wanted: a longer prefix, or a list without one"
            )
        for names in dependencies.pool.run(page, behind):
            scanned += names.scanned
            known += [each for each in names.records if _order_key_of(each) > after]
        known = sorted(known, key=_order_key_of)[:count]
    return known
