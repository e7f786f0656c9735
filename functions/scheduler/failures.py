"""What is told of a schedule that was not released, in the shape that failure queue and failure targets share."""

from __future__ import annotations

import json
from dataclasses import dataclass

from scheduler.moments import epoch_s
from scheduler.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Report:
    schedule: Schedule | str
    """Or the text of what could not be read as one."""
    reason: str
    error: str
    at_ms: int
    attempts: int = 0

    def body(self) -> str:
        """The schedule stands in it as it was sent, so that whoever reads this can send it again."""
        facts = {"reason": self.reason, "error": self.error, "attempts": self.attempts, "at": epoch_s(self.at_ms)}
        sent = self.schedule if isinstance(self.schedule, str) else as_sent(self.schedule)
        return json.dumps({**facts, "schedule": sent}, ensure_ascii=False, separators=(",", ":"))


def expired(schedule: Schedule, now_ms: int) -> Report:
    late_s = (now_ms - schedule.due_ms) / 1000
    return Report(schedule, "expired", f"it would have been {late_s:.3f} s late, past its expires_after", now_ms)


def failed(schedule: Schedule, error: str, attempts: int, now_ms: int) -> Report:
    return Report(schedule, "failed", error, now_ms, attempts)


def unreadable(text: str, error: str, now_ms: int) -> Report:
    return Report(text, "unreadable", error, now_ms)


def as_sent(schedule: Schedule) -> dict[str, object]:
    sent: dict[str, object] = {
        "id": schedule.id,
        "name": schedule.name,
        "timestamp": epoch_s(schedule.due_ms),
        "data": schedule.data,
        "target": schedule.target,
        "user": schedule.user,
        "expires_after": None if schedule.expires_after_ms is None else schedule.expires_after_ms / 1000,
    }
    return {field: value for field, value in sent.items() if value is not None}
