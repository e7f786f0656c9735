"""Hosts that do not answer: after a few timeouts in a row the rest of their messages are put off, rather than each of
them waiting for its own. What an environment has seen, it keeps to itself; another finds out as soon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

TIMEOUTS_MAX = 3
REST_S = 30
"""Then the next ones are tried again."""
GROUPS_MAX = 1_000
"""Of as many hosts something is kept; then it is all forgotten, which costs a few timeouts."""


@dataclass
class Resting:
    """By group of a target, which for webhooks is the host."""

    _timeouts: dict[str, int] = field(default_factory=dict)
    _until_s: dict[str, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def until_s(self, group: str | None, now_s: float) -> float | None:
        """When it is worth trying again; None where it is worth it now."""
        end_s = self._until_s.get(group or "", now_s)
        return end_s if end_s > now_s else None

    def note(self, group: str | None, timed_out: bool, now_s: float) -> None:
        """What came of a delivery to it."""
        if group is None:
            return
        with self._lock:
            if not timed_out:
                self._timeouts.pop(group, None)
                self._until_s.pop(group, None)
                return
            if len(self._timeouts) >= GROUPS_MAX:
                self._timeouts.clear()
                self._until_s.clear()
            count = self._timeouts.get(group, 0) + 1
            self._timeouts[group] = count
            if count >= TIMEOUTS_MAX:
                self._until_s[group] = now_s + REST_S
