"""An index, by time, of the named schedules whose timers are in the delivery queue.

SQS cannot list the messages of a queue, and the records are sorted by name. So each function that sends a timer to the
delivery queue also writes a row of this index. A row has the key of its latest timer, and holds up to fifty timers that
wake within a minute.
- A request and a move write the row before they answer, so a listing finds every accepted schedule.
- A feed writes the row before it deletes the far timer, so a timer is always in the table or in the index.
- No function deletes a row. A reader checks in the record of each name whether it waits for this timer. DynamoDB
  expires the row about an hour after its latest time.
- A crash between the row and the timer leaves a row that no record waits for, or a timer that is set again.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch
from scheduler.model.bundle import SPAN_MS_MAX
from scheduler.model.schedule import Key, Schedule, is_id, key_of, sort_from, sound
from scheduler.value_class import value_class

NEAR_NAMES = "near#"
NEAR_NAME_PARTITIONS = tuple(f"{NEAR_NAMES}{digit:x}" for digit in range(16))
ENTRIES_MAX = 50
"""Entries in a row: less than three kilobytes, and no more than a feed sends in one chunk."""
ROW_BYTES_MAX = 65_536
"""More than fifty names and ids take, uncompressed."""
RETRY_TRIES_MAX = 3
ROW_KEPT_S = 3_600
"""How long a row stays after its latest time. A schedule that is later still is found only by its name."""


class Table(Protocol):
    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]: ...


@value_class
class Entry:
    """A timer in the delivery queue: its id, its name, and when it wakes the record."""

    id: str
    name: str
    wakes_ms: int

    @property
    def facts(self) -> list[str | int]:
        """The entry as a row stores it. The id contains the time of the first attempt, so a row stores only others."""
        return [self.id, self.name, *([] if self.wakes_ms == key_of(self.id).due_ms else [self.wakes_ms])]

    def as_schedule(self) -> Schedule:
        return Schedule(key_of(self.id), self.wakes_ms, "", name=self.name)


@value_class
class Row:
    key: Key
    entries: tuple[Entry, ...]

    @property
    def item(self) -> dict[str, dict[str, Any]]:
        """The row as an item of the table."""
        texts = [each.facts for each in self.entries]
        return {
            "partition": {"S": self.key.partition},
            "sort": {"S": self.key.sort},
            "timers": {"B": zlib.compress(json.dumps(texts, separators=(",", ":")).encode())},
            "first": {"N": str(min(each.wakes_ms for each in self.entries))},
            "ttl": {"N": str(self.key.due_ms // 1000 + ROW_KEPT_S)},
        }


def rows(entries: Iterable[Entry]) -> list[Row]:
    """Return the rows. Entries that wake close together share one. The same entries always make the same rows."""
    found: list[Row] = []
    held: list[Entry] = []
    for each in sorted(entries, key=lambda entry: (entry.wakes_ms, entry.id)):
        if held and (len(held) == ENTRIES_MAX or each.wakes_ms - held[0].wakes_ms > SPAN_MS_MAX):
            found.append(_row(held))
            held = []
        held.append(each)
    return [*found, _row(held)] if held else found


def entry_of(schedule: Schedule) -> Entry:
    """Return the entry of a named schedule or timer. A backup timer has the entry of the first, but wakes later."""
    return Entry(schedule.id, schedule.name or "", schedule.key.due_ms)


def write(entries: Iterable[Entry], table: Table, deadline: Deadline) -> set[str]:
    """Write the rows of the entries with a name. Return the ids of entries whose row was not confirmed."""
    outcome = retry_batch(table.put_near_names, rows(each for each in entries if each.name), deadline)
    return {each.id for row in outcome.unconfirmed for each in row.entries}


def list_retry(schedule: Schedule, wakes_ms: int, table: Table, deadline: Deadline) -> None:
    """Write a row that lists a retry at its time. The retry is late already, so the write gets only a few tries."""
    entry = Entry(schedule.id, schedule.name or "", wakes_ms)
    write([entry], table, replace(deadline, tries_max=RETRY_TRIES_MAX))


def row_of(item: dict[str, dict[str, Any]]) -> Row:
    """Return the row in an item. Raise KeyError or ValueError if the item is not a row."""
    unpacker = zlib.decompressobj()
    try:
        texts = json.loads(unpacker.decompress(item["timers"]["B"], ROW_BYTES_MAX))
        entries = tuple(_entry(*facts) for facts in texts)
    except (zlib.error, TypeError, AttributeError, RecursionError) as fault:
        raise ValueError(f"no row: {fault}") from fault
    return Row(Key(item["partition"]["S"], item["sort"]["S"]), entries)


def _entry(schedule_id: object, name: str, wakes_ms: int | None = None) -> Entry:
    """Return an entry, or raise ValueError if it is invalid. Others may write to the table, too."""
    if not is_id(schedule_id):
        raise ValueError("its id is none")
    found = Entry(schedule_id, name, key_of(schedule_id).due_ms if wakes_ms is None else wakes_ms)
    sound(found.as_schedule(), or_timer=True)
    return found


def _row(entries: list[Entry]) -> Row:
    digest = hashlib.sha256("".join(f"{each.id} {each.wakes_ms} " for each in entries).encode()).hexdigest()
    return Row(Key(f"{NEAR_NAMES}{digest[0]}", f"{sort_from(entries[-1].wakes_ms)}#{digest[1:17]}"), tuple(entries))
