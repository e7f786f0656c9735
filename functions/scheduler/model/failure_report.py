"""Reports of failed, expired and refused schedules. The failure queue and the failure targets get the same format.

    {"reason": "refused", "error": "...", "attempts": 0, "at": 1893456000, "schedule": {...}}

A report that is too long for one message is truncated visibly: `schedule` is then the beginning of its JSON text, and
`schedule_bytes` is the size of the whole text.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Callable
from datetime import date
from typing import Any, Generic, TypeVar

from scheduler.limits import SQS_MESSAGE_BYTES_MAX
from scheduler.model import targets
from scheduler.model.schedule import Schedule
from scheduler.text import fault
from scheduler.timestamps import epoch_s
from scheduler.value_class import value_class

QUARANTINE = "quarantine"
FAILED_PARTITION = "failed#"
FAILED_KEPT_S = 90 * 24 * 3600
FAILED_KEYS = tuple(f"{digit:x}" for digit in range(16))
"""The failures of a day are spread over these hash keys, because each key takes 1,000 writes a second."""

Reported = TypeVar("Reported")


@value_class
class Report(Generic[Reported]):
    """A report of an accepted schedule, or of the content that was refused or could not be read."""

    schedule: Reported
    reason: str
    error: str
    at_ms: int
    attempts: int = 0
    application: str = ""
    """The application of the schedule. It is empty for the owner."""

    def body(self, bytes_max: int = SQS_MESSAGE_BYTES_MAX) -> str:
        """Return the report as JSON. It holds the schedule as it was sent, so that the reader can send it again."""
        sent = _as_sent(self.schedule) if isinstance(self.schedule, Schedule) else self.schedule
        try:
            text = self._body({"schedule": sent})
        except ValueError:  # The content holds a number such as NaN, which JSON cannot write.
            text = self._body({"schedule": json.dumps(sent, ensure_ascii=False)})
        return text if len(text.encode()) <= bytes_max else self._cut_body(sent, bytes_max)

    def _body(self, last: dict[str, object]) -> str:
        facts = {"reason": self.reason, "error": self.error, "attempts": self.attempts, "at": epoch_s(self.at_ms)}
        if self.application:
            facts["application"] = self.application
        text = _compact({**facts, **last})
        return text if fault(text) is None else _compact({**facts, **last}, ensure_ascii=True)

    def _cut_body(self, sent: object, bytes_max: int) -> str:
        """Return the report with as much of the schedule as fits. A binary search finds the length."""
        whole = sent if isinstance(sent, str) else json.dumps(sent, ensure_ascii=False, separators=(",", ":"))
        size_bytes = len(whole.encode(errors="surrogatepass"))

        def body(characters: int) -> str:
            return self._body({"schedule": whole[:characters], "schedule_bytes": size_bytes})

        too_many = bisect_left(range(len(whole)), True, key=lambda length: len(body(length).encode()) > bytes_max)
        return body(max(0, too_many - 1))


Notify = Callable[[str, Report[Any]], None]
"""Sends a report to a failure target. It raises NotConfirmed if another try may help."""


def expired(schedule: Schedule, now_ms: int) -> Report[Schedule]:
    late_s = (now_ms - schedule.due_ms) / 1000
    return Report(schedule, "expired", f"it would have been {late_s:.3f} s late, past its expires_after", now_ms)


def failed(schedule: Schedule, error: str, attempts: int, now_ms: int) -> Report[Schedule]:
    return Report(schedule, "failed", error, now_ms, attempts)


def unreadable(text: str, error: str, now_ms: int) -> Report[str]:
    return Report(text, "unreadable", error, now_ms)


def refused(content: object, error: str, now_ms: int) -> Report[object]:
    """Return a report of content that can never be accepted: an object, or the text of an unreadable message."""
    return Report(content, "refused", error, now_ms)


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
    """Return the hash keys that may hold the failures of this day, for all schedules or for one.

    An earlier version stored all failures of a day under the first key, so that key is still read.
    """
    whole_day = f"{FAILED_PARTITION}{day.isoformat()}"
    marks = FAILED_KEYS if schedule_id is None else [_failed_key(schedule_id)]
    return [whole_day, *(f"{whole_day}#{mark}" for mark in marks)]


def _failed_key(mark: str) -> str:
    return hashlib.sha256(mark.encode()).hexdigest()[0]
