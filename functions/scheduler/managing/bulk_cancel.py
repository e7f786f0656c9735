"""Cancel all pending schedules whose names start with a prefix, page by page.

After a crash, the schedules cancelled so far stay cancelled, but the caller has no `next`. The caller repeats the same
request: it continues with the rest, because cancelled schedules are no longer pending.

`cancelled` counts only schedules that this call certainly cancelled. If AWS does not answer in time, the record may or
may not be cancelled. The answer counts it as `unconfirmed`, and the next page finds it again if it is still pending.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.managing import changing, paging
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.listing.by_prefix import first_sort
from scheduler.managing.request import ManageRequest
from scheduler.model.name_record import NAME_PARTITIONS, Record

DRY_RUN_WANTED = "true to count the schedules only, or false to cancel them"
CANCELLED, CHANGED, UNCONFIRMED, NOT_ATTEMPTED = "cancelled", "changed", "unconfirmed", "untried"
"""The result for a record: cancelled by this call, changed by another call since it was read, no answer, not tried."""


def cancel_where(request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline) -> dict[str, Any]:
    request.required("prefix")
    dry_run = request.decided("dry_run", DRY_RUN_WANTED)
    prefix, (from_ms, to_ms) = request.prefix() or "", request.span()
    number, sort = _decoded(request.fields.get("next"), prefix) or (0, first_sort(prefix))
    matched, results, begun = 0, Counter[str](), False
    while number < len(NAME_PARTITIONS) and not (begun and deadline.passed()):
        start = NAME_PARTITIONS[number], sort
        names = retry_call(lambda: dependencies.records.page(*start, prefix, from_ms, to_ms), deadline)  # noqa: B023 - Called at once.
        found = Counter() if dry_run else _cancel(names.records, dependencies, deadline)
        matched += len(names.records) if dry_run else found[CANCELLED] + found[CHANGED]
        results += found
        if found[UNCONFIRMED] or found[NOT_ATTEMPTED]:  # The next call finds the ones that are still pending.
            if not results[CANCELLED]:
                raise NotConfirmed("AWS did not confirm a single one of them in time; try again")
            break
        begun = True
        number, sort = (number, names.next_sort) if names.next_sort is not None else (number + 1, first_sort(prefix))
    next_place = paging.encode("sweep", number, sort) if number < len(NAME_PARTITIONS) else None
    answer: dict[str, Any] = {"matched": matched, "cancelled": results[CANCELLED], "next": next_place}
    return {**answer, "unconfirmed": results[UNCONFIRMED]} if results[UNCONFIRMED] else answer


def _cancel(records: list[Record], dependencies: ManageDependencies, deadline: Deadline) -> Counter[str]:
    """Cancel the records in parallel. Return how many had which result."""
    begun: list[Record] = []
    day = dependencies.ledger.count(deadline, cancelled=len(records))

    def one(record: Record) -> str:
        if begun and deadline.passed():
            return NOT_ATTEMPTED
        begun.append(record)
        try:
            return CANCELLED if changing.cancel_record(record, dependencies, deadline) else CHANGED
        except NotConfirmed:
            return UNCONFIRMED

    results = Counter(dependencies.pool.run(one, records))
    dependencies.ledger.take_back(day, cancelled=results[CHANGED] + results[NOT_ATTEMPTED])
    return results


def _decoded(value: object, prefix: str) -> tuple[int, str] | None:
    decoded = paging.decode(value, "sweep", int, str)
    if decoded is None:
        return None
    number, sort = decoded
    sort = sort or first_sort(prefix)
    if not (0 <= number < len(NAME_PARTITIONS) and paging.is_name_position(sort) and sort.startswith(prefix)):
        raise paging.refused(value)
    return number, sort
