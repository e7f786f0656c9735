"""Make a month of schedules as the schedule function would have stored them: half alone, half in bundles.

The sort key of a bundle holds the time of its latest member. One bundle spans each full hour, the first and the last of
the month included. So every listing of an hour, and the listing of the whole month, meets members on either side of
both edges.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.laboratory.payloads import payload
from scheduler.aws import items
from scheduler.model.bundle import SPAN_MS_MAX
from scheduler.model.schedule import Request, Schedule
from scheduler.placing.keys import KeyGenerator

HOUR_MS = 3_600_000
MEMBERS = 20
FIRST_MEMBER_MS = 30_000
"""How long before the hour the first member of the bundle at its edge is due, at the earliest."""

Item = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Month:
    items: list[Item]
    schedules: list[Schedule]
    """In the order of the listing."""


def month(count: int, partition_count: int, first_ms: int, hours: int) -> Month:
    key_generator = KeyGenerator(partition_count, random.Random(1), SPAN_MS_MAX)
    alone = [key_generator.schedule(request) for request in _requests(count - count // 2, first_ms, hours)]
    found, schedules = [items.item(each) for each in alone], alone
    for group in _groups(count // 2, first_ms, hours):
        bundled: set[int] = set()
        for bundle, members in key_generator.bundles(dict(enumerate(group)), None):
            found.append(items.item(bundle))
            schedules += members.values()
            bundled |= members.keys()
        rest = [key_generator.schedule(each) for place, each in enumerate(group) if place not in bundled]
        found += [items.item(each) for each in rest]
        schedules += rest
    return Month(found, sorted(schedules, key=_place))


def _place(schedule: Schedule) -> tuple[int, str, str, int]:
    index = -1 if schedule.index is None else schedule.index
    return schedule.due_ms, schedule.key.sort, schedule.key.partition, index


def _requests(count: int, first_ms: int, hours: int) -> Iterator[Request]:
    chance = random.Random(2)
    for index in range(count):
        yield Request(first_ms + chance.randrange(hours * HOUR_MS), payload("json", index))


def _groups(count: int, first_ms: int, hours: int) -> Iterator[list[Request]]:
    """Yield groups of requests as a caller would send them, each due within the span of one bundle."""
    chance = random.Random(3)
    for number in range(0, count, MEMBERS):
        hour = number // MEMBERS
        begin_ms = first_ms + hour * HOUR_MS - FIRST_MEMBER_MS
        if hour > hours:
            begin_ms = first_ms + chance.randrange(hours * HOUR_MS - SPAN_MS_MAX)
        yield [
            Request(begin_ms + chance.randrange(SPAN_MS_MAX), payload("json", index))
            for index in range(number, min(count, number + MEMBERS))
        ]
