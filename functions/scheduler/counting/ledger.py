"""The ledger: what entered and what left the scheduler, as this execution environment has counted it.

A use case counts before the step that makes a fact final: before it accepts, sends or deletes. It takes back what did
not happen, and that correction is written before the invocation ends. So a crash counts too much, and never too little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.execution.deadline import Deadline
    from scheduler.model.schedule import Schedule


class Ledger:
    """A ledger that counts nothing. A stack without a ledger uses it, so that most use cases need not ask."""

    on = False
    """Whether it counts. A use case that needs time to find its numbers asks this first."""

    def of(self, application: str) -> Ledger:
        """Return the ledger of an application."""
        return self

    def today(self, deadline: Deadline) -> str:
        """Return the day of UTC. Give it to `take_back`, because midnight may pass in between."""
        return ""

    def count(self, deadline: Deadline, day: str = "", **counts: int) -> str:
        """Count, write the row, and return its day. Raise NotConfirmed, with nothing counted, if it is not written."""
        return day

    def take_back(self, day: str, **counts: int) -> None:
        """Take back what was counted on a day and did not happen. The next write corrects the row."""

    def add(self, day: str, **counts: int) -> None:
        """Count in memory. The next write takes it along."""

    def delivered(self, schedule: Schedule, deadline: Deadline) -> None:
        """Count a delivery in memory, and keep the schedule among the latest."""

    def settle(self, deadline: Deadline) -> None:
        """Write all rows that have changed. A failure is logged, and the next write takes them along."""

    def accepted(self, day: str) -> int:
        """Return how many schedules this environment has counted as accepted on a day."""
        return 0


NO_LEDGER = Ledger()
