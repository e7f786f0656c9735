"""Make names as the schedule function would have stored them: a record for each, and its timer in the table."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from scheduler.aws import items
from scheduler.aws.name_records import Records
from scheduler.model.bundle import SPAN_MS_MAX
from scheduler.model.name_record import Record, request_number_at
from scheduler.model.schedule import Request, Schedule
from scheduler.placing import naming
from scheduler.placing.keys import KeyGenerator

Item = dict[str, dict[str, Any]]


@dataclass
class _Written:
    """Stands for the client of DynamoDB, and keeps each item that is put."""

    items: list[Item] = field(default_factory=list)

    def put_item(self, **call: Any) -> dict[str, Any]:
        self.items.append(call["Item"])
        return {}


def named(
    count: int, groups: int, partition_count: int, first_ms: int, length_ms: int
) -> tuple[list[Item], list[Schedule]]:
    """Return the items and the schedules. The names are spread over groups: `order/00/0`, `order/01/1` and so on."""
    key_generator = KeyGenerator(partition_count, random.Random(4), SPAN_MS_MAX)
    chance, written, schedules = random.Random(5), _Written(), list[Schedule]()
    records = Records(written, "table")
    for index in range(count):
        request = Request(
            first_ms + chance.randrange(length_ms), f"{index:0100d}", name=f"order/{index % groups:02d}/{index}"
        )
        schedule = key_generator.schedule(request)
        record = Record(schedule, request_number_at(first_ms, index), first_ms)
        records.put(record)
        written.items.append(items.item(naming.timer_of(record)))
        schedules.append(schedule)
    return written.items, schedules
