"""A ledger that is kept in the table, one row for each execution environment, application and day.

The rows hold absolute totals with a number that grows. The highest number wins, whichever write arrives last.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from scheduler import log
from scheduler.counting.ledger import Ledger
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import retry_call
from scheduler.model.application import OWNER_NAME
from scheduler.model.usage import Count, Recent, latest
from scheduler.timestamps import day_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scheduler.execution.deadline import Deadline
    from scheduler.model.schedule import Schedule

COUNT_TRIES_MAX = 3
"""A count must not hold up for long a schedule that is due."""


class Counts(Protocol):
    def write(self, count: Count) -> None: ...


@dataclass(slots=True)
class _Row:
    totals: dict[str, int] = field(default_factory=dict)
    recent: list[Recent] = field(default_factory=list)
    seq: int = 0
    written_seq: int = 0


@dataclass(slots=True)
class _Rows:
    """The rows of an execution environment. The ledgers of its applications share them."""

    counts: Counts
    environment: str
    held: dict[tuple[str, str], _Row] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def of(self, day: str, application: str) -> _Row:
        """Return a row. Forget written rows that no invocation can need any more.

        A row that is begun anew loses to the one in the table, which has a higher number. An invocation that began
        before midnight still counts for the day before.
        """
        found = self.held.get((day, application))
        if found is None:
            yesterday = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
            for (earlier, whose), row in list(self.held.items()):
                if earlier < yesterday and row.seq == row.written_seq:
                    del self.held[earlier, whose]
            found = self.held[day, application] = _Row()
        return found


class WrittenLedger(Ledger):
    on = True

    def __init__(self, rows: _Rows, application: str) -> None:
        self._rows, self._application = rows, application

    @classmethod
    def begin(cls, counts: Counts, environment: str) -> WrittenLedger:
        """Return the owner's ledger. `environment` is the random text that tells the rows of environments apart."""
        return cls(_Rows(counts, environment), "")

    def of(self, application: str) -> Ledger:
        return WrittenLedger(self._rows, application)

    def today(self, deadline: Deadline) -> str:
        return day_of(deadline.now_ms()).isoformat()

    def count(self, deadline: Deadline, day: str = "", **counts: int) -> str:
        day = day or self.today(deadline)
        if any(counts.values()):
            self._add(day, counts)
            try:
                self._write(day, self._application, deadline)
            except NotConfirmed:
                self.take_back(day, **counts)
                raise
        return day

    def take_back(self, day: str, **counts: int) -> None:
        if any(counts.values()):
            self._add(day, {name: -number for name, number in counts.items()})

    def add(self, day: str, **counts: int) -> None:
        if any(counts.values()):
            self._add(day, counts)

    def delivered(self, schedule: Schedule, deadline: Deadline) -> None:
        recent = Recent(schedule.id, schedule.due_ms, deadline.now_ms(), schedule.name)
        self._add(self.today(deadline), {"delivered": 1}, recent)

    def settle(self, deadline: Deadline) -> None:
        few = replace(deadline, tries_max=COUNT_TRIES_MAX)
        for day, application in self._changed():
            try:
                self._write(day, application, few)
            except NotConfirmed as failure:
                log.outcome("not counted yet", application=application or OWNER_NAME, day=day, error=str(failure))

    def accepted(self, day: str) -> int:
        with self._rows.lock:
            return self._rows.of(day, self._application).totals.get("accepted", 0)

    def _add(self, day: str, counts: Mapping[str, int], recent: Recent | None = None) -> None:
        with self._rows.lock:
            row = self._rows.of(day, self._application)
            for name, number in counts.items():
                row.totals[name] = row.totals.get(name, 0) + number
            if recent is not None:
                row.recent = latest([*row.recent, recent])
            row.seq += 1

    def _changed(self) -> list[tuple[str, str]]:
        with self._rows.lock:
            return [each for each, row in self._rows.held.items() if row.seq > row.written_seq]

    def _write(self, day: str, application: str, deadline: Deadline) -> None:
        with self._rows.lock:
            row = self._rows.of(day, application)
            totals, recent = dict(row.totals), tuple(row.recent)
            count = Count(day, application, self._rows.environment, row.seq, totals, recent)
        retry_call(partial(self._rows.counts.write, count), deadline)
        with self._rows.lock:
            row.written_seq = max(row.written_seq, count.seq)
