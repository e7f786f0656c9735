"""Forecast: how many are due in each stretch of a time, counted without handing any data through.

All partitions are counted side by side, a page each in a round. Where time runs out, the answer holds what was
counted so far, for every stretch, and `next`: whoever goes on adds the pages up. A timer counts where its record still
waits for it, so what is counted is what will come out; that costs a read for each, as large as its record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scheduler import cursor
from scheduler.bundle import SPAN_MS_MAX, Bundle, Unpackable
from scheduler.errors import InvalidRequest
from scheduler.inquiry import Inquiry
from scheduler.limits import DUE_MS_MAX
from scheduler.listing import NEAR_NOTE
from scheduler.moments import epoch_s
from scheduler.office import Office, Outline
from scheduler.patience import Patience, ask
from scheduler.schedule import sort_from

BUCKETS_MAX = 1_000


@dataclass(slots=True)
class Count:
    """So many in each bucket, from one moment on and before another."""

    from_ms: int
    to_ms: int
    bucket_ms: int
    counts: list[int]

    def add(self, due_ms: int) -> None:
        if self.from_ms <= due_ms < self.to_ms:
            self.counts[(due_ms - self.from_ms) // self.bucket_ms] += 1

    def answer(self) -> dict[str, Any]:
        buckets = [
            {"timestamp": epoch_s(self.from_ms + number * self.bucket_ms), "count": count}
            for number, count in enumerate(self.counts)
        ]
        return {"buckets": buckets, "total": sum(self.counts)}


def forecast(inquiry: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    count = _empty(inquiry)
    positions = _positions(inquiry.fields.get("next"))
    if positions is None:
        positions = dict.fromkeys(office.partitions(patience), sort_from(count.from_ms))
    begun = False
    while positions and not (begun and patience.over()):
        begun = True
        positions = _round(positions, count, office, patience)
    answer = {**count.answer(), "next": cursor.written("forecast", positions) if positions else None}
    near = count.from_ms <= patience.now_ms() + office.reach_ms
    return {**answer, "note": NEAR_NOTE} if near else answer


def _empty(inquiry: Inquiry) -> Count:
    inquiry.required("from", "to", "bucket")
    from_ms, to_ms = inquiry.span()
    bucket_ms = inquiry.duration_ms("bucket", 1, DUE_MS_MAX)
    buckets = -(-(to_ms - from_ms) // bucket_ms)
    if buckets > BUCKETS_MAX:
        least_s = -(-(to_ms - from_ms) // BUCKETS_MAX) / 1000
        raise InvalidRequest(
            f"bucket is {epoch_s(bucket_ms)}, which makes {buckets} of them; wanted: at most {BUCKETS_MAX}, "
            f"so at least {least_s} seconds for this time"
        )
    return Count(from_ms, to_ms, bucket_ms, [0] * buckets)


def _positions(value: object) -> dict[str, str] | None:
    place = cursor.read(value, "forecast", dict)
    if place is None:
        return None
    (positions,) = place
    if not positions or not all(cursor.is_partition(each) and cursor.is_sort(positions[each]) for each in positions):
        raise cursor.refused(value)
    return dict(positions)


def _round(positions: dict[str, str], count: Count, office: Office, patience: Patience) -> dict[str, str]:
    """Count a page of each partition; where each goes on, but for those that are through."""

    def page(partition: str) -> tuple[list[int], str | None]:
        outline, next_sort = _page(partition, positions[partition], count, office, patience)
        return _dues_ms(outline, office, patience), next_sort

    counted = office.crew.run(page, positions)
    for dues_ms, _ in counted:
        for due_ms in dues_ms:
            count.add(due_ms)
    ends = zip(positions, counted, strict=True)
    return {partition: next_sort for partition, (_, next_sort) in ends if next_sort is not None}


def _page(
    partition: str, from_sort: str, count: Count, office: Office, patience: Patience
) -> tuple[Outline, str | None]:
    """Behind the time that is asked for, bundles alone: their first members may be due before its end."""
    end, beyond = sort_from(count.to_ms), sort_from(count.to_ms + SPAN_MS_MAX)
    bundles_only = from_sort >= end
    if from_sort >= beyond:
        return Outline([], [], [], None), None
    to_sort = beyond if bundles_only else end
    outline = ask(lambda: office.catalogue.outline(partition, from_sort, to_sort, bundles_only), patience)
    return outline, outline.next_sort or (None if bundles_only else end)


def _dues_ms(outline: Outline, office: Office, patience: Patience) -> list[int]:
    dues_ms = outline.dues_ms
    for bundle in outline.bundles:
        dues_ms += _members_dues_ms(bundle)
    if outline.timers:
        records = office.standing([name for _, name, _ in outline.timers], False, patience)
        for due_ms, name, schedule_id in outline.timers:
            record = records.get(name)
            if record is not None and record.pending and record.id == schedule_id:
                dues_ms.append(due_ms)
    return dues_ms


def _members_dues_ms(bundle: Bundle) -> list[int]:
    try:
        return [each.due_ms for each in bundle.members()]
    except Unpackable:  # The feed puts it aside.
        return []
