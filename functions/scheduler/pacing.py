"""The rate of writes to a partition, found by trying: DynamoDB names none, it only throttles.

Writes beyond 1,000 units a second bounce, and each bounce costs a call and its CPU. The pace is shared by all threads
of a run, and unlimited until the first bounce. Then it is cut to a little less than what got through, and raised little
by little, so that few bounce and little is left unused.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

UNITS_PER_S_MIN = 100
LEFT_AT_CUT = 0.96
RAISE_PER_S = 0.03
CUT_EVERY_S = 0.5
"""What bounces sooner after a cut was under way before it."""


class Pace:
    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock, self._sleep, self._lock = clock, sleep, Lock()
        self._units_per_s: float | None = None
        self._free_s = 0.0
        self._since_s = self._raised_s = clock()
        self._written = self._bounced = 0.0

    def wait(self, units: int) -> bool:
        """Until so many units may be written. Whether there was anything to wait for."""
        with self._lock:
            if self._units_per_s is None:
                return False
            now_s = self._clock()
            turn_s = max(now_s, self._free_s)
            self._free_s = turn_s + units / self._units_per_s
        if turn_s > now_s:
            self._sleep(turn_s - now_s)
        return turn_s > now_s

    def learn(self, written: float, bounced: float) -> None:
        """From what came of so many units."""
        with self._lock:
            now_s = self._clock()
            self._written += written
            self._bounced += bounced
            elapsed_s = now_s - self._since_s
            if bounced and elapsed_s >= CUT_EVERY_S:
                asked = self._units_per_s or (self._written + self._bounced) / elapsed_s
                got_through = self._written / (self._written + self._bounced)
                self._units_per_s = max(UNITS_PER_S_MIN, asked * got_through * LEFT_AT_CUT)
                self._since_s = self._raised_s = now_s
                self._written = self._bounced = 0.0
            elif self._units_per_s is not None and not bounced:
                self._units_per_s *= 1 + RAISE_PER_S * (now_s - self._raised_s)
                self._raised_s = now_s
