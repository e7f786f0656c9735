"""Read the rows of a day, which execution environments have written."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from scheduler.execution.deadline import Deadline, retry_call
from scheduler.execution.worker_pool import WorkerPool
from scheduler.model.usage import COUNTERS, ROWS, Count


class Counts(Protocol):
    def read(self, day: str, application: str, row: str) -> list[Count]: ...


def rows(
    days: Sequence[str], application: str, counts: Counts, pool: WorkerPool, deadline: Deadline
) -> dict[str, list[Count]]:
    """Return the rows of each day. Raise NotConfirmed if some could not be read in time."""

    def read(key: tuple[str, str]) -> list[Count]:
        return retry_call(functools.partial(counts.read, key[0], application, key[1]), deadline)

    keys = [(day, row) for day in days for row in ROWS]
    found: dict[str, list[Count]] = {day: [] for day in days}
    for (day, _), of_row in zip(keys, pool.run(read, keys), strict=True):
        found[day] += of_row
    return found


def total(counts: Iterable[Count]) -> dict[str, int]:
    """Return the sum by counter, in the order of the ledger."""
    found: Counter[str] = Counter()
    for count in counts:
        found.update(count.totals)
    return {name: found[name] for name in COUNTERS}
