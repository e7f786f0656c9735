"""Count a batch in the ledger: before its first write, and then what of it did not happen.

A member without an answer from AWS stays counted, because AWS may have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.model.schedule import Request, is_near
from scheduler.model.targets import goes_straight

if TYPE_CHECKING:
    from scheduler.accepting.keyed_batch import Failures, KeyedBatch, RequestContext, SchedulingDependencies
    from scheduler.execution.deadline import Deadline

REPLACED = "replaced"


class CountedBatch:
    def __init__(
        self,
        keyed: KeyedBatch,
        requests: Mapping[int, Request],
        context: RequestContext,
        dependencies: SchedulingDependencies,
    ) -> None:
        self._keyed, self._requests = keyed, requests
        self._context, self._dependencies = context, dependencies
        self._expected: dict[int, Counter[str]] = {}
        self._day = ""

    def begin(self, failures: Failures, deadline: Deadline) -> bool:
        """Count the members that have not failed. Return whether they are counted, and note it as failures if not."""
        members = {index: each for index, each in self._keyed.schedules.items() if each.id not in failures}
        self._expected = {index: self._counts_of(index) for index in members}
        ledger = self._dependencies.ledger
        self._day = ledger.today(deadline)
        try:
            ledger.count(deadline, self._day, **_sum(self._expected))
        except NotConfirmed as failure:
            why = NotConfirmed(f"it was not counted: {failure}; send it again")
            failures.update({each.id: why for each in members.values()})
            return False
        return True

    def end(self, failures: Failures, deadline: Deadline) -> None:
        """Take back what did not happen."""
        excess = {index: self._excess(index, failures) for index in self._expected}
        self._dependencies.ledger.take_back(self._day, **_sum(excess))
        self._dependencies.ledger.settle(deadline)

    def _counts_of(self, index: int) -> Counter[str]:
        """Return what a member adds at most."""
        schedule, its = self._keyed.schedules[index], self._dependencies
        counts = Counter(accepted=1)
        if schedule.name is not None:
            counts[REPLACED] = int(self._requests[index].if_exists == "replace")
        elif goes_straight(schedule.target) and is_near(schedule.key.due_ms, self._context.now_ms, its.reach_ms):
            counts["released"] = 1
        return counts

    def _excess(self, index: int, failures: Failures) -> Counter[str]:
        """Return what a member did not add."""
        expected, failure = self._expected[index], self._keyed.failure_of(index, failures)
        if isinstance(failure, InvalidSchedule) or (isinstance(failure, NotConfirmed) and not failure.begun):
            return expected
        named = self._keyed.named.get(index)
        if named is None or named.result == REPLACED or named.unconfirmed:
            return Counter()
        if named.result == "created":
            return Counter(replaced=expected[REPLACED])
        return expected  # Another schedule keeps the name, or an earlier call has counted this one.


def _sum(counts: Mapping[int, Counter[str]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts.values():
        total.update(each)
    return dict(total)
