"""Cancel all that have names which begin alike, page by page.

A crash leaves those cancelled that were, and the caller without `next`: the same request again goes on with the rest,
for what is cancelled is not pending any more.
"""

from __future__ import annotations

from typing import Any

from scheduler import changing, cursor
from scheduler.directory import first_sort
from scheduler.errors import NotConfirmed
from scheduler.inquiry import Inquiry
from scheduler.office import Office
from scheduler.patience import Patience, ask
from scheduler.record import PARTITIONS, Record


def cancel_where(inquiry: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    inquiry.required("prefix")
    prefix, (from_ms, to_ms), dry_run = inquiry.prefix() or "", inquiry.span(), inquiry.truth("dry_run")
    number, sort = _place(inquiry.fields.get("next"), prefix) or (0, first_sort(prefix))
    matched = cancelled = 0
    begun = False
    while number < len(PARTITIONS) and not (begun and patience.over()):
        place = PARTITIONS[number], sort
        names = ask(lambda: office.records.page(*place, prefix, from_ms, to_ms), patience)  # noqa: B023 - Called at once.
        done = [] if dry_run else _cancel(names.records, office, patience)
        matched += sum(each is not None for each in done) if not dry_run else len(names.records)
        cancelled += sum(each is True for each in done)
        if None in done:  # Not confirmed: whoever goes on finds those again that are pending still.
            if cancelled == 0:
                raise NotConfirmed("AWS did not confirm a single one of them in time; try again")
            break
        begun = True
        number, sort = (number, names.next_sort) if names.next_sort is not None else (number + 1, first_sort(prefix))
    more = number < len(PARTITIONS)
    return {"matched": matched, "cancelled": cancelled, "next": cursor.written("sweep", number, sort) if more else None}


def _cancel(records: list[Record], office: Office, patience: Patience) -> list[bool | None]:
    """Whether each was still as it was read; None where that is not known."""
    begun: list[Record] = []

    def one(record: Record) -> bool | None:
        if begun and patience.over():
            return None
        begun.append(record)
        try:
            return changing.cancel_record(record, office, patience)
        except NotConfirmed:
            return None

    return office.crew.run(one, records)


def _place(value: object, prefix: str) -> tuple[int, str] | None:
    place = cursor.read(value, "sweep", int, str)
    if place is None:
        return None
    number, sort = place
    sort = sort or first_sort(prefix)
    if not (0 <= number < len(PARTITIONS) and cursor.is_name(sort) and sort.startswith(prefix)):
        raise cursor.refused(value)
    return number, sort
