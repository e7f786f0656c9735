"""What the deliver function is to do, as a message of the delivery queue carries it.

Of an unnamed schedule it holds everything. Of a named one it is a timer: the name and the id that it was set for, for
the record is the truth.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scheduler.limits import SQS_DELAY_S_MAX
from scheduler.schedule import Schedule, key_of


@dataclass(frozen=True, slots=True)
class Errand:
    schedule: Schedule
    attempt: int = 1
    retry_ms: int | None = None
    """When to try again, where it was tried in vain."""

    @property
    def id(self) -> str:
        return self.schedule.id

    @property
    def wake_ms(self) -> int:
        return self.schedule.due_ms if self.retry_ms is None else self.retry_ms


def body(errand: Errand) -> str:
    schedule = errand.schedule
    facts: dict[str, object] = {
        "id": schedule.id,
        "due": schedule.due_ms,
        "name": schedule.name,
        "data": schedule.data or None,
        "target": schedule.target,
        "user": schedule.user,
        "expires_after": schedule.expires_after_ms,
        "terms": schedule.terms,
        "attempt": errand.attempt if errand.attempt > 1 else None,
        "retry": errand.retry_ms,
    }
    given = {field: value for field, value in facts.items() if value is not None}
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"))


def read(text: str) -> Errand:
    """ValueError, KeyError or TypeError where it is none: whoever may send to the queue may have sent anything."""
    facts: dict[str, Any] = json.loads(text)
    key, index = key_of(facts["id"]), _index(facts["id"])
    due_ms, attempt, retry_ms = facts["due"], facts.get("attempt", 1), facts.get("retry")
    expires_after_ms = facts.get("expires_after")
    if not all(type(number) is int for number in (key.due_ms, due_ms, attempt, retry_ms or 0, expires_after_ms or 0)):
        raise TypeError("an errand has whole numbers")
    texts = [facts.get(field) for field in ("data", "target", "user", "terms", "name")]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise TypeError("an errand has texts")
    data, target, user, terms, name = texts
    schedule = Schedule(key, due_ms, data or "", target, user, expires_after_ms, terms, index, name)
    return Errand(schedule, attempt, retry_ms)


def delay_s(errand: Errand, now_ms: int, lead_ms: int) -> int:
    """Rounded down, and a lead earlier: the deliver function waits out the rest. One that is tried again is not awaited
    by anybody to the moment: rounded up, it holds no place there while it waits. One that is out of reach comes as late
    as may be, and is then set anew."""
    left_ms = errand.wake_ms - now_ms
    left_s = (left_ms - lead_ms) // 1000 if errand.retry_ms is None else -(-left_ms // 1000)
    return max(0, min(SQS_DELAY_S_MAX, left_s))


def _index(schedule_id: str) -> int | None:
    parts = schedule_id.split("-")
    return int(parts[3]) if len(parts) > 3 else None
