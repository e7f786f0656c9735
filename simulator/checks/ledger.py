"""Check the ledger at the end of a run, when every schedule is settled.

Each counter is at least as high as the number of schedules with that outcome. A crash may have counted some of them
again. If nothing went wrong in a run, no more schedules left than entered, but for those that ended twice. The two are
equal if nobody asked for a schedule twice: each request under one token counts as accepted, and so does each redrive.

A row that the table did not take waits in the memory of an execution environment, and is lost with it. A line in the
log says so. A run with such a line says nothing about counters that are too low. In the same way a feed without time
for its correction leaves counters that are too high.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.checks.decoding import application_of, partition_of
from simulator.checks.names import Names
from simulator.workload.expected import ExpectedSchedule, Sent

ENTERED = ("accepted", "redriven")
LEFT = ("released", "delivered", "cancelled", "replaced", "expired", "failed")
NOT_WRITTEN, NOT_CORRECTED = '"not counted yet"', '"not corrected yet"'
PROMISE = 8

Counts = dict[str, Counter[str]]
"""By application, how many schedules each counter has."""


@dataclass(eq=False)
class LedgerCheck:
    report_violation: Callable[[int, str, str], None]
    names: Names
    expected_schedules: Mapping[str, ExpectedSchedule] = field(default_factory=dict)
    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    on: bool = False
    """Whether the stack keeps a ledger."""
    unwritten: bool = False
    """Whether a row was not written when it should have been."""
    uncorrected: bool = False
    """Whether a feed had no time to take back what it did not release."""

    def logged(self, line: str) -> None:
        """Remember whether a function logged that it left counters too low or too high."""
        self.unwritten = self.unwritten or NOT_WRITTEN in line
        self.uncorrected = self.uncorrected or NOT_CORRECTED in line

    def wrote(self, row: dict[str, Any] | None) -> None:
        """Remember the row. The table deletes it after a year, and a run may last longer."""
        if row is not None:
            self.rows[row["partition"]["S"], row["sort"]["S"]] = row

    def check_all(self, quiet: bool) -> None:
        """Compare the rows with what happened. In a quiet run no faults occurred."""
        if not self.on:
            return
        counted, happened = _counted(self.rows.values()), self._happened()
        for application in sorted({*counted, *happened}):
            its, least = counted.get(application, Counter()), happened.get(application, Counter())
            whose = application or "the owner"
            if not self.unwritten:
                for counter, number in sorted(least.items()):
                    if its[counter] < number:
                        self.report_violation(
                            PROMISE, "", f"{its[counter]} of {whose} are counted as {counter}, not {number}"
                        )
            entered, left = sum(its[each] for each in ENTERED), sum(its[each] for each in LEFT)
            own = [each for each in self.expected_schedules.values() if each.application == application]
            repeats = sum(map(self._repeats_of, own))
            twice = its["redriven"] or any(each.asked > 1 for each in own)
            if (
                quiet
                and not self.unwritten
                and not self.uncorrected
                and (left > entered + repeats or (left < entered and not twice))
            ):
                self.report_violation(PROMISE, "", f"of {whose} {entered} entered and {left} left: {dict(its)}")

    def _happened(self) -> Counts:
        """Return how many schedules certainly had each outcome."""
        happened: Counts = {}
        for expected in self.expected_schedules.values():
            if expected.name is None:
                its = happened.setdefault(expected.application, Counter())
                its.update(self._outcomes_of(expected))
        for generations in self.names.generations.values():
            seen: set[str] = set()
            for each in generations:
                its = happened.setdefault(each.expected.application, Counter())
                by_caller = each.id not in self.names.moved_ids and each.id not in seen
                seen.add(each.id)
                its["accepted"] += by_caller
                its["replaced"] += by_caller and each.replaces
                its["cancelled"] += each.state == "cancelled"
                its["delivered"] += each.state == "delivered"
        return happened

    def _repeats_of(self, expected: ExpectedSchedule) -> int:
        """Return how often a schedule came out, failed or was withdrawn beyond the first time.

        SQS may deliver a message twice, and a cancel or a later schedule may come in the moment of a delivery.
        """
        ends = Counter({schedule_id: len(sends) for schedule_id, sends in expected.sends.items()})
        ends.update(expected.failures)
        ends.update(
            [each for each in ends if each in expected.withdrawn or self.names.was_withdrawn(expected.name, each)]
        )
        return sum(count - 1 for count in ends.values())

    def _outcomes_of(self, expected: ExpectedSchedule) -> Counter[str]:
        """Return the outcomes of the ids of an unnamed schedule."""
        own = {*expected.stored, *expected.sends, *expected.on_its_way} - expected.moved
        straight = expected.target is None
        cancelled = [each for each in expected.withdrawn if expected.withdrawing[each] == {"cancel"}]
        return Counter(
            accepted=len(own),
            released=len(expected.sends) if straight else 0,
            delivered=0 if straight else sum(any(map(_is_final, sent)) for sent in expected.sends.values()),
            cancelled=len(cancelled),
        )


def _is_final(sent: Sent) -> bool:
    """Return whether a delivery ended. After a crash its message comes again, and may end in another way."""
    return sent.confirmed and sent.invocation is not None and sent.invocation.outcome == "returned"


def _counted(items: Iterable[dict[str, Any]]) -> Counts:
    counted: Counts = {}
    for item in items:
        its = counted.setdefault(application_of(item), Counter())
        for counter in (*ENTERED, *LEFT):
            its[counter] += int(item.get(counter, {"N": "0"})["N"])
    return counted


def is_count(item: dict[str, Any]) -> bool:
    return partition_of(item).startswith("count#")
