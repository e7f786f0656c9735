"""List the pending ones whose names begin alike, by their records, in order of time.

Records lie by their names, so for each page all with the prefix are looked at, without their data; of those to hand
out the rest is read then. What one call looks at is bounded, and beyond that a longer prefix is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scheduler import cursor, looking
from scheduler.errors import InvalidRequest
from scheduler.fullness import fitting
from scheduler.inquiry import Inquiry
from scheduler.office import Office
from scheduler.patience import Patience, ask
from scheduler.record import BEFORE, PARTITIONS, Names, Record

LIMIT_DEFAULT, LIMIT_MAX = 100, 1_000
LOOKED_AT_MAX = 100_000
"""Records of one call: some thirty pages of DynamoDB's, and as many megabytes to pay for."""

Place = tuple[int, str]
"""Moment and name: what the order goes by."""


@dataclass(slots=True)
class Shelf:
    """A partition of records, and behind which name it is to be read."""

    partition: str
    from_sort: str
    ended: bool = False


def first_sort(prefix: str) -> str:
    """Before every name with the prefix; DynamoDB takes no empty bound."""
    return prefix or BEFORE


def list_(inquiry: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    (from_ms, to_ms), limit = inquiry.span(), inquiry.limit(LIMIT_DEFAULT, LIMIT_MAX)
    after = _place(inquiry.fields.get("next")) or (from_ms, "")
    outlines = _first(inquiry.prefix() or "", after, (max(from_ms, after[0]), to_ms), limit + 1, office, patience)
    records = office.standing([each.name for each in outlines[:limit]], True, patience)
    now_ms = patience.now_ms()
    shown = [each for each in outlines[:limit] if each.name in records and _unchanged(records[each.name], each)]
    found = [records[each.name] for each in shown]
    facts = [looking.shown_short(each.schedule, each, now_ms, office.reach_ms) for each in found]
    count = fitting(facts)
    last = shown[count - 1] if count < len(shown) else outlines[limit - 1] if len(outlines) > limit else None
    return {"schedules": facts[:count], "next": cursor.written("names", *_place_of(last)) if last else None}


def _place(value: object) -> Place | None:
    place = cursor.read(value, "names", int, str)
    if place is None:
        return None
    due_ms, name = place
    if not cursor.is_moment(due_ms):
        raise cursor.refused(value)
    return due_ms, name


def _place_of(record: Record) -> Place:
    return record.schedule.due_ms, record.name


def _unchanged(record: Record, outline: Record) -> bool:
    """In its place still; one that was moved meanwhile has another."""
    return record.pending and _place_of(record) == _place_of(outline)


def _first(
    prefix: str, after: Place, span: tuple[int, int], count: int, office: Office, patience: Patience
) -> list[Record]:
    """So many behind that place, without their data."""
    if span[0] >= span[1]:
        return []

    def page(shelf: Shelf) -> Names:
        names = ask(lambda: office.records.page(shelf.partition, shelf.from_sort, prefix, *span), patience)
        shelf.from_sort, shelf.ended = names.next_sort or "", names.next_sort is None
        return names

    shelves, known, looked_at = [Shelf(each, first_sort(prefix)) for each in PARTITIONS], [], 0
    while behind := [each for each in shelves if not each.ended]:
        if looked_at > LOOKED_AT_MAX or (looked_at and patience.over()):
            raise InvalidRequest(
                f"prefix is {prefix!r}, and more names begin so than one call can look at ({LOOKED_AT_MAX}); "
                "wanted: a longer prefix, or a list without one"
            )
        for names in office.crew.run(page, behind):
            looked_at += names.looked_at
            known += [each for each in names.records if _place_of(each) > after]
        known = sorted(known, key=_place_of)[:count]
    return known
