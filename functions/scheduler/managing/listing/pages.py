"""List pending schedules, in order of time across all partitions, page by page.

The position of a page is the last schedule returned: its due time, the sort key of its item, its partition and its
index in its bundle. None of these changes while the item is in the table. So a schedule that stays in the table is
never left out or shown twice, whatever other calls write between two pages.

If a page in order of time would take too long, it is read in key order instead, for a range of keys. After that range
the listing tries the order of time again. Each page is sorted by time, and takes no longer than the function has.
"""

from __future__ import annotations

from typing import Any

from scheduler.errors import NotConfirmed, OutOfTime
from scheduler.execution.deadline import Deadline
from scheduler.limits import DUE_DIGITS
from scheduler.managing import paging
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.listing import by_key, by_prefix, near_note
from scheduler.managing.listing.by_key import KeyOrderPosition
from scheduler.managing.listing.by_time import Reader, Window
from scheduler.managing.listing.entries import Entry, OrderKey
from scheduler.managing.lookup import characters_max, shown_listed
from scheduler.managing.paging import bytes_in_list, count_fitting
from scheduler.managing.request import END_MS, ManageRequest
from scheduler.model.bundle import SPAN_MS_MAX
from scheduler.model.schedule import sort_from

LIMIT_DEFAULT, LIMIT_MAX = 100, 1_000
KEY_RANGE_MS = 120_000
"""The least time range that is read in key order: twice the span of a bundle."""

BY_TIME, BY_TIME_FROM, BY_KEY, BY_KEY_OLDER = "list", "list from", "list by keys", "list by key"
"""The kinds of positions. The second also has a key: everything before that key was returned.

An earlier version wrote the last, which has a place for each partition.
"""


def list_(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    request.truth("full")  # A list that finds nothing refuses a wrong value, too.
    if request.prefix() is not None:
        return by_prefix.list_(request, dependencies, deadline)
    value = request.fields.get("next")
    answer = _page(value, request, dependencies, deadline)
    return answer | near_note.about(request.span()[0], dependencies, deadline)


def _page(
    value: object, request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline
) -> dict[str, Any]:
    if paging.is_of(BY_KEY, value) or paging.is_of(BY_KEY_OLDER, value):
        return _page_by_key(_key_position(value), request, dependencies, deadline)
    (from_ms, to_ms), limit = request.span(), request.limit(LIMIT_DEFAULT, LIMIT_MAX)
    order_key, floor = _decoded(value)
    # One entry more than asked for shows whether there is a next page.
    window = Window(max((from_ms, "", "", -1), order_key), to_ms, limit + 1, floor, characters_max(request))
    reader = Reader(window, dependencies, deadline.half())
    try:
        found = reader.entries()
    except (OutOfTime, NotConfirmed):  # The time that is left may be enough for a page in key order.
        end_ms = to_ms + SPAN_MS_MAX if reader.reached is None else int(reader.reached[:DUE_DIGITS]) + KEY_RANGE_MS
        key_position = by_key.begin(window.after, window.from_sort, end_ms, dependencies, deadline)
        return _page_by_key(key_position, request, dependencies, deadline)
    facts, count = _facts(found[:limit], request, dependencies, deadline)
    last = found[count - 1].order_key if len(found) > count else None
    return {"schedules": facts, "next": _written(last, floor) if last else None}


def _page_by_key(
    key_position: KeyOrderPosition, request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline
) -> dict[str, Any]:
    to_ms, limit = request.span()[1], request.limit(LIMIT_DEFAULT, LIMIT_MAX)
    key_position.end_ms = min(key_position.end_ms, to_ms + SPAN_MS_MAX)
    now_ms = deadline.now_ms()

    def bytes_of(entry: Entry) -> int:
        return bytes_in_list(_fact(entry, request, now_ms, dependencies))

    next_token: str | None = None
    found = by_key.Reader(
        key_position, to_ms, limit, bytes_of, dependencies, deadline, characters_max=characters_max(request)
    ).entries()
    if key_position.positions:
        next_token = paging.encode(
            BY_KEY,
            *key_position.after,
            key_position.from_ms,
            key_position.end_ms,
            paging.grouped(key_position.positions),
        )
    elif key_position.end_ms < to_ms + SPAN_MS_MAX:
        next_token = _written(key_position.after, sort_from(key_position.end_ms))
    return {"schedules": [_fact(each, request, now_ms, dependencies) for each in found], "next": next_token}


def _facts(
    found: list[Entry], request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline
) -> tuple[list[dict[str, Any]], int]:
    """Return the facts that callers see, as many as an answer holds, and how many these are."""
    now_ms = deadline.now_ms()
    facts = [_fact(each, request, now_ms, dependencies) for each in found]
    count = count_fitting(facts)
    return facts[:count], count


def _fact(entry: Entry, request: ManageRequest, now_ms: int, dependencies: ManageDependencies) -> dict[str, Any]:
    return shown_listed(entry.schedule, entry.record, request, now_ms, dependencies.reach_ms)


def _written(order_key: OrderKey, floor: str) -> str:
    """Return the position. The floor is left out once the due time has reached it, because it has no effect then."""
    if floor and order_key[0] < int(floor):
        return paging.encode(BY_TIME_FROM, *order_key, floor)
    return paging.encode(BY_TIME, *order_key)


def _decoded(value: object) -> tuple[OrderKey, str]:
    """Return the place to continue after, and the key before which everything was returned."""
    floor = ""
    if paging.is_of(BY_TIME_FROM, value):
        *order_key, floor = paging.decode(value, BY_TIME_FROM, int, str, str, int, str) or []
        if not paging.is_sort(floor) or len(floor) != DUE_DIGITS or not paging.is_moment(order_key[0]):
            raise paging.refused(value)
        return _checked(value, *order_key), floor
    found = paging.decode(value, BY_TIME, int, str, str, int)
    return (_checked(value, *found) if found is not None else (0, "", "", -1)), floor


def _checked(value: object, due_ms: int, sort: str, partition: str, index: int) -> OrderKey:
    """Check a place. The beginning of a moment, where a listing starts, is a place that no schedule has."""
    is_beginning = (sort, partition, index) == ("", "", -1) and not paging.is_of(BY_TIME, value)
    is_order_key = paging.is_sort(sort) and paging.is_partition(partition)
    if not (paging.is_moment(due_ms) and (is_beginning or is_order_key)):
        raise paging.refused(value)
    return due_ms, sort, partition, index


def _key_position(value: object) -> KeyOrderPosition:
    types = int, str, str, int, int, int
    if paging.is_of(BY_KEY, value):
        *order_key, from_ms, end_ms, groups = paging.decode(value, BY_KEY, *types, list) or []
        try:
            positions = paging.ungrouped(groups)
        except ValueError:
            raise paging.refused(value) from None
    else:
        *order_key, from_ms, end_ms, positions = paging.decode(value, BY_KEY_OLDER, *types, dict) or []
    sound = 0 <= from_ms <= end_ms <= END_MS + SPAN_MS_MAX and bool(positions)
    if not sound or not all(_is_position(*each) for each in positions.items()):
        raise paging.refused(value)
    known = {partition: (sort, index) for partition, (sort, index) in positions.items()}
    return KeyOrderPosition(_checked(value, *order_key), from_ms, end_ms, known)


def _is_position(partition: str, position: object) -> bool:
    if not isinstance(position, list) or [type(part) for part in position] != [str, int]:
        return False
    return paging.is_position(partition, position[0])
