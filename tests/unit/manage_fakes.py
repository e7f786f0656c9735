"""A catalogue in memory, with DynamoDB's paging, and the dependencies that use it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fakes import NOON_MS, Clock, FakeQueues, FakeRecords, FakeTable, as_read
from scheduler.accepting import changes
from scheduler.accepting.request import AcceptRules
from scheduler.execution.worker_pool import SerialPool
from scheduler.managing.dependencies import DuePage, ManageDependencies, NearNames, SchedulePage, Stub
from scheduler.model.bundle import Bundle
from scheduler.model.name_record import Record, request_number_at
from scheduler.model.schedule import Key, Request, Schedule, Timer, sort_from
from scheduler.placing import near_names
from scheduler.placing.keys import KeyGenerator
from scheduler.placing.near_names import Row
from scheduler.placing.partitions import PartitionCount

REACH_MS = 900_000
FAR_MS = NOON_MS + 10_000_000


@dataclass
class FakeManageTable:
    """A catalogue with pages of at most `items_max` items.

    It filters a page after cutting it, as DynamoDB does. Each page takes its time.
    """

    items_max: int = 1_000
    items: dict[Key, Schedule | Bundle] = field(default_factory=dict)
    rows: dict[Key, Row] = field(default_factory=dict)
    reads: int = 0
    clock: Clock = field(default_factory=Clock)
    call_s: float = 0.0

    def add(self, *things: Schedule | Bundle) -> None:
        self.items |= {each.key: each for each in things}

    def add_near(self, *schedules: Schedule) -> None:
        self.rows |= {row.key: row for row in near_names.rows(map(near_names.entry_of, schedules))}

    def _page(self, held, partition, from_sort, to_sort, limit):
        if from_sort > to_sort:
            return [], None
        self.reads += 1
        self.clock.sleep(self.call_s)
        keys = sorted(key for key in held if key.partition == partition and from_sort <= key.sort <= to_sort)
        page = keys[: min(limit or self.items_max, self.items_max)]
        return [held[key] for key in page], page[-1].sort + " " if len(page) < len(keys) else None

    def schedule_page(self, partition, from_sort, to_sort, limit):
        things, next_sort = self._page(self.items, partition, from_sort, to_sort, limit)
        return SchedulePage([as_read(each) for each in things], next_sort)

    def bundles(self, partition, from_sort, to_sort, first_before_ms):
        things, next_sort = self._page(self.items, partition, from_sort, to_sort, None)
        found = [each for each in things if isinstance(each, Bundle)]
        return SchedulePage([each for each in found if (each.first_ms or 0) < first_before_ms], next_sort)

    def near_names(self, partition, from_sort, to_sort, first_before_ms, limit):
        rows, next_sort = self._page(self.rows, partition, from_sort, to_sort, limit)
        return NearNames([row for row in rows if row.entries[0].wakes_ms < first_before_ms], next_sort)

    def due_page(self, partition, from_sort, to_sort, bundles_only, limit=None):
        things, next_sort = self._page(self.items, partition, from_sort, to_sort, limit)
        stubs = [_stub(each) for each in things if isinstance(each, Bundle) or not bundles_only]
        return DuePage(stubs, next_sort)


def _stub(thing):
    bundle = thing if isinstance(thing, Bundle) else None
    return Stub(thing.key, thing.key.due_ms, thing.name if isinstance(thing, Schedule) else None, bundle)


def manage_dependencies(
    manage_table: FakeManageTable, records: FakeRecords | None = None, partition_count: int = 4
) -> ManageDependencies:
    table, queues = FakeTable(), FakeQueues()
    read_table: Any = manage_table  # It lacks the calls that change something.
    key_generator = KeyGenerator(partition_count, random.Random(1), 60_000)
    return ManageDependencies(
        records or FakeRecords(),
        table,
        read_table,
        PartitionCount(table),
        queues,
        SerialPool(),
        key_generator,
        REACH_MS,
        partial(changes.revised, rules=AcceptRules()),
        no_counts,
    )


def no_counts():
    raise AssertionError("no test here reads the ledger")


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
