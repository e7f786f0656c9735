"""Check that the manage function is exact over a month of schedules, and count what it reads. Price a name.

The last part compares a schedule with a name to one without.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from bench.laboratory.processes import Laboratory
from bench.trials import Bound, Figure, Size, at_most, tell

PARTITIONS = 8
HOURS, HOUR_S = 720, 3_600
DAY_S = 24 * HOUR_S
HOURS_LISTED = range(0, HOURS, 60)
AHEAD_S = 2 * DAY_S
"""Far enough ahead that no schedule comes within reach of the feed during the trial."""
LIMITS = (100, 1_000)
ITEMS_READ_MAX = 1.5
"""Items read per listed schedule.

Every partition adds its share and a little more. A bundle holds several schedules, so the report also shows how many
items the function read for each item it needed.
"""

UNNAMED_COUNTED = 10_000
UNNAMED_BEFORE = {"calls": 11_428, "sqs_requests": 1_001, "write_units": 20_009, "read_units": 376}
"""The counts from before names existed. A caller who uses no names must not pay for the names of others."""

WAKINGS_MAX = 2
"""The timer of the request, and at most a second one."""

Span = tuple[int, int]
Asked = dict[str, Any]


def manage(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Measure `list` of an hour and of a day, `forecast` of the month, and lives with a name and without."""
    tell(f"manage: laying {size.month:,} schedules")
    laboratory.control("reset")
    first_s = int(time.time()) // HOUR_S * HOUR_S + AHEAD_S
    month = {"partition_count": PARTITIONS, "count": size.month, "first_ms": first_s * 1000, "hours": HOURS}
    laid = laboratory.run(trial="lay_month", **month)
    section = f"Manage, {size.month:,} schedules over a month in {PARTITIONS} partitions"
    hours = [(first_s + hour * HOUR_S, first_s + (hour + 1) * HOUR_S) for hour in HOURS_LISTED]
    for what, spans, limit in (
        *((f"list of an hour, limit {limit:,}", hours, limit) for limit in LIMITS),
        (f"list of a day, limit {LIMITS[-1]:,}", [(first_s, first_s + DAY_S)], LIMITS[-1]),
    ):
        tell(f"manage: {what}")
        yield from _listed(laboratory, section, what, spans, limit, laid["schedules"])
    tell("manage: forecast")
    yield from _forecast(laboratory, section, (first_s, first_s + HOURS * HOUR_S), laid)
    yield from _lives(laboratory, size.named)
    yield from _debounce(laboratory)


def _listed(
    laboratory: Laboratory, section: str, what: str, spans: list[Span], limit: int, schedules: list[tuple[int, str]]
) -> Iterator[Figure]:
    events = [{"operation": "list", "from": begin, "to": end, "limit": limit} for begin, end in spans]
    asked = laboratory.run(trial="manage", events=events, partition_count=PARTITIONS)["asked"]
    wrong = listed = holding = 0
    for (begin, end), each in zip(spans, asked, strict=True):
        ids = [schedule["id"] for answer in each["answers"] for schedule in answer["schedules"]]
        wanted = [schedule_id for due_ms, schedule_id in schedules if begin * 1000 <= due_ms < end * 1000]
        wrong += sum(given != there for given, there in zip_longest(ids, wanted))
        listed += len(wanted)
        holding += len({tuple(schedule_id.split("-")[:3]) for schedule_id in wanted})

    def figure(name: str, unit: str, value: float, bound: Bound | None = None) -> Figure:
        return Figure(section, f"{what}: {name}", unit, value, None, None, bound)

    yield figure("schedules listed", "", listed / len(spans))
    yield figure("missing, too many or out of order", "", wrong, at_most(0, False))
    yield figure("invocations", "", sum(len(each["answers"]) for each in asked) / len(spans))
    yield figure("AWS calls", "", _sum(asked, "calls") / len(spans))
    yield figure("AWS calls per schedule listed", "", _sum(asked, "calls") / listed)
    read = _sum(asked, "items_read")
    yield figure("items read per schedule listed", "", read / listed, at_most(ITEMS_READ_MAX, False))
    yield figure("items read per item that holds what is listed", "", read / holding)
    yield figure("read units per schedule listed", "", _sum(asked, "read_units") / listed)
    yield figure("wall", "ms", _sum(asked, "wall_s") * 1000 / len(spans))
    yield figure("CPU", "ms", _sum(asked, "cpu_s") * 1000 / len(spans))


def _forecast(laboratory: Laboratory, section: str, span: Span, laid: dict[str, Any]) -> Iterator[Figure]:
    begin, end = span
    event = {"operation": "forecast", "from": begin, "to": end, "bucket": HOUR_S}
    outcome = laboratory.run(trial="manage", events=[event], partition_count=PARTITIONS)
    (asked,) = outcome["asked"]
    wanted, given = [0] * HOURS, [0] * HOURS
    for due_ms, _ in laid["schedules"]:
        if begin * 1000 <= due_ms < end * 1000:  # Some members of the bundles at the edges are outside the hour.
            wanted[(due_ms - begin * 1000) // (HOUR_S * 1000)] += 1
    for answer in asked["answers"]:
        given = [count + bucket["count"] for count, bucket in zip(given, answer["buckets"], strict=True)]
    wrong = sum(ours != theirs for ours, theirs in zip(given, wanted, strict=True))

    def figure(name: str, unit: str, value: float, bound: Bound | None = None) -> Figure:
        return Figure(section, f"forecast of the month in {HOURS} buckets: {name}", unit, value, None, None, bound)

    yield figure("schedules counted", "", sum(given))
    yield figure("wrong buckets", "", wrong, at_most(0, False))
    yield figure("invocations", "", len(asked["answers"]))
    yield figure("AWS calls", "", asked["calls"])
    yield figure("items read per item in the table", "", asked["items_read"] / laid["items"], at_most(1, False))
    yield figure("read units", "", asked["read_units"])
    yield figure("wall", "s", asked["wall_s"])
    yield figure("CPU", "s", asked["cpu_s"])
    yield figure("peak memory", "MiB", outcome["memory_bytes_max"] / 1_048_576)


def _lives(laboratory: Laboratory, count: int) -> Iterator[Figure]:
    """Compare a schedule without a name to its cost before names existed: "far, one by one" of `make cost`."""
    tell(f"manage: {count:,} lives with a name, and as many without")
    lives = laboratory.run(trial="lives", count=count)
    section = f"Whole life of {count:,} far schedules, requested one by one"
    before = UNNAMED_BEFORE if count == UNNAMED_COUNTED else {}
    for who in ("unnamed", "named"):
        for name, counted in (
            ("AWS calls", "calls"),
            ("requests to SQS", "sqs_requests"),
            ("write units", "write_units"),
            ("read units", "read_units"),
        ):
            bound = at_most(before[counted] / count, False) if who == "unnamed" and before else None
            yield Figure(section, f"{who}: {name} per schedule", "", lives[who].get(counted, 0), None, None, bound)


def _debounce(laboratory: Laboratory) -> Iterator[Figure]:
    """Measure what it costs to postpone one name again and again."""
    tell("manage: one name put off for an hour")
    taken = laboratory.run(trial="debounce")
    section = "One name put off by 60 s every 5 s, for an hour"
    for name, counted, bound in (
        ("timers that wake", "wakings", at_most(WAKINGS_MAX, False)),
        ("AWS calls", "calls", None),
        ("requests to SQS", "sqs_requests", None),
        ("write units", "write_units", None),
        ("read units", "read_units", None),
    ):
        yield Figure(section, f"{name} per request", "", taken[counted], None, None, bound)


def _sum(asked: list[Asked], name: str) -> float:
    total: float = sum(each.get(name, 0) for each in asked)
    return total
