"""An index of the named schedules whose timers are in the delivery queue, by the moment at which each comes out next.

A queue cannot be asked what is in it, and records lie by their names. So whoever puts a timer into the delivery queue
writes a row of this index as well. A row has the key of its latest timer and holds up to fifty, due within a minute.
- A request and a move write the row before they answer: what was accepted is found.
- A feed writes the row before it deletes the far timer: a timer is in the table or in the index at any time.
- Nobody deletes a row. A reader asks the record of each name whether it waits for this very timer. DynamoDB removes the
  row about an hour after its latest moment.
- A crash between row and timer leaves a row whose record does not wait for it, or a timer that is set again.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch
from scheduler.model.bundle import SPAN_MS_MAX
from scheduler.model.schedule import Key, Schedule, is_id, key_of, sort_from, sound

NEAR = "near#"
PARTITIONS = tuple(f"{NEAR}{digit:x}" for digit in range(16))
ENTRIES_MAX = 50
"""Less than three kilobytes, and no more than a feed sends together."""
ROW_BYTES_MAX = 65_536
"""More than fifty names and ids take up, unpacked."""
RETRY_TRIES_MAX = 3
KEPT_S = 3_600
"""How long a row stays behind its latest moment. What is still late then is found by its name alone."""


class Table(Protocol):
    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A timer in the delivery queue: whose it is, and when it wakes the record."""

    id: str
    name: str
    wakes_ms: int

    @property
    def facts(self) -> list[str | int]:
        """As it stands in a row. The moment of a first try is in the id."""
        return [self.id, self.name, *([] if self.wakes_ms == key_of(self.id).due_ms else [self.wakes_ms])]

    def as_schedule(self) -> Schedule:
        return Schedule(key_of(self.id), self.wakes_ms, "", name=self.name)


@dataclass(frozen=True, slots=True)
class Row:
    key: Key
    entries: tuple[Entry, ...]

    @property
    def item(self) -> dict[str, dict[str, Any]]:
        """As it lies in the table."""
        texts = [each.facts for each in self.entries]
        return {
            "partition": {"S": self.key.partition},
            "sort": {"S": self.key.sort},
            "timers": {"B": zlib.compress(json.dumps(texts, separators=(",", ":")).encode())},
            "first": {"N": str(min(each.wakes_ms for each in self.entries))},
            "ttl": {"N": str(self.key.due_ms // 1000 + KEPT_S)},
        }


def rows(entries: Iterable[Entry]) -> list[Row]:
    """Those that come out close together share a row. The same entries make the same rows again."""
    found: list[Row] = []
    held: list[Entry] = []
    for each in sorted(entries, key=lambda entry: (entry.wakes_ms, entry.id)):
        if held and (len(held) == ENTRIES_MAX or each.wakes_ms - held[0].wakes_ms > SPAN_MS_MAX):
            found.append(_row(held))
            held = []
        held.append(each)
    return [*found, _row(held)] if held else found


def entry_of(schedule: Schedule) -> Entry:
    """Of a named schedule or its timer. A second timer comes later than its key says, and is no other entry."""
    return Entry(schedule.id, schedule.name or "", schedule.key.due_ms)


def write(entries: Iterable[Entry], table: Table, deadline: Deadline) -> set[str]:
    """Write the rows of those that have a name. The ids of those whose row was not confirmed."""
    outcome = retry_batch(table.put_near_names, rows(each for each in entries if each.name), deadline)
    return {each.id for row in outcome.unconfirmed for each in row.entries}


def list_retry(schedule: Schedule, wakes_ms: int, table: Table, deadline: Deadline) -> None:
    """By this row a retry is listed at its moment. It is late already, so nothing waits for the row for long."""
    entry = Entry(schedule.id, schedule.name or "", wakes_ms)
    write([entry], table, replace(deadline, tries_max=RETRY_TRIES_MAX))


def row_of(item: dict[str, dict[str, Any]]) -> Row:
    """KeyError or ValueError where the item is none."""
    unpacker = zlib.decompressobj()
    try:
        texts = json.loads(unpacker.decompress(item["timers"]["B"], ROW_BYTES_MAX))
        entries = tuple(_entry(*facts) for facts in texts)
    except (zlib.error, TypeError, AttributeError, RecursionError) as fault:
        raise ValueError(f"no row: {fault}") from fault
    return Row(Key(item["partition"]["S"], item["sort"]["S"]), entries)


def _entry(schedule_id: object, name: str, wakes_ms: int | None = None) -> Entry:
    """ValueError where it is none: others may write there, too."""
    if not is_id(schedule_id):
        raise ValueError("its id is none")
    found = Entry(schedule_id, name, key_of(schedule_id).due_ms if wakes_ms is None else wakes_ms)
    sound(found.as_schedule(), or_timer=True)
    return found


def _row(entries: list[Entry]) -> Row:
    digest = hashlib.sha256("".join(f"{each.id} {each.wakes_ms} " for each in entries).encode()).hexdigest()
    return Row(Key(f"{NEAR}{digest[0]}", f"{sort_from(entries[-1].wakes_ms)}#{digest[1:17]}"), tuple(entries))
