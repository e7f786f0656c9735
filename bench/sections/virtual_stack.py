"""Measure `punctual.testing`: how long a test takes that schedules much and moves the clock by days."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.laboratory.processes import Laboratory
from bench.trials import Figure, Series, Size, at_most, tell
from punctual.testing import Stack

DAYS = 8
WALL_S_MAX = 10
START = 1_893_456_000


def virtual_stack(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Schedule in batches of a thousand, evenly over eight days, and release all of them."""
    series = Series()
    for number in range(1, size.rounds + 1):
        tell(f"virtual stack: round {number} of {size.rounds}")
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        _release_all(size.most)
        taken = {"cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - wall_s}
        series.rounds.append({"ours": taken})
    section = f"punctual.testing, {size.most:,} schedules over {DAYS} days"
    bound = at_most(WALL_S_MAX, of_ratio=False)
    yield Figure(section, "wall", "s", series.median("ours", lambda outcome: outcome["wall_s"]), wanted=bound)
    yield Figure(section, "CPU", "s", series.median("ours", lambda outcome: outcome["cpu_s"]))


def _release_all(count: int) -> None:
    stack = Stack(start=START)
    for first in range(0, count, 1_000):
        numbers = range(first, min(first + 1_000, count))
        stack.schedule([{"timestamp": START + 60 + number * DAYS * 86_400 / count, "data": "x"} for number in numbers])
    stack.advance(days=DAYS, hours=1)
    if len(stack.released()) != count:
        raise RuntimeError(f"{len(stack.released())} of {count} schedules were released")
