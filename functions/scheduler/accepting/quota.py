"""Keep an application within its quota: how many schedules it may have accepted in one day of UTC.

Each execution environment counts in the ledger what it accepts, before it accepts it. Once in 60 seconds it reads the
totals of the others. So all of them together exceed a quota by at most 60 seconds of traffic, and a crash counts too
much and never too little.
"""

from __future__ import annotations

from scheduler.counting import reading
from scheduler.counting.ledger import Ledger
from scheduler.counting.reading import Counts
from scheduler.errors import QuotaUsedUp
from scheduler.execution.deadline import Deadline
from scheduler.execution.fresh_answers import FreshAnswers
from scheduler.execution.worker_pool import WorkerPool
from scheduler.model.application import Application
from scheduler.timestamps import DAY_MS

COUNTED_MAX = 1_000
"""The applications whose totals one environment keeps: all that a stack can have."""


class Quotas:
    def __init__(self, counts: Counts, pool: WorkerPool, ledger: Ledger, environment: str) -> None:
        """`environment` tells the rows of this execution environment apart. The ledger knows them already."""
        self._counts, self._pool, self._ledger, self._environment = counts, pool, ledger, environment
        self._others: FreshAnswers[int] = FreshAnswers(COUNTED_MAX)

    def check(self, application: Application, count: int, deadline: Deadline) -> None:
        """Raise QuotaUsedUp if there is no room for all of the schedules that are asked for."""
        if not application.quota:
            return
        now_ms, day = deadline.now_ms(), self._ledger.today(deadline)
        accepted = self._by_others(application.id, day, deadline) + self._ledger.of(application.id).accepted(day)
        left = max(0, application.quota - accepted)
        if count > left:
            raise QuotaUsedUp(
                f"{count} schedules are asked for, and {left} of {application.quota} a day are left until midnight UTC",
                max(1, -(-(DAY_MS - now_ms % DAY_MS) // 1000)),
            )

    def _by_others(self, application_id: str, day: str, deadline: Deadline) -> int:
        """Return what the other environments had counted on a day, read less than a minute ago."""
        question, now_ms = (application_id, day), deadline.now_ms()
        kept = self._others.get(question, now_ms)
        if kept is not None:
            return kept.answer
        found = reading.rows([day], application_id, self._counts, self._pool, deadline)[day]
        others = reading.total(count for count in found if count.environment != self._environment)
        return self._others.keep(question, others["accepted"], now_ms)
