"""Count what a look at many pending schedules reads: a first page, a month by day and by hour, and a search.

The stage is the one of bench/cost.py: the real functions without HTTP and without waiting. The counts are the same at
every run. No clock ticks, so one call reads a whole month. On AWS a call ends after 24 s, and the next one goes on.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.cost import NOW_S, Context, Stage, functions
from bench.laboratory.names import named

PARTITIONS = 8
NAMED_PART = 50
"""One schedule of so many has a name."""
GROUPS, GROUP = 20, 7
DAYS, DAY_S, HOUR_S = 30, 86_400, 3_600
MONTH_S = DAYS * DAY_S
FIRST_S = NOW_S + 2 * DAY_S
LIMITS = (100, 1_000)
DATA_CHARACTERS = 100

Counts = dict[str, float]
Due = tuple[int, str, str]
"""When a schedule is due in milliseconds, its sort key, and its partition."""


@dataclass
class Pending:
    """The schedules in the table, in the order in which they are due, and the function that is asked for them."""

    stage: Stage
    dues: list[Due]
    manage: Any

    def asked(self, **event: Any) -> tuple[dict[str, Any], Counts]:
        """Return the answer, and what it took."""
        counted = self.stage.services.counted
        before = dict(counted)
        with contextlib.redirect_stdout(io.StringIO()):
            answer: dict[str, Any] = self.manage(event, Context())
        names = ("calls", "items_read", "read_units")
        return answer, {name: counted.get(name, 0) - before.get(name, 0) for name in names}


def looks(count: int) -> dict[str, Counts]:
    """Return what each look at `count` schedules took. `wrong` counts the entries or buckets that are not right."""
    pending = _laid(count)
    found = {f"first page, limit {limit:,}": _first_page(pending, limit) for limit in LIMITS}
    for bucket_s, estimate in ((DAY_S, False), (DAY_S, True), (HOUR_S, True)):
        kind = "estimate" if estimate else "exact"
        found[f"month in {MONTH_S // bucket_s} buckets, {kind}"] = _forecast(pending, bucket_s, estimate)
    matching = sum(index % GROUPS == GROUP for index in range(count // NAMED_PART))
    found[f"prefix of {matching:,} names, limit {LIMITS[0]:,}"] = _search(pending, matching)
    return found


def _laid(count: int) -> Pending:
    stage, dues = functions().stage, list[Due]()
    database, names = stage.services.database, count // NAMED_PART
    meta = {"partition": {"S": "meta"}, "sort": {"S": "partitions"}, "count": {"N": str(PARTITIONS)}}
    database.preload(meta)
    for due in _unnamed(count - names):
        due_ms, sort, partition = due
        item = {"partition": {"S": partition}, "sort": {"S": sort}, "data": {"S": f"{due_ms:0{DATA_CHARACTERS}d}"}}
        database.preload(item)
        dues.append(due)
    items, schedules = named(names, GROUPS, PARTITIONS, FIRST_S * 1000, MONTH_S * 1000)
    for each in items:
        database.preload(each)
    dues += [(each.due_ms, each.key.sort, each.key.partition) for each in schedules]
    return Pending(stage, sorted(dues), importlib.import_module("manage").handler)


def _unnamed(count: int) -> Iterator[Due]:
    """Yield schedules that are spread evenly over the month and the partitions."""
    for index in range(count):
        due_ms = FIRST_S * 1000 + index * MONTH_S * 1000 // count
        yield due_ms, f"{due_ms:015d}#{index:016x}", str(index % PARTITIONS)


def _first_page(pending: Pending, limit: int) -> Counts:
    answer, counts = pending.asked(operation="list", limit=limit)
    wanted = [f"{partition}-{sort.replace('#', '-')}" for _, sort, partition in pending.dues[:limit]]
    given = [each["id"] for each in answer["schedules"]]
    return {**counts, "wrong": sum(one != other for one, other in zip(given, wanted, strict=True))}


def _forecast(pending: Pending, bucket_s: int, estimate: bool) -> Counts:
    span = {"from": FIRST_S, "to": FIRST_S + MONTH_S, "bucket": bucket_s}
    answer, counts = pending.asked(operation="forecast", estimate=estimate, **span)
    wanted = [0] * (MONTH_S // bucket_s)
    for due_ms, _, _ in pending.dues:
        wanted[(due_ms // 1000 - FIRST_S) // bucket_s] += 1
    pairs = list(zip((each["count"] for each in answer["buckets"]), wanted, strict=True))
    if estimate:
        return {**counts, "off": max(abs(one - other) / other for one, other in pairs)}
    return {**counts, "wrong": sum(one != other for one, other in pairs) + (answer["next"] is not None)}


def _search(pending: Pending, matching: int) -> Counts:
    prefix = f"order/{GROUP:02d}/"
    answer, counts = pending.asked(operation="list", prefix=prefix, limit=LIMITS[0])
    places = [(each["timestamp"], each["name"]) for each in answer["schedules"]]
    wrong = sum(not name.startswith(prefix) for _, name in places) + (places != sorted(places))
    return {**counts, "wrong": wrong + (len(places) != min(LIMITS[0], matching))}
