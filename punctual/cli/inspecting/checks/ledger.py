"""Compare the ledger with what is pending: what entered must have left, or be pending.

Accepted + redriven = released + delivered + cancelled + replaced + expired + failed + pending.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from punctual.cli.inspecting.checks.finding import Answer, Check, fault, not_checked, ok
from punctual.cli.inspecting.subject import Subject

MONTHS_KEPT = 14
"""The table keeps the rows of a day for 400 days."""
END_S = 253_402_300_800
"""The year 10000, after every schedule."""
ENTERED = ("accepted", "redriven")
LEFT = ("released", "delivered", "cancelled", "replaced", "expired", "failed")
OWNER = "owner"
MISSING = (
    "a crash, or a request that was sent twice, counts too much; otherwise look at the dead-letter queue, and at the "
    "schedules of that time with punctual explain"
)


def ledger(subject: Subject) -> Iterator[Answer]:
    if "true" not in (subject.parameter("Ledger", "false"), subject.parameter("ApiEnabled", "false")):
        yield not_checked("the stack keeps no ledger; punctual deploy --parameter Ledger=true begins one")
        return
    applications = subject.operate_once("AdminFunction", "list")["applications"]
    for name in (OWNER, *(each["name"] for each in applications)):
        yield _compared(name, subject)


def _compared(name: str, subject: Subject) -> Answer:
    total = _total(name, subject)
    if not total:
        return ok(f"{name}: nothing was counted yet")
    pending, queued = _pending(name, subject)
    entered, left = sum(total[each] for each in ENTERED), sum(total[each] for each in LEFT)
    counts = ", ".join(f"{total[each]:,} {each}" for each in (*ENTERED, *LEFT) if total[each])
    missing = entered - left - pending
    said = f"{name}: {counts}, {pending:,} pending"
    if missing > queued:
        return fault(f"{said}: {missing:,} more entered than left or are pending", MISSING)
    if missing < 0:
        return ok(f"{said}: {-missing:,} more than entered, which repeats and older schedules explain")
    waiting = f"; {missing:,} may be among about {queued:,} messages of the delivery queue" if missing else ""
    return ok(f"{said}{waiting}")


def _total(name: str, subject: Subject) -> Counter[str]:
    total: Counter[str] = Counter()
    for month in _months(subject.now()):
        total.update(subject.operate_once("AdminFunction", "usage", name=name, month=month)["total"])
    return +total


def _months(now: datetime) -> Iterator[str]:
    """Yield the months that may have rows, the present one first."""
    for number in range(MONTHS_KEPT + 1):
        month = now.year * 12 + now.month - 1 - number
        yield f"{month // 12}-{month % 12 + 1:02}"


def _pending(name: str, subject: Subject) -> tuple[int, int]:
    """Return how many are pending in the table, and about how many messages the delivery queue holds."""
    fields: dict[str, Any] = {"from": 0, "to": END_S - 1, "bucket": END_S - 1, "application": name}
    total, queued = 0, 0
    while True:
        answer = subject.operate_once("ManageFunction", "forecast", **fields)
        total += answer["total"]
        queued = answer.get("queued", {}).get("delivery") or 0  # An application does not see the queues.
        if answer["next"] is None:
            return total, queued
        fields["next"] = answer["next"]


CHECKS = (Check("ledger", ledger),)
