"""Read a page of a listing in key order, partition by partition.

Even if very many schedules are due at one moment, such a page reads no more than it returns.

This listing replaces a page in order of time that would take too long. Its position says how far each partition was
listed, down to the member of a bundle. It also says where the time range ends that is read in this way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import DUE_DIGITS
from scheduler.managing.dependencies import BATCH_WHOLE_MAX, ManageDependencies
from scheduler.managing.listing import entries
from scheduler.managing.listing.entries import Entry, Place
from scheduler.managing.paging import ANSWER_BYTES_MAX
from scheduler.model.bundle import SPAN_MS_MAX, Bundle
from scheduler.model.schedule import Schedule, sort_from
from scheduler.placing.near_names import NEAR, PARTITIONS, Row

NOTHING = -2
"""An index before -1, the index of a schedule that is not in a bundle, and before those of a bundle's members."""

Position = tuple[str, int]
"""A sort key, and the index of its last entry that was returned."""

KeyEntries = tuple[str, list[tuple[int, Entry]]]
"""The entries under one sort key, each with an index that never changes."""


@dataclass(slots=True)
class Crowd:
    """The position of a listing in key order.

    It has the place up to which entries were returned in order of time, the time range read in key order, and how far
    each partition was read in that range. A partition that was read to the end is left out.
    """

    after: Place
    from_ms: int
    end_ms: int
    positions: dict[str, Position]


def begin(after: Place, from_sort: str, end_ms: int, office: ManageDependencies, deadline: Deadline) -> Crowd:
    """Return a crowd at the beginning of every partition, and of the near names if the range may hold any."""
    from_ms = int(from_sort[:DUE_DIGITS])
    positions = dict.fromkeys(office.partitions(deadline), (from_sort, NOTHING))
    near_ms, until_ms = entries.near_span(from_ms, end_ms, deadline.now_ms(), office.reach_ms)
    if near_ms < until_ms:
        positions |= dict.fromkeys(PARTITIONS, (sort_from(near_ms), NOTHING))
    return Crowd(after, from_ms, end_ms, positions)


class Reader:
    """Reads a page, and moves the positions of a crowd forward."""

    def __init__(
        self,
        crowd: Crowd,
        to_ms: int,
        limit: int,
        bytes_of: Callable[[Entry], int],
        office: ManageDependencies,
        deadline: Deadline,
        *,
        characters_max: int,
    ) -> None:
        self._crowd, self._to_ms, self._limit, self._bytes_of = crowd, to_ms, limit, bytes_of
        self._characters_max = characters_max
        self._office, self._patience = office, deadline
        self._found: list[Entry] = []
        self._free_bytes, self._full = ANSWER_BYTES_MAX, False

    def entries(self) -> list[Entry]:
        """Return the page's entries in order of time, at most `limit`. At least one step is read."""
        positions, begun = self._crowd.positions, False
        while positions and not self._full and not (begun and self._patience.passed()):
            begun = True
            partition = min(positions, key=lambda each: positions[each])
            if partition.startswith(NEAR):
                self._page_of_near_names(partition)
            else:
                self._page(partition)
        return sorted(self._found, key=lambda each: each.place)

    def _page(self, partition: str) -> None:
        (sort, _), end_sort = self._crowd.positions[partition], sort_from(self._crowd.end_ms)
        if sort >= end_sort:
            del self._crowd.positions[partition]
            return
        limit = self._limit + 1
        stretch = retry_call(lambda: self._office.catalogue.stretch(partition, sort, end_sort, limit), self._patience)
        self._hand_out(partition, stretch.things, self._of_things, BATCH_WHOLE_MAX, stretch.next_sort)

    def _page_of_near_names(self, partition: str) -> None:
        (sort, _), now_ms = self._crowd.positions[partition], self._patience.now_ms()
        _, to_ms = entries.near_span(self._crowd.from_ms, self._crowd.end_ms, now_ms, self._office.reach_ms)
        end_sort = sort_from(to_ms + SPAN_MS_MAX)
        if sort >= end_sort:
            del self._crowd.positions[partition]
            return
        bounds, limit = (partition, sort, end_sort, to_ms), self._limit + 1
        page = retry_call(lambda: self._office.catalogue.near_names(*bounds, limit), self._patience)
        self._hand_out(partition, page.rows, self._of_rows, 1, page.next_sort)

    def _hand_out(
        self,
        partition: str,
        things: Sequence[Any],
        entries_of: Callable[[Any], Iterator[KeyEntries]],
        step: int,
        next_sort: str | None,
    ) -> None:
        """Return items in steps until the page is full or time is over, and move the position forward."""
        for start in range(0, len(things), step):
            if start and self._patience.passed():
                return
            for held in entries_of(things[start : start + step]):
                if not self._take(partition, *held):
                    return
        if next_sort is None:
            del self._crowd.positions[partition]
        else:
            self._crowd.positions[partition] = (next_sort, NOTHING)

    def _take(self, partition: str, sort: str, held: Sequence[tuple[int, Entry]]) -> bool:
        """Take the entries under one key after the last returned one. Return False if the page has no room for all."""
        crowd = self._crowd
        at_sort, at_index = crowd.positions[partition]
        for index, each in held:
            if at_sort == sort and index <= at_index:
                continue
            if crowd.after < each.place and each.place[0] < self._to_ms:
                bytes_ = self._bytes_of(each)
                self._full = self._full or bool(self._found and bytes_ > self._free_bytes)
                if self._full:
                    return False
                self._found.append(each)
                self._free_bytes -= bytes_
                self._full = len(self._found) == self._limit
            crowd.positions[partition] = (sort, index)
        crowd.positions[partition] = (sort + " ", NOTHING)
        return True

    def _of_things(self, things: Sequence[Schedule | Bundle]) -> Iterator[KeyEntries]:
        most = self._characters_max
        alone = {each.key: entries.entry(each, most) for each in things if isinstance(each, Schedule)}
        awake = {each.place: each for each in entries.awake(list(alone.values()), most, self._office, self._patience)}
        for thing in things:
            if isinstance(thing, Bundle):
                found = [(each.place[3], each) for each in entries.members(thing, most)]
                yield thing.key.sort, sorted(found, key=lambda placed: placed[0])
            else:
                place = alone[thing.key].place
                yield thing.key.sort, [(place[3], awake[place])] if place in awake else []

    def _of_rows(self, rows: Sequence[Row]) -> Iterator[KeyEntries]:
        crowd, most = self._crowd, self._characters_max
        for row in rows:
            timers = [entries.entry(each.as_schedule(), most) for each in row.entries]
            awake: dict[Place, Entry] = {}
            for start in range(0, len(timers), BATCH_WHOLE_MAX):
                step = timers[start : start + BATCH_WHOLE_MAX]
                awake |= {each.place: each for each in entries.awake(step, most, self._office, self._patience)}
            yield (
                row.key.sort,
                [
                    (index, awake[each.place])
                    for index, each in enumerate(timers)
                    if each.place in awake and crowd.from_ms <= each.place[0] < crowd.end_ms
                ],
            )
