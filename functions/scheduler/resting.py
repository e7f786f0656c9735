"""Hosts that do not answer: rather than each of their messages waiting for its own timeout, and holding a thread for
it, some wait for all, and the rest are put off. What an environment has seen, it keeps to itself; another finds out as
soon.

After a few timeouts in a row a host rests. Until it is known to need that, it gets no more at once than `CROWD_MAX`,
and no more at all while it answers nobody; what is put off for that comes again after as long as it has been silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

TIMEOUTS_MAX = 3
REST_S = 30
"""Then the next ones are tried again."""
GROUPS_MAX = 1_000
"""Of as many hosts something is kept; then it is all forgotten, which costs a few timeouts."""
CROWD_MAX = 16
"""Of one host at once; more than a batch, so that a slow one is served no slower for it."""
SILENT_S = 2
"""What begins later would hang on for longer than an invocation helps others."""
PAUSE_S_MIN = 1


@dataclass
class Resting:
    """By group of a target, which for webhooks is the host."""

    _timeouts: dict[str, int] = field(default_factory=dict)
    _until_s: dict[str, float] = field(default_factory=dict)
    _under_way: dict[str, list[float]] = field(default_factory=dict)
    """When each began, the earliest first."""
    _heard_s: dict[str, float] = field(default_factory=dict)
    """When one last answered, of those who have something under way."""
    _lock: Lock = field(default_factory=Lock)

    def begin(self, group: str | None, now_s: float, last_s: float) -> float | None:
        """When to try it instead; or None: it is under way now, until its `end`. What would then be too late, after
        `last_s`, is tried now; but of those of a host that answers nobody only one at a time while it rests, and before
        that no more than it may have at once."""
        if group is None:
            return None
        with self._lock:
            again_s = self._again_s(group, now_s)
            if now_s < again_s and (again_s <= last_s or self._is_stuck(group, now_s)):
                return again_s
            self._under_way.setdefault(group, []).append(now_s)
            return None

    def _again_s(self, group: str, now_s: float) -> float:
        rest_until_s = self._until_s.get(group, now_s)
        if rest_until_s > now_s or not self._under_way.get(group):
            return rest_until_s
        silent_s = self._silent_s(group, now_s)
        if len(self._under_way[group]) < CROWD_MAX and silent_s < SILENT_S:
            return now_s
        return now_s + max(PAUSE_S_MIN, silent_s)

    def _is_stuck(self, group: str, now_s: float) -> bool:
        if not self._under_way.get(group):
            return False
        rests = self._until_s.get(group, now_s) > now_s
        silent = len(self._under_way[group]) >= CROWD_MAX and self._silent_s(group, now_s) >= SILENT_S
        return rests or silent

    def _silent_s(self, group: str, now_s: float) -> float:
        return now_s - max(self._under_way[group][0], self._heard_s.get(group, 0.0))

    def end(self, group: str | None, timed_out: bool, now_s: float) -> None:
        """What came of a delivery to it."""
        if group is None:
            return
        with self._lock:
            self._leave(group, timed_out, now_s)
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

    def _leave(self, group: str, timed_out: bool, now_s: float) -> None:
        """The earliest, whichever it was: an answer speaks for all of them."""
        begun_s = self._under_way[group]
        begun_s.pop(0)
        if not timed_out:
            self._heard_s[group] = now_s
        if not begun_s:
            del self._under_way[group]
            self._heard_s.pop(group, None)
