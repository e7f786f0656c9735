"""Keep an application within its quota: how many schedules it may have accepted in one day of UTC.

Each execution environment counts in the ledger what it accepts, before it accepts it. Once in 60 seconds it reads the
totals of the others. So all of them together exceed a quota by at most 60 seconds of traffic, and a crash counts too
much and never too little.
"""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.counting import reading
from scheduler.counting.ledger import Ledger
from scheduler.counting.reading import Counts
from scheduler.errors import QuotaUsedUp
from scheduler.execution.deadline import Deadline
from scheduler.execution.fresh_answers import FRESH_MS
from scheduler.execution.worker_pool import WorkerPool
from scheduler.model.application import Application
from scheduler.timestamps import DAY_MS

COUNTED_MAX = 1_000
"""The applications whose totals one environment keeps: all that a stack can have."""


@dataclass(slots=True)
class _Others:
    """The total of the other environments for one application and day."""

    day: str
    accepted: int
    read_ms: int


class Quotas:
    def __init__(self, counts: Counts, pool: WorkerPool, ledger: Ledger, environment: str) -> None:
        """`environment` tells the rows of this execution environment apart. The ledger knows them already."""
        self._counts, self._pool, self._ledger, self._environment = counts, pool, ledger, environment
        self._others: dict[str, _Others] = {}

    def check(self, application: Application, asked: int, deadline: Deadline) -> None:
        """Raise QuotaUsedUp if there is no room for all of the schedules that are asked for."""
        if not application.quota:
            return
        now_ms, day = deadline.now_ms(), self._ledger.today(deadline)
        known = self._others.get(application.id)
        if known is None or known.day != day or not 0 <= now_ms - known.read_ms < FRESH_MS:
            known = self._keep(application.id, _Others(day, self._read(application.id, day, deadline), now_ms))
        accepted = known.accepted + self._ledger.of(application.id).accepted(day)
        left = max(0, application.quota - accepted)
        if asked > left:
            raise QuotaUsedUp(
                f"{asked} schedules are asked for, and {left} of {application.quota} a day are left until midnight UTC",
                max(1, -(-(DAY_MS - now_ms % DAY_MS) // 1000)),
            )

    def _keep(self, application_id: str, others: _Others) -> _Others:
        self._others.pop(application_id, None)
        while len(self._others) >= COUNTED_MAX:
            del self._others[next(iter(self._others))]
        self._others[application_id] = others
        return others

    def _read(self, application_id: str, day: str, deadline: Deadline) -> int:
        """Return what the other environments have counted."""
        found = reading.rows([day], application_id, self._counts, self._pool, deadline)[day]
        return reading.total(count for count in found if count.environment != self._environment)["accepted"]
