"""Read one window of a listing in order of time, from all partitions in parallel.

Items are read in key order. A bundle has the key of its latest member, so its first members may be due earlier, by up
to the span of a bundle. So the reader also looks for bundles in one span after the last entry to return. Near names
come last, because a feed that moves a timer writes it to the index before it deletes it from the table.

`Reader.entries` raises OutOfTime if time runs out before the window is complete. The caller must not
return any of it then, because an earlier entry may be unread. `reached` says how far all partitions were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scheduler.errors import OutOfTime
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import ANSWER_BYTES_MAX, DUE_DIGITS
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.listing import entries
from scheduler.managing.listing.entries import Entry, OrderKey
from scheduler.managing.lookup import DATA_CHARACTERS_MAX
from scheduler.model.bundle import SPAN_MS_MAX, Bundle
from scheduler.model.schedule import Schedule, sort_from
from scheduler.placing.near_names import NEAR_NAME_PARTITIONS
from scheduler.value_class import value_class

AHEAD, AHEAD_ITEMS = 1.25, 8
"""Each partition is asked for its share of a page and a little more, because the distribution is random."""
LARGE_AT_ONCE = 4
"""How many partitions are read at once if their data is not cut. With 256 of them, memory would hold a gigabyte."""


@dataclass(slots=True)
class PartitionCursor:
    """A partition, and how far it has been read."""

    partition: str
    from_sort: str
    to_sort: str

    @property
    def ended(self) -> bool:
        return self.from_sort >= self.to_sort

    def may_precede(self, last: OrderKey | None, span_ms: int = 0) -> bool:
        """Return whether an unread entry may come before `last`, if it may be due one span before its key."""
        if self.ended or last is None:
            return not self.ended
        return (int(self.from_sort[:DUE_DIGITS]) - span_ms, self.from_sort) <= last[:2]


@value_class
class Window:
    """The entries to read: after a place, before a time, and at most `count` of them.

    Everything with a key before the floor was returned earlier. The data of an entry is cut at `characters_max`.
    """

    after: OrderKey
    to_ms: int
    count: int
    floor: str = ""
    characters_max: int = DATA_CHARACTERS_MAX

    @property
    def from_sort(self) -> str:
        """The sort key to start from. Earlier items were returned with all of their members."""
        due_ms, sort = self.after[:2]
        return max(self.floor, min(sort, sort_from(due_ms + 1)) if sort else sort_from(due_ms))

    @property
    def from_ms(self) -> int:
        """The time to start from. Schedules due earlier were returned, unless they are in a bundle."""
        return max(self.after[0], int(self.floor[:DUE_DIGITS] or 0))

    def holds(self, entry: Entry) -> bool:
        return self.after < entry.order_key and entry.order_key[0] < self.to_ms

    def first(self, found: Iterable[Entry]) -> list[Entry]:
        """Return the first entries, each place once: a timer that is being moved may be in the table and the index."""
        held = {each.order_key: each for each in found if self.holds(each)}
        return self.taken(held[order_key] for order_key in sorted(held))

    def taken(self, found: Iterable[Entry]) -> list[Entry]:
        """Return the entries up to the last one that the page may need. Take no more than that many."""
        taken: list[Entry] = []
        characters = 0
        for each in found:
            taken.append(each)
            characters += len(each.schedule.data)
            if len(taken) == self.count or characters > ANSWER_BYTES_MAX:
                break
        return taken

    def last(self, known: Sequence[Entry]) -> OrderKey | None:
        """Return the place of the last entry to return, if the known entries fill the page.

        They do if they are as many as asked for, or if their data alone is more than an answer holds.
        """
        full = len(known) == self.count or sum(len(each.schedule.data) for each in known) > ANSWER_BYTES_MAX
        return known[-1].order_key if full else None


class Reader:
    def __init__(self, window: Window, dependencies: ManageDependencies, deadline: Deadline) -> None:
        self._window, self._dependencies, self._deadline = window, dependencies, deadline
        self._known: list[Entry] = []
        self._cursors: list[PartitionCursor] = []
        self._rounds = 0

    @property
    def reached(self) -> str | None:
        """The sort key up to which all partitions were read, or None if not even a page of each was read."""
        return min(each.from_sort for each in self._cursors) if self._rounds else None

    def entries(self) -> list[Entry]:
        window = self._window
        from_sort, to_sort = window.from_sort, sort_from(window.to_ms)
        self._cursors = [
            PartitionCursor(each, from_sort, to_sort) for each in self._dependencies.partitions(self._deadline)
        ]
        self._in_order_of_keys()
        self._bundles_behind()
        self._near_names()
        return self._known

    @property
    def _last(self) -> OrderKey | None:
        return self._window.last(self._known)

    def _in_order_of_keys(self) -> None:
        """Read on in each partition that may hold an entry before the last one to return."""
        items_max = round(self._window.count / len(self._cursors) * AHEAD) + AHEAD_ITEMS
        while behind := [each for each in self._cursors if each.may_precede(self._last)]:
            limit = items_max
            self._round(behind, lambda cursor: self._page(cursor, limit))  # noqa: B023 - Called at once.
            items_max = min(2 * items_max, self._window.count + AHEAD_ITEMS)  # All of them may be in one partition.

    def _bundles_behind(self) -> None:
        while True:
            last = self._last
            latest_ms = (last[0] if last else self._window.to_ms - 1) + SPAN_MS_MAX
            for cursor in self._cursors:
                cursor.to_sort = sort_from(latest_ms + 1)
            behind = [each for each in self._cursors if not each.ended]
            if not behind:
                return
            self._round(behind, self._page_of_bundles)

    def _near_names(self) -> None:
        window, now_ms = self._window, self._deadline.now_ms()
        from_ms, to_ms = entries.near_span(window.from_ms, window.to_ms, now_ms, self._dependencies.reach_ms)
        if from_ms >= to_ms:
            return
        from_sort, to_sort = sort_from(from_ms), sort_from(to_ms + SPAN_MS_MAX)
        self._cursors = [PartitionCursor(each, from_sort, to_sort) for each in NEAR_NAME_PARTITIONS]
        items_max = window.count + AHEAD_ITEMS
        while behind := [each for each in self._cursors if each.may_precede(self._last, SPAN_MS_MAX)]:
            self._round(behind, lambda cursor: self._page_of_near_names(cursor, from_ms, to_ms, items_max))

    def _round(self, cursors: list[PartitionCursor], page: Callable[[PartitionCursor], list[Entry]]) -> None:
        at_once = LARGE_AT_ONCE if self._window.characters_max > DATA_CHARACTERS_MAX else len(cursors)
        for start in range(0, len(cursors), at_once):
            found = self._dependencies.pool.run(page, cursors[start : start + at_once])
            self._known = self._window.first([*self._known, *(each for entries_ in found for each in entries_)])
        self._rounds += 1

    def _page(self, cursor: PartitionCursor, items_max: int) -> list[Entry]:
        """Return the entries of the partition's next page, and move its cursor forward."""
        self._check()
        bounds = cursor.partition, cursor.from_sort, cursor.to_sort
        schedule_page = retry_call(
            lambda: self._dependencies.manage_table.schedule_page(*bounds, items_max), self._deadline
        )
        alone = [each for each in schedule_page.things if isinstance(each, Schedule)]
        found = self._some([entries.entry(each, self._window.characters_max) for each in alone])
        found = self._unpacked(schedule_page.things, found)
        cursor.from_sort = schedule_page.next_sort or cursor.to_sort
        return found

    def _page_of_bundles(self, cursor: PartitionCursor) -> list[Entry]:
        """Return the members of the next page of bundles.

        A member due at the same time as the last entry comes after it if its key is later.
        """
        self._check()
        last, to_sort = self._last, cursor.to_sort
        before_ms = last[0] if last else self._window.to_ms
        if last is not None and cursor.from_sort < last[1]:
            before_ms, to_sort = before_ms + 1, min(to_sort, last[1])
        bounds = cursor.partition, cursor.from_sort, to_sort
        schedule_page = retry_call(lambda: self._dependencies.manage_table.bundles(*bounds, before_ms), self._deadline)
        found = self._unpacked(schedule_page.things, [])
        cursor.from_sort = schedule_page.next_sort or to_sort
        return found

    def _page_of_near_names(self, cursor: PartitionCursor, from_ms: int, to_ms: int, items_max: int) -> list[Entry]:
        self._check()
        last = self._last
        before_ms = min(to_ms, last[0] + 1) if last else to_ms
        bounds = cursor.partition, cursor.from_sort, cursor.to_sort
        page = retry_call(
            lambda: self._dependencies.manage_table.near_names(*bounds, before_ms, items_max), self._deadline
        )
        timers = [each.as_schedule() for row in page.rows for each in row.entries if from_ms <= each.wakes_ms < to_ms]
        found = self._some([entries.entry(each, self._window.characters_max) for each in timers])
        cursor.from_sort = page.next_sort or cursor.to_sort
        return found

    def _some(self, found: list[Entry]) -> list[Entry]:
        """Return the entries that may be returned. Read no more records than a page holds."""
        last, window = self._last, self._window
        timely = sorted(
            (each for each in found if window.holds(each) and (last is None or each.order_key < last)),
            key=lambda each: each.order_key,
        )
        return window.taken(entries.awake(timely, window.characters_max, self._dependencies, self._deadline))

    def _unpacked(self, things: Sequence[Schedule | Bundle], found: list[Entry]) -> list[Entry]:
        """Return the entries found, with the members of the bundles. Open one bundle at a time.

        A page of bundles may hold a hundred thousand members. A bundle stays unopened if its `first_ms` shows that all
        of its members come after the last entry.
        """
        for thing in things:
            last = self._window.last(found) or self._last
            if not isinstance(thing, Bundle) or self._is_behind(thing, last):
                continue
            self._check()
            found = self._window.first([*found, *entries.members(thing, self._window.characters_max)])
        return found

    def _is_behind(self, bundle: Bundle, last: OrderKey | None) -> bool:
        if bundle.first_ms is None:
            return False
        return bundle.first_ms >= self._window.to_ms or (
            last is not None and (bundle.first_ms, bundle.key.sort, bundle.key.partition) > last[:3]
        )

    def _check(self) -> None:
        if self._deadline.passed():
            raise OutOfTime
