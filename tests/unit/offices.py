"""A catalogue and records in memory, by DynamoDB's rules of paging, and the office that works with them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from fakes import NOON_MS, FakeTable
from scheduler.bundle import Bundle
from scheduler.crew import Alone
from scheduler.keying import Keyring
from scheduler.office import Office, Outline, Stretch
from scheduler.partitions import Memory
from scheduler.record import Record, asked_at
from scheduler.schedule import Key, Request, Schedule, Timer, sort_from

REACH_MS = 900_000
FAR_MS = NOON_MS + 10_000_000


@dataclass
class FakeCatalogue:
    """Pages of at most `items_max` items, filtered after they are cut, as DynamoDB does it."""

    items_max: int = 1_000
    items: dict[Key, Schedule | Bundle] = field(default_factory=dict)
    reads: int = 0

    def add(self, *things: Schedule | Bundle) -> None:
        self.items |= {each.key: each for each in things}

    def _page(self, partition, from_sort, to_sort, bundles_only, limit):
        assert from_sort <= to_sort
        self.reads += 1
        keys = sorted(key for key in self.items if key.partition == partition and from_sort <= key.sort <= to_sort)
        page = keys[: min(limit or self.items_max, self.items_max)]
        found = [self.items[key] for key in page]
        next_sort = page[-1].sort + " " if len(page) < len(keys) else None
        return [each for each in found if isinstance(each, Bundle) or not bundles_only], next_sort

    def stretch(self, partition, from_sort, to_sort, bundles_only, limit):
        things, next_sort = self._page(partition, from_sort, to_sort, bundles_only, limit)
        return Stretch([_copy(each) for each in things], next_sort)

    def outline(self, partition, from_sort, to_sort, bundles_only):
        things, next_sort = self._page(partition, from_sort, to_sort, bundles_only, None)
        timers = [(each.due_ms, each.name, each.id) for each in things if isinstance(each, Timer)]
        dues_ms = [each.due_ms for each in things if type(each) is Schedule]
        return Outline(dues_ms, timers, [each for each in things if isinstance(each, Bundle)], next_sort)


@dataclass
class FakeRecords:
    """By name; a batch answers for `batch_max` and leaves the rest."""

    batch_max: int = 100
    records: dict[str, Record] = field(default_factory=dict)

    def batch(self, names, whole):
        assert len(set(names)) == len(names)
        done, left = names[: self.batch_max], names[self.batch_max :]
        return {name: self.records[name] for name in done if name in self.records}, list(left)


def _copy(thing):
    if isinstance(thing, Bundle):
        return thing
    return Schedule(thing.key, thing.due_ms, thing.data, thing.target, name=thing.name)


def office(catalogue: FakeCatalogue, records: FakeRecords | None = None, partition_count: int = 4) -> Office:
    table = FakeTable()
    keyring = Keyring(partition_count, random.Random(1), 60_000)
    return Office(records or FakeRecords(), table, catalogue, Memory(table), None, Alone(), keyring, REACH_MS)


def entries(thing):
    return [thing] if isinstance(thing, Schedule) else thing.members()


def bundles(rng, dues_ms, partition_count):
    """As a batch with these moments is packed."""
    requests = {place: Request(due_ms, f"data {place}") for place, due_ms in enumerate(dues_ms)}
    return [bundle for bundle, _ in Keyring(partition_count, rng, 60_000).bundles(requests, None)]


def named(number, name, timer_only=False):
    """A timer and the record that it wakes, or one that it does not."""
    key = Key(str(number % 4), f"{sort_from(FAR_MS + number)}#{number:016x}")
    record_key = Key("0", f"{sort_from(FAR_MS)}#{'f' * 16}") if timer_only else key
    whole = Schedule(record_key, FAR_MS + number, f"data {number}" * 100, name=name)
    return Timer(key, FAR_MS + number, "", name=name), Record(whole, asked_at(NOON_MS), NOON_MS)
