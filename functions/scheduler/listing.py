"""List what is coming, in order of time across all partitions, page by page.

A page goes on behind the last schedule handed out, by its moment, the sort key of its item, its partition and its
index in its bundle. None of these changes while it lies there, so whatever others write between two pages, nothing
that was there all the time is left out or shown twice.

Items are read in the order of their keys. A bundle has the key of its latest member, so the first of its members may
be due up to a span earlier: what lies in a span behind the last one to hand out is read for bundles alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scheduler import cursor, directory
from scheduler.bundle import SPAN_MS_MAX, Bundle, Unpackable
from scheduler.errors import NotConfirmed
from scheduler.fullness import fitting
from scheduler.inquiry import Inquiry
from scheduler.limits import DUE_DIGITS
from scheduler.looking import DATA_CHARACTERS_MAX, shown_short
from scheduler.office import Office
from scheduler.patience import Patience, ask
from scheduler.record import Record
from scheduler.schedule import Schedule, sort_from

LIMIT_DEFAULT, LIMIT_MAX = 100, 1_000
AHEAD, AHEAD_ITEMS = 1.25, 8
"""A partition is asked for its share of a page and a little more, for chance does not share evenly."""

NEAR_NOTE = "what has no name and is due within reach is in its queue already, and not shown here"

Place = tuple[int, str, str, int]
"""Moment, sort key of the item, partition, index in the bundle: what the order goes by."""


@dataclass(frozen=True, slots=True)
class Entry:
    place: Place
    schedule: Schedule
    record: Record | None = None


@dataclass(slots=True)
class Strand:
    """A partition, and how far it has been read."""

    partition: str
    from_sort: str
    to_sort: str

    @property
    def ended(self) -> bool:
        return self.from_sort >= self.to_sort

    def may_precede(self, last: Place | None) -> bool:
        """Whether one that is yet to be read, and is no member of a bundle, may come before the last one."""
        if self.ended or last is None:
            return not self.ended
        return (int(self.from_sort[:DUE_DIGITS]), self.from_sort) <= last[:2]


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for: from behind one place, before a moment, and no more than so many of it."""

    after: Place
    to_ms: int
    count: int

    @property
    def from_sort(self) -> str:
        """What sorts before this was handed out with all of its members."""
        due_ms, sort = self.after[:2]
        return min(sort, sort_from(due_ms + 1)) if sort else sort_from(due_ms)

    def holds(self, entry: Entry) -> bool:
        return self.after < entry.place and entry.place[0] < self.to_ms

    def first(self, entries: Iterable[Entry]) -> list[Entry]:
        return sorted(filter(self.holds, entries), key=lambda each: each.place)[: self.count]

    def last(self, known: Sequence[Entry]) -> Place | None:
        """Where it ends, if so much is known."""
        return known[-1].place if len(known) == self.count else None


def list_(inquiry: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    if inquiry.prefix() is not None:
        return directory.list_(inquiry, office, patience)
    (from_ms, to_ms), limit = inquiry.span(), inquiry.limit(LIMIT_DEFAULT, LIMIT_MAX)
    after = max((from_ms, "", "", -1), _place(inquiry.fields.get("next")) or (0, "", "", -1))
    # One more than asked for tells whether there is a next page.
    entries = Reader(Window(after, to_ms, limit + 1), office, patience).entries()
    now_ms = patience.now_ms()
    facts = [shown_short(each.schedule, each.record, now_ms, office.reach_ms) for each in entries[:limit]]
    count = fitting(facts)
    answer: dict[str, Any] = {
        "schedules": facts[:count],
        "next": cursor.written("list", *entries[count - 1].place) if len(entries) > count else None,
    }
    return {**answer, "note": NEAR_NOTE} if from_ms <= now_ms + office.reach_ms else answer


def _place(value: object) -> Place | None:
    place = cursor.read(value, "list", int, str, str, int)
    if place is None:
        return None
    due_ms, sort, partition, index = place
    if not (cursor.is_moment(due_ms) and cursor.is_sort(sort) and cursor.is_partition(partition)):
        raise cursor.refused(value)
    return due_ms, sort, partition, index


class Reader:
    """Reads one window out of all partitions, side by side, in rounds of a page each."""

    def __init__(self, window: Window, office: Office, patience: Patience) -> None:
        self._window, self._office, self._patience = window, office, patience
        self._known: list[Entry] = []
        self._rounds = 0

    def entries(self) -> list[Entry]:
        window = self._window
        from_sort, to_sort = window.from_sort, sort_from(window.to_ms)
        strands = [Strand(each, from_sort, to_sort) for each in self._office.partitions(self._patience)]
        self._in_order_of_keys(strands)
        last = window.last(self._known)
        latest_ms = (last[0] if last else window.to_ms - 1) + SPAN_MS_MAX
        for strand in strands:
            strand.to_sort = sort_from(latest_ms + 1)
        while behind := [each for each in strands if not each.ended]:
            self._round(behind, bundles_only=True, items_max=None)
        return self._known

    def _in_order_of_keys(self, strands: list[Strand]) -> None:
        """Read on wherever something may come before the last one to hand out."""
        items_max = round(self._window.count / len(strands) * AHEAD) + AHEAD_ITEMS
        while behind := [each for each in strands if each.may_precede(self._window.last(self._known))]:
            self._round(behind, bundles_only=False, items_max=items_max)
            items_max = min(2 * items_max, self._window.count + AHEAD_ITEMS)  # Chance may have put all into one.

    def _round(self, strands: list[Strand], bundles_only: bool, items_max: int | None) -> None:
        if self._rounds and self._patience.over():
            raise NotConfirmed("so much is due close together that reading it took too long; ask for less at once")
        self._rounds += 1
        pages = self._office.crew.run(lambda strand: self._page(strand, bundles_only, items_max), strands)
        self._known = self._window.first([*self._known, *(entry for page in pages for entry in page)])

    def _page(self, strand: Strand, bundles_only: bool, items_max: int | None) -> list[Entry]:
        """What the next page of this partition adds; the strand moves on."""
        bounds = strand.partition, strand.from_sort, strand.to_sort
        stretch = ask(lambda: self._office.catalogue.stretch(*bounds, bundles_only, items_max), self._patience)
        strand.from_sort = stretch.next_sort or strand.to_sort
        alone = [_entry(each) for each in stretch.things if isinstance(each, Schedule)]
        last = self._window.last(self._known)
        timely = [each for each in alone if self._window.holds(each) and (last is None or each.place < last)]
        found = list(_awake(timely, self._office, self._patience))
        for thing in stretch.things:
            if isinstance(thing, Bundle):  # Unpacked one at a time: a page of them may hold a hundred thousand.
                found = self._window.first([*found, *_members(thing)])
        return found


def _members(bundle: Bundle) -> list[Entry]:
    try:
        return [_entry(each) for each in bundle.members()]
    except Unpackable:  # The feed puts it aside.
        return []


def _entry(schedule: Schedule) -> Entry:
    schedule.data = schedule.data[:DATA_CHARACTERS_MAX]  # Here already: pages of 256 KiB each are not kept in memory.
    index = -1 if schedule.index is None else schedule.index
    return Entry((schedule.due_ms, schedule.key.sort, schedule.key.partition, index), schedule)


def _awake(entries: Sequence[Entry], office: Office, patience: Patience) -> Iterator[Entry]:
    """Of timers those that have something to wake, and that."""
    names = [each.schedule.name for each in entries if each.schedule.name is not None]
    records = office.standing(names, True, patience) if names else {}
    for each in entries:
        if each.schedule.name is None:
            yield each
            continue
        record = records.get(each.schedule.name)
        if record is not None and record.pending and record.id == each.schedule.id:
            record.schedule.data = record.schedule.data[:DATA_CHARACTERS_MAX]
            yield replace(each, schedule=record.schedule, record=record)
