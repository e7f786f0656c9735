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
from scheduler.managing.listing import by_prefix, near_note
from scheduler.managing.listing.by_key import Crowd
from scheduler.managing.listing.by_time import Reader, Window
from scheduler.managing.listing.entries import Entry, Place
from scheduler.managing.lookup import characters_max, shown_listed
from scheduler.managing.paging import bytes_in_list, fitting
from scheduler.managing.request import END_MS, ManageRequest
from scheduler.model.bundle import SPAN_MS_MAX
from scheduler.model.schedule import sort_from

LIMIT_DEFAULT, LIMIT_MAX = 100, 1_000
STRETCH_MS = 120_000
"""The least time range that is read in key order: twice the span of a bundle."""

BY_TIME, BY_TIME_FROM, BY_KEY = "list", "list from", "list by key"
"""The kinds of positions. The second also has a key: everything before that key was returned."""


def list_(request: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    if request.prefix() is not None:
        return by_prefix.list_(request, office, deadline)
    value = request.fields.get("next")
    answer = _page(value, request, office, deadline)
    return answer | near_note.about(request.span()[0], office, deadline)


def _page(value: object, request: ManageRequest, office: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    if paging.is_of(BY_KEY, value):
        return _page_by_key(_crowd(value), request, office, deadline)
    (from_ms, to_ms), limit = request.span(), request.limit(LIMIT_DEFAULT, LIMIT_MAX)
    place, floor = _place(value)
    # One entry more than asked for shows whether there is a next page.
    window = Window(max((from_ms, "", "", -1), place), to_ms, limit + 1, floor, characters_max(request))
    reader = Reader(window, office, deadline.half())
    try:
        found = reader.entries()
    except (OutOfTime, NotConfirmed):  # The time that is left may be enough for a page in key order.
        from scheduler.managing.listing import by_key  # noqa: PLC0415 - Rarely needed.

        end_ms = to_ms + SPAN_MS_MAX if reader.reached is None else int(reader.reached[:DUE_DIGITS]) + STRETCH_MS
        crowd = by_key.begin(window.after, window.from_sort, end_ms, office, deadline)
        return _page_by_key(crowd, request, office, deadline)
    facts, count = _facts(found[:limit], request, office, deadline)
    last = found[count - 1].place if len(found) > count else None
    return {"schedules": facts, "next": _written(last, floor) if last else None}


def _page_by_key(
    crowd: Crowd, request: ManageRequest, office: ManageDependencies, deadline: Deadline
) -> dict[str, Any]:
    from scheduler.managing.listing import by_key  # noqa: PLC0415 - As above.

    to_ms, limit = request.span()[1], request.limit(LIMIT_DEFAULT, LIMIT_MAX)
    crowd.end_ms = min(crowd.end_ms, to_ms + SPAN_MS_MAX)
    now_ms = deadline.now_ms()

    def bytes_of(entry: Entry) -> int:
        return bytes_in_list(_fact(entry, request, now_ms, office))

    place: str | None = None
    found = by_key.Reader(
        crowd, to_ms, limit, bytes_of, office, deadline, characters_max=characters_max(request)
    ).entries()
    if crowd.positions:
        place = paging.written(BY_KEY, *crowd.after, crowd.from_ms, crowd.end_ms, crowd.positions)
    elif crowd.end_ms < to_ms + SPAN_MS_MAX:
        place = _written(crowd.after, sort_from(crowd.end_ms))
    return {"schedules": [_fact(each, request, now_ms, office) for each in found], "next": place}


def _facts(
    found: list[Entry], request: ManageRequest, office: ManageDependencies, deadline: Deadline
) -> tuple[list[dict[str, Any]], int]:
    """Return the facts that callers see, as many as an answer holds, and how many these are."""
    now_ms = deadline.now_ms()
    facts = [_fact(each, request, now_ms, office) for each in found]
    count = fitting(facts)
    return facts[:count], count


def _fact(entry: Entry, request: ManageRequest, now_ms: int, office: ManageDependencies) -> dict[str, Any]:
    return shown_listed(entry.schedule, entry.record, request, now_ms, office.reach_ms)


def _written(place: Place, floor: str) -> str:
    """Return the position. The floor is left out once the due time has reached it, because it has no effect then."""
    if floor and place[0] < int(floor):
        return paging.written(BY_TIME_FROM, *place, floor)
    return paging.written(BY_TIME, *place)


def _place(value: object) -> tuple[Place, str]:
    """Return the place to continue after, and the key before which everything was returned."""
    floor = ""
    if paging.is_of(BY_TIME_FROM, value):
        *place, floor = paging.read(value, BY_TIME_FROM, int, str, str, int, str) or []
        if not paging.is_sort(floor) or len(floor) != DUE_DIGITS or not paging.is_moment(place[0]):
            raise paging.refused(value)
        return _checked(value, *place), floor
    found = paging.read(value, BY_TIME, int, str, str, int)
    return (_checked(value, *found) if found is not None else (0, "", "", -1)), floor


def _checked(value: object, due_ms: int, sort: str, partition: str, index: int) -> Place:
    """Check a place. The beginning of a moment, where a listing starts, is a place that no schedule has."""
    is_beginning = (sort, partition, index) == ("", "", -1) and not paging.is_of(BY_TIME, value)
    is_place = paging.is_sort(sort) and paging.is_partition(partition)
    if not (paging.is_moment(due_ms) and (is_beginning or is_place)):
        raise paging.refused(value)
    return due_ms, sort, partition, index


def _crowd(value: object) -> Crowd:
    found = paging.read(value, BY_KEY, int, str, str, int, int, int, dict)
    if found is None:
        raise paging.refused(value)
    *place, from_ms, end_ms, positions = found
    sound = 0 <= from_ms <= end_ms <= END_MS + SPAN_MS_MAX and bool(positions)
    if not sound or not all(_is_position(*each) for each in positions.items()):
        raise paging.refused(value)
    known = {partition: (sort, index) for partition, (sort, index) in positions.items()}
    return Crowd(_checked(value, *place), from_ms, end_ms, known)


def _is_position(partition: str, position: object) -> bool:
    if not isinstance(position, list) or [type(part) for part in position] != [str, int]:
        return False
    return paging.is_sort(position[0]) and (paging.is_partition(partition) or paging.is_near_partition(partition))
