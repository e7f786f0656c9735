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
from scheduler.limits import ANSWER_BYTES_MAX, DUE_DIGITS
from scheduler.managing import paging
from scheduler.managing.dependencies import BATCH_WHOLE_MAX, ManageDependencies
from scheduler.managing.listing import entries
from scheduler.managing.listing.entries import Entry, OrderKey
from scheduler.model.bundle import SPAN_MS_MAX, Bundle
from scheduler.model.schedule import Schedule, sort_from
from scheduler.placing.near_names import NEAR_NAME_PARTITIONS, NEAR_NAMES, Row

NOTHING = -2
"""An index before -1, the index of a schedule that is not in a bundle, and before those of a bundle's members."""

Position = tuple[str, int]
"""A sort key, and the index of its last entry that was returned."""

KeyEntries = tuple[str, list[tuple[int, Entry]]]
"""The entries under one sort key, each with an index that never changes."""


@dataclass(slots=True)
class KeyOrderPosition:
    """The position of a listing in key order.

    It has the place up to which entries were returned in order of time, the time range read in key order, and how far
    each partition was read in that range. A partition that was read to the end is left out.
    """

    after: OrderKey
    from_ms: int
    end_ms: int
    positions: dict[str, Position]


def begin(
    after: OrderKey, from_sort: str, end_ms: int, dependencies: ManageDependencies, deadline: Deadline
) -> KeyOrderPosition:
    """Return a crowd at the beginning of every partition, and of the near names if the range may hold any."""
    from_ms = int(from_sort[:DUE_DIGITS])
    positions = dict.fromkeys(dependencies.partitions(deadline), (from_sort, NOTHING))
    near_ms, until_ms = entries.near_span(from_ms, end_ms, deadline.now_ms(), dependencies.reach_ms)
    if near_ms < until_ms:
        positions |= dict.fromkeys(NEAR_NAME_PARTITIONS, (sort_from(near_ms), NOTHING))
    return KeyOrderPosition(after, from_ms, end_ms, positions)


class Reader:
    """Reads a page, and moves the positions of a crowd forward."""

    def __init__(
        self,
        key_position: KeyOrderPosition,
        to_ms: int,
        limit: int,
        bytes_of: Callable[[Entry], int],
        dependencies: ManageDependencies,
        deadline: Deadline,
        *,
        characters_max: int,
    ) -> None:
        self._key_position, self._to_ms, self._limit, self._bytes_of = key_position, to_ms, limit, bytes_of
        self._characters_max = characters_max
        self._dependencies, self._deadline = dependencies, deadline
        self._found: list[Entry] = []
        self._free_bytes, self._full = ANSWER_BYTES_MAX, False

    def entries(self) -> list[Entry]:
        """Return the page's entries in order of time, at most `limit`. At least one step is read."""
        positions, begun = self._key_position.positions, False
        while positions and not self._full and not (begun and self._deadline.passed()):
            begun = True
            active = sorted(positions, key=paging.order_of)[: paging.ACTIVE_MAX]
            partition = min(active, key=lambda each: positions[each])
            if partition.startswith(NEAR_NAMES):
                self._page_of_near_names(partition)
            else:
                self._page(partition)
        return sorted(self._found, key=lambda each: each.order_key)

    def _page(self, partition: str) -> None:
        (sort, _), end_sort = self._key_position.positions[partition], sort_from(self._key_position.end_ms)
        if sort >= end_sort:
            del self._key_position.positions[partition]
            return
        limit = self._limit + 1
        schedule_page = retry_call(
            lambda: self._dependencies.manage_table.schedule_page(partition, sort, end_sort, limit), self._deadline
        )
        self._hand_out(partition, schedule_page.things, self._of_things, BATCH_WHOLE_MAX, schedule_page.next_sort)

    def _page_of_near_names(self, partition: str) -> None:
        (sort, _), now_ms = self._key_position.positions[partition], self._deadline.now_ms()
        _, to_ms = entries.near_span(
            self._key_position.from_ms, self._key_position.end_ms, now_ms, self._dependencies.reach_ms
        )
        end_sort = sort_from(to_ms + SPAN_MS_MAX)
        if sort >= end_sort:
            del self._key_position.positions[partition]
            return
        bounds, limit = (partition, sort, end_sort, to_ms), self._limit + 1
        page = retry_call(lambda: self._dependencies.manage_table.near_names(*bounds, limit), self._deadline)
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
            if start and self._deadline.passed():
                return
            for held in entries_of(things[start : start + step]):
                if not self._take(partition, *held):
                    return
        if next_sort is None:
            del self._key_position.positions[partition]
        else:
            self._key_position.positions[partition] = (next_sort, NOTHING)

    def _take(self, partition: str, sort: str, held: Sequence[tuple[int, Entry]]) -> bool:
        """Take the entries under one key after the last returned one. Return False if the page has no room for all."""
        key_position = self._key_position
        at_sort, at_index = key_position.positions[partition]
        for index, each in held:
            if at_sort == sort and index <= at_index:
                continue
            if key_position.after < each.order_key and each.order_key[0] < self._to_ms:
                bytes_ = self._bytes_of(each)
                self._full = self._full or bool(self._found and bytes_ > self._free_bytes)
                if self._full:
                    return False
                self._found.append(each)
                self._free_bytes -= bytes_
                self._full = len(self._found) == self._limit
            key_position.positions[partition] = (sort, index)
        key_position.positions[partition] = (sort + " ", NOTHING)
        return True

    def _of_things(self, things: Sequence[Schedule | Bundle]) -> Iterator[KeyEntries]:
        most = self._characters_max
        alone = {each.key: entries.entry(each, most) for each in things if isinstance(each, Schedule)}
        awake = {
            each.order_key: each
            for each in entries.awake(list(alone.values()), most, self._dependencies, self._deadline)
        }
        for thing in things:
            if isinstance(thing, Bundle):
                found = [(each.order_key[3], each) for each in entries.members(thing, most)]
                yield thing.key.sort, sorted(found, key=lambda placed: placed[0])
            else:
                order_key = alone[thing.key].order_key
                yield thing.key.sort, [(order_key[3], awake[order_key])] if order_key in awake else []

    def _of_rows(self, rows: Sequence[Row]) -> Iterator[KeyEntries]:
        key_position, most = self._key_position, self._characters_max
        for row in rows:
            timers = [entries.entry(each.as_schedule(), most) for each in row.entries]
            awake: dict[OrderKey, Entry] = {}
            for start in range(0, len(timers), BATCH_WHOLE_MAX):
                step = timers[start : start + BATCH_WHOLE_MAX]
                awake |= {
                    each.order_key: each for each in entries.awake(step, most, self._dependencies, self._deadline)
                }
            yield (
                row.key.sort,
                [
                    (index, awake[each.order_key])
                    for index, each in enumerate(timers)
                    if each.order_key in awake and key_position.from_ms <= each.order_key[0] < key_position.end_ms
                ],
            )
