"""What is told of a schedule that was refused or not released, in a shape that failure queue and failure targets share.

    {"reason": "refused", "error": "...", "attempts": 0, "at": 1893456000, "schedule": {...}}

Nothing of it is lost silently: where AWS takes less in one message, `schedule` is the beginning of its JSON text, and
`schedule_bytes` says how long that is as a whole.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from scheduler.limits import SQS_MESSAGE_BYTES_MAX
from scheduler.model import targets
from scheduler.model.schedule import Schedule
from scheduler.text import fault
from scheduler.timestamps import epoch_s

QUARANTINE = "quarantine"
FAILED = "failed#"
FAILED_KEPT_S = 90 * 24 * 3600
FAILED_KEYS = tuple(f"{digit:x}" for digit in range(16))
"""The failures of a day are spread over as many hash keys, because each takes 1,000 writes a second."""

Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Report(Generic[Told]):
    """Of a schedule that was accepted, or of whatever came instead of one."""

    schedule: Told
    reason: str
    error: str
    at_ms: int
    attempts: int = 0

    def body(self, bytes_max: int = SQS_MESSAGE_BYTES_MAX) -> str:
        """The schedule stands in it as it was sent, so that whoever reads this can send it again."""
        sent = _as_sent(self.schedule) if isinstance(self.schedule, Schedule) else self.schedule
        try:
            text = self._body({"schedule": sent})
        except ValueError:  # NaN and its like, which were in what came, and which JSON has no way to write.
            text = self._body({"schedule": json.dumps(sent, ensure_ascii=False)})
        return text if len(text.encode()) <= bytes_max else self._cut_body(sent, bytes_max)

    def _body(self, last: dict[str, object]) -> str:
        facts = {"reason": self.reason, "error": self.error, "attempts": self.attempts, "at": epoch_s(self.at_ms)}
        text = _compact({**facts, **last})
        return text if fault(text) is None else _compact({**facts, **last}, ensure_ascii=True)

    def _cut_body(self, sent: object, bytes_max: int) -> str:
        """As much of the beginning as there is room for, found by halving."""
        whole = sent if isinstance(sent, str) else json.dumps(sent, ensure_ascii=False, separators=(",", ":"))
        size_bytes = len(whole.encode(errors="surrogatepass"))

        def body(characters: int) -> str:
            return self._body({"schedule": whole[:characters], "schedule_bytes": size_bytes})

        too_many = bisect_left(range(len(whole)), True, key=lambda length: len(body(length).encode()) > bytes_max)
        return body(max(0, too_many - 1))


Tell = Callable[[str, Report[Any]], None]
"""Tells a failure target of a report. NotConfirmed if trying again may help."""


def expired(schedule: Schedule, now_ms: int) -> Report[Schedule]:
    late_s = (now_ms - schedule.due_ms) / 1000
    return Report(schedule, "expired", f"it would have been {late_s:.3f} s late, past its expires_after", now_ms)


def failed(schedule: Schedule, error: str, attempts: int, now_ms: int) -> Report[Schedule]:
    return Report(schedule, "failed", error, now_ms, attempts)


def unreadable(text: str, error: str, now_ms: int) -> Report[str]:
    return Report(text, "unreadable", error, now_ms)


def refused(came: object, error: str, now_ms: int) -> Report[object]:
    """What can never be accepted: an object as it came, or the text of a message that holds none."""
    return Report(came, "refused", error, now_ms)


def _compact(facts: dict[str, object], ensure_ascii: bool = False) -> str:
    return json.dumps(facts, ensure_ascii=ensure_ascii, allow_nan=False, separators=(",", ":"))


def _as_sent(schedule: Schedule) -> dict[str, object]:
    sent: dict[str, object] = {
        "id": schedule.id,
        "name": schedule.name,
        "timestamp": epoch_s(schedule.due_ms),
        "data": schedule.data or None,
        "target": targets.as_sent(schedule.target),
        "user": schedule.user,
        "expires_after": None if schedule.expires_after_ms is None else schedule.expires_after_ms / 1000,
        **json.loads(schedule.terms or "{}"),
    }
    return {field: value for field, value in sent.items() if value is not None}


def failed_partitions(day: date, schedule_id: str | None = None) -> list[str]:
    """The hash keys under which failures of this day lie: of all schedules, or of one.

    An earlier version stored all failures of a day under the first of them, which is still read.
    """
    whole_day = f"{FAILED}{day.isoformat()}"
    marks = FAILED_KEYS if schedule_id is None else [_failed_key(schedule_id)]
    return [whole_day, *(f"{whole_day}#{mark}" for mark in marks)]


def _failed_key(mark: str) -> str:
    return hashlib.sha256(mark.encode()).hexdigest()[0]
