"""Keep an application within its quota: how many schedules it may have accepted in one day of UTC.

Each execution environment counts what it accepts, and writes its total before it accepts more. Once in 60 seconds it
reads the totals of the others. So all of them together exceed a quota by at most 60 seconds of traffic, and a crash
counts too much and never too little.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from scheduler.errors import QuotaUsedUp
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.execution.fresh_answers import FRESH_MS
from scheduler.execution.worker_pool import WorkerPool
from scheduler.model.application import Application
from scheduler.model.usage import ROWS, Count
from scheduler.timestamps import DAY_MS, day_of

COUNTED_MAX = 1_000
"""The applications that one environment counts at once: all that a stack can have."""


class Counts(Protocol):
    def write(self, count: Count) -> None: ...
    def read(self, day: str, application: str, row: str) -> list[Count]: ...


@dataclass(slots=True)
class _Day:
    """What this environment knows about one application on one day."""

    day: str
    own: int = 0
    seq: int = 0
    others: int = 0
    read_ms: int | None = None


class Quotas:
    def __init__(self, counts: Counts, pool: WorkerPool, environment: str) -> None:
        """`environment` is the random text that tells the rows of execution environments apart."""
        self._counts, self._pool, self._environment = counts, pool, environment
        self._days: dict[str, _Day] = {}

    def take(self, application: Application, asked: int, deadline: Deadline) -> Callable[[int], None]:
        """Count schedules before they are accepted. Raise QuotaUsedUp if there is no room for all of them.

        Return a function that gives back those that were rejected. The next call writes the correction.
        """
        if not application.quota:
            return lambda rejected: None
        now_ms = deadline.now_ms()
        known = self._known(application.id, day_of(now_ms).isoformat())
        if known.read_ms is None or not 0 <= now_ms - known.read_ms < FRESH_MS:
            known.others, known.read_ms = self._others(application.id, known.day, deadline), now_ms
        left = max(0, application.quota - known.others - known.own)
        if asked > left:
            raise QuotaUsedUp(
                f"{asked} schedules are asked for, and {left} of {application.quota} a day are left until midnight UTC",
                max(1, -(-(DAY_MS - now_ms % DAY_MS) // 1000)),
            )
        known.own, known.seq = known.own + asked, known.seq + 1
        count = Count(known.day, application.id, self._environment, known.own, known.seq)
        retry_call(functools.partial(self._counts.write, count), deadline)
        return functools.partial(_give_back, known)

    def _known(self, application_id: str, day: str) -> _Day:
        known = self._days.get(application_id)
        if known is None or known.day != day:
            self._days.pop(application_id, None)
            while len(self._days) >= COUNTED_MAX:
                del self._days[next(iter(self._days))]
            known = self._days[application_id] = _Day(day)
        return known

    def _others(self, application_id: str, day: str, deadline: Deadline) -> int:
        """Return what the other environments have counted."""

        def read(row: str) -> list[Count]:
            return retry_call(functools.partial(self._counts.read, day, application_id, row), deadline)

        found = [count for counts in self._pool.run(read, ROWS) for count in counts]
        return sum(count.accepted for count in found if count.environment != self._environment)


def _give_back(known: _Day, rejected: int) -> None:
    known.own -= rejected
