"""The dependencies of the manage function in memory: a table with DynamoDB's paging, and the rows of the ledger."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from fakes import NOON_MS, THROTTLED, Clock, FakeQueues, FakeRecords, FakeTable, Thing, as_read
from scheduler.accepting import changes
from scheduler.accepting.request import AcceptRules
from scheduler.errors import NotConfirmed
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding.jobs import QuarantinedItem
from scheduler.managing.dependencies import (
    BUSY,
    DONE,
    GONE,
    DuePage,
    Failure,
    Failures,
    ManageDependencies,
    NearNames,
    RunPage,
    SchedulePage,
    Stub,
)
from scheduler.model.bundle import Bundle
from scheduler.model.failure_report import QUARANTINE, Report
from scheduler.model.name_record import Record, request_number_at
from scheduler.model.schedule import Key, Request, Schedule, Timer, key_of, sort_from
from scheduler.model.usage import Count, hash_key
from scheduler.placing import near_names
from scheduler.placing.keys import KeyGenerator
from scheduler.placing.near_names import Row
from scheduler.placing.partitions import PartitionCount

REACH_MS = 900_000
FAR_MS = NOON_MS + 10_000_000


@dataclass
class FakeManageTable:
    """A table as the manage function reads and changes it, with pages of at most `items_max` items.

    It filters a page after cutting it, as DynamoDB does. Each page takes its time. A hold and the id of a redrive are
    marks on an item, so they end with a put, as attributes do.
    """

    items_max: int = 1_000
    table: FakeTable = field(default_factory=FakeTable)
    reads: int = 0
    clock: Clock = field(default_factory=Clock)
    call_s: float = 0.0

    @property
    def items(self) -> dict[Key, Schedule | Bundle | QuarantinedItem]:
        return self.table.items

    def add(self, *things: Schedule | Bundle) -> None:
        self.table.add(*things)

    def add_near(self, *schedules: Schedule) -> None:
        self.add_rows(*near_names.rows(map(near_names.entry_of, schedules)))

    def add_rows(self, *rows: Row) -> None:
        self.table.near_rows |= {row.key: row for row in rows}

    def get(self, key: Key) -> Schedule | Bundle | None:
        self.table.answer()
        found = self.items.get(key)
        return None if found is None or isinstance(found, QuarantinedItem) else as_read(found)

    def schedule_page(self, partition: str, from_sort: str, to_sort: str, limit: int | None) -> SchedulePage:
        things, next_sort = self._page(self.items, partition, from_sort, to_sort, limit)
        return SchedulePage([as_read(each) for each in things if not isinstance(each, QuarantinedItem)], next_sort)

    def bundles(self, partition: str, from_sort: str, to_sort: str, first_before_ms: int) -> SchedulePage:
        things, next_sort = self._page(self.items, partition, from_sort, to_sort, None)
        found = [each for each in things if isinstance(each, Bundle)]
        return SchedulePage([each for each in found if (each.first_ms or 0) < first_before_ms], next_sort)

    def near_names(
        self, partition: str, from_sort: str, to_sort: str, first_before_ms: int, limit: int | None
    ) -> NearNames:
        rows, next_sort = self._page(self.table.near_rows, partition, from_sort, to_sort, limit)
        return NearNames([row for row in rows if row.entries[0].wakes_ms < first_before_ms], next_sort)

    def due_page(
        self, partition: str, from_sort: str, to_sort: str, bundles_only: bool, limit: int | None = None
    ) -> DuePage:
        things, next_sort = self._page(self.items, partition, from_sort, to_sort, limit)
        kinds = Bundle if bundles_only else (Bundle, Schedule)
        return DuePage([_stub(each) for each in things if isinstance(each, kinds)], next_sort)

    def lock(self, read: Schedule | Bundle, owner: str, now_ms: int, ends_ms: int) -> str:
        result = self._checked(read, owner, now_ms)
        if result == DONE:
            self.table.marks[read.key] = {"hold": (owner, ends_ms)}
        return result

    def unlock(self, key: Key, owner: str) -> None:
        self.table.answer()
        if self._hold(key)[0] == owner:
            del self.table.marks[key]

    def remove(self, read: Schedule | Bundle, kept: Bundle | None, owner: str, now_ms: int) -> str:
        result = self._checked(read, owner, now_ms)
        if result == DONE:
            self.table.marks.pop(read.key, None)
            del self.items[read.key]
            self.add(*([] if kept is None else [kept]))
        return result

    def _hold(self, key: Key) -> tuple[str, int]:
        """Return who holds an item, and until when."""
        holder, ends_ms = self.table.marks.get(key, {}).get("hold", ("", 0))
        return holder, ends_ms

    def _checked(self, read: Schedule | Bundle, owner: str, now_ms: int) -> str:
        """Return whether this owner may change the item that it has read."""
        self.table.answer()
        current, (holder, ends_ms) = self.items.get(read.key), self._hold(read.key)
        if isinstance(read, Bundle):
            is_as_read = isinstance(current, Bundle) and current.packed == read.packed
        else:
            is_as_read = isinstance(current, Schedule)
        if is_as_read and (holder in ("", owner) or ends_ms <= now_ms):
            return DONE
        return BUSY if ends_ms > now_ms else GONE

    def quarantined(self, schedule_id: str) -> Failure | None:
        self.table.answer()
        key = key_of(schedule_id)
        found = self.table.quarantined_items.get(Key(QUARANTINE, key.sort))
        if found is None:
            return None
        whole = isinstance(found.content, Bundle) and found.key.partition == key.partition
        is_its_own = isinstance(found.content, Schedule) and found.content.id == schedule_id
        return self._failure(Key(QUARANTINE, key.sort), found) if whole or is_its_own else None

    def failures(
        self, partition: str, from_sort: str, to_sort: str, limit: int | None, schedule_id: str | None = None
    ) -> Failures:
        held: dict[Key, Any] = {**self.table.quarantined_items, **self.table.kept_items}
        pairs = {key: (key, each) for key, each in held.items()}
        page, next_sort = self._page(pairs, partition, from_sort, to_sort, limit)
        found = [self._failure(key, each) for key, each in page]
        wanted = [
            each
            for each in found
            if schedule_id is None or (each.schedule is not None and each.schedule.id == schedule_id)
        ]
        return Failures(wanted, next_sort)

    def _failure(self, key: Key, kept: QuarantinedItem | Report[Any]) -> Failure:
        again = self.table.marks.get(key, {}).get("again")
        content = kept.content if isinstance(kept, QuarantinedItem) else kept.schedule
        schedule: Any = as_read(content) if isinstance(content, Schedule) else None
        if isinstance(kept, QuarantinedItem):
            return Failure(key, schedule, kept.reason, again=again)
        return Failure(key, schedule, kept.reason, kept.error, kept.attempts, kept.at_ms, again)

    def runs(
        self, key: str, from_sort: str, to_sort: str, limit: int, partition: str | None, newest_first: bool = False
    ) -> RunPage:
        lines, next_sort = self._page(self.table.run_lines, key, from_sort, to_sort, limit, newest_first)
        found = [replace(run, holder="") for run in lines if partition in (None, run.partition)]
        return RunPage(found, next_sort)

    def note_again(self, key: Key, schedule_id: str) -> str | None:
        self.table.answer()
        if key not in self.table.kept_items and key not in self.table.quarantined_items:
            return None
        noted: str = self.table.marks.setdefault(key, {}).setdefault("again", schedule_id)
        return noted

    def forget_again(self, key: Key, schedule_id: str) -> None:
        self.table.answer()
        if self.table.marks.get(key, {}).get("again") == schedule_id:
            del self.table.marks[key]

    def _page(
        self,
        held: Mapping[Key, Thing],
        partition: str,
        from_sort: str,
        to_sort: str,
        limit: int | None,
        newest_first: bool = False,
    ) -> tuple[list[Thing], str | None]:
        self.table.answer()
        if from_sort > to_sort:
            return [], None
        self.reads += 1
        self.clock.sleep(self.call_s)
        keys = [key for key in held if key.partition == partition and from_sort <= key.sort <= to_sort]
        keys.sort(reverse=newest_first)
        page = keys[: min(limit or self.items_max, self.items_max)]
        return [held[key] for key in page], page[-1].sort + " " if len(page) < len(keys) else None


def _stub(thing: Any) -> Stub:
    bundle = thing if isinstance(thing, Bundle) else None
    return Stub(thing.key, thing.key.due_ms, thing.name if isinstance(thing, Schedule) else None, bundle)


@dataclass
class FakeCounts:
    """The rows of the ledger. No call is confirmed while they are `down`."""

    down: bool = False
    rows: dict[Key, Count] = field(default_factory=dict)
    writes: int = 0

    def write(self, count: Count) -> None:
        self.writes += 1
        self._answer()
        if count.key not in self.rows or self.rows[count.key].seq < count.seq:
            self.rows[count.key] = count

    def read(self, day: str, application: str, row: str) -> list[Count]:
        self._answer()
        of_row = hash_key(day, application, row)
        return [count for key, count in sorted(self.rows.items()) if key.partition == of_row]

    def _answer(self) -> None:
        if self.down:
            raise NotConfirmed(THROTTLED)


def manage_dependencies(
    manage_table: FakeManageTable, records: FakeRecords | None = None, partition_count: int = 4
) -> ManageDependencies:
    table, queues = manage_table.table, FakeQueues()
    key_generator = KeyGenerator(partition_count, random.Random(1), 60_000)
    return ManageDependencies(
        records or FakeRecords(),
        table,
        manage_table,
        PartitionCount(table),
        queues,
        SerialPool(),
        key_generator,
        REACH_MS,
        partial(changes.revised, rules=AcceptRules()),
        FakeCounts,
    )


def entries(thing):
    return [thing] if isinstance(thing, Schedule) else thing.members()


def bundles(rng, dues_ms, partition_count):
    """Pack a batch with these due times."""
    requests = {place: Request(due_ms, f"data {place}") for place, due_ms in enumerate(dues_ms)}
    return [bundle for bundle, _ in KeyGenerator(partition_count, rng, 60_000).bundles(requests, None)]


def named(number, name, timer_only=False):
    """Return a timer and the record that it wakes, or only the timer."""
    key = Key(str(number % 4), f"{sort_from(FAR_MS + number)}#{number:016x}")
    record_key = Key("0", f"{sort_from(FAR_MS)}#{'f' * 16}") if timer_only else key
    whole = Schedule(record_key, FAR_MS + number, f"data {number}" * 100, name=name)
    return Timer(key, FAR_MS + number, "", name=name), Record(whole, request_number_at(NOON_MS), NOON_MS)
