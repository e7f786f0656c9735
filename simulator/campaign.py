"""Run many seeds in parallel processes and add up their results."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from simulator.checks.releases import LEASE_IN_DOUBT, RunStats
from simulator.simulation import YEAR_S, Result, simulate

CHUNK = 5
"""The number of seeds that a process receives at a time."""
VIOLATIONS_MAX = 5
"""The campaign stops after this number of broken seeds, because more of them teach nothing new."""


@dataclass
class Total:
    """The statistics of all seeds so far."""

    seeds: int = 0
    stats: RunStats = field(default_factory=RunStats)
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[Result] = field(default_factory=list)
    took_s: float = 0.0

    def add(self, result: Result) -> None:
        mine, its = self.stats, result.stats
        self.seeds += 1
        self.faults += result.faults
        for name in ("schedules", "released", "repeats", "helped", "invocations", "calls", "virtual_s"):
            setattr(mine, name, getattr(mine, name) + getattr(its, name))
        mine.causes += its.causes
        mine.lateness_s_max = max(mine.lateness_s_max, its.lateness_s_max)
        mine.lateness_excused_s_max = max(mine.lateness_excused_s_max, its.lateness_excused_s_max)
        if result.violation is not None:
            self.broken.append(result)

    def lines(self) -> Iterator[str]:
        """Yield the lines of the summary."""
        its = self.stats
        each = 1000 / max(1, its.released)
        sure = its.repeats - its.causes[LEASE_IN_DOUBT]
        years = its.virtual_s / YEAR_S
        yield f"{self.seeds:,} seeds in {self.took_s:.0f} s, {len(self.broken)} of them with a broken promise"
        yield f"{its.schedules:,} schedules, {its.invocations:,} invocations, {its.calls:,} calls of AWS"
        yield f"{years:,.0f} virtual years, {years / max(0.001, self.took_s):,.1f} each second"
        yield f"{its.repeats:,} repeats, {its.repeats * each:.1f} of a thousand released"
        if its.repeats:
            yield f"{sure * each:.1f} of a thousand but for those of feeds that had no answer about their lease"
            yield "causes: " + ", ".join(f"{count:,} {cause}" for cause, count in its.causes.most_common())
        yield f"{its.helped:,} deliveries beside a batch in which something hung"
        excused_s = its.lateness_excused_s_max
        yield f"worst lateness {its.lateness_s_max:.1f} s with a healthy feed, {excused_s:,.0f} s in outages"
        yield "faults: " + (", ".join(f"{count:,} {kind}" for kind, count in sorted(self.faults.items())) or "none")


def run(
    seeds: Sequence[int],
    folder: Path | None = None,
    processes: int | None = None,
    tell: Callable[[Total], None] = lambda total: None,
    violations_max: int = VIOLATIONS_MAX,
) -> Total:
    """Run all seeds, or stop when enough of them have broken a promise."""
    total, begun_s = Total(), time.monotonic()
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    workers = processes or os.cpu_count() or 1
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_parent) as pool:
        coming = iter(chunks)
        waiting: set[Future[list[Result]]] = set()
        for chunk in coming:
            waiting.add(pool.submit(_simulate, chunk, folder))
            if len(waiting) >= 2 * workers:
                waiting = _gather(waiting, total, begun_s, tell)
            if len(total.broken) >= violations_max:
                break
        for _ in range(len(waiting)):
            if waiting:
                waiting = _gather(waiting, total, begun_s, tell)
    total.broken.sort(key=lambda result: result.seed)
    return total


def _gather(
    waiting: set[Future[list[Result]]], total: Total, begun_s: float, tell: Callable[[Total], None]
) -> set[Future[list[Result]]]:
    done, rest = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        for result in future.result():
            total.add(result)
    total.took_s = time.monotonic() - begun_s
    tell(total)
    return rest


def _end_with_parent() -> None:
    """End this process when its parent ends. A process of the pool would otherwise wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _simulate(seeds: Sequence[int], folder: Path | None) -> list[Result]:
    return [simulate(seed, folder) for seed in seeds]
