"""Limit the rate of writes to a partition. DynamoDB does not publish the limit, so the limiter measures it.

DynamoDB throttles writes beyond 1,000 units per second, and each throttled write costs a call and CPU time. All threads
of a run share the rate. It is unlimited until the first throttled write. Then the limiter cuts it to slightly less than
the table accepted, raises it back to that level quickly, and goes beyond it slowly. So few writes are throttled, and
little capacity stays unused.

Sent schedules have to be deleted before the function ends, or they are sent twice. The limiter therefore bounds the
units in progress to the number that a throttled partition accepts within the reserve. It also refuses a job whose turn
would come too late.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

UNITS_PER_S_MIN = 100
USUAL_PER_S = 1_000
"""Limit of a partition key in DynamoDB's "partition key design". A split raises it, low table capacity lowers it."""
LEFT_AT_CUT = 0.98
"""The rate after a cut, as a part of the measured limit."""
BACK_PER_S = 0.15
"""How fast the rate grows per second up to the limit of the last cut."""
RAISE_PER_S = 0.01
"""How fast it grows beyond that limit. Slow, because DynamoDB's burst capacity hides an excess for a while."""
FASTER_EVERY_S = 4
"""The growth beyond the limit increases by `RAISE_PER_S` in each such interval since the last cut. The limit may have
risen."""
LEFT_AT_LEAST = 0.9
"""A cut keeps at least this part of the rate. The measured value is too low if all threads wait for a retry."""
LISTEN_S = 0.5
"""How long the limiter measures after the first throttled write. The written units are the limit if the table throttled
another write meanwhile. Otherwise the limit was not reached."""
IN_FLIGHT_UNITS_MAX = 4 * USUAL_PER_S
"""Units in progress: sixteen chunks of 4 KB schedules, or fewer chunks of larger ones, down to one at a time."""
ROOM_S = 0.01
"""How often a waiting thread checks for room."""


class WriteRateLimiter:
    def __init__(
        self, clock: Callable[[], float], sleep: Callable[[float], None], units_per_s: float | None = None
    ) -> None:
        self._clock, self._sleep, self._lock = clock, sleep, Lock()
        self.units_per_s = units_per_s
        """The rate, or None while it is unlimited. The next run may begin with it."""
        self._limit_per_s = units_per_s or 0.0
        self._free_s = self._settled_s = 0.0
        self._raised_s = self._cut_s = clock()
        self._first_throttled_s: float | None = None
        self._written = self._throttled = 0.0
        self._reserved = 0
        """Units that have a turn, whether their writes have begun or not. The run must finish all of them."""
        self._in_flight = 0
        """Units whose writes have begun. A cut waits only for them: `_free_s` already includes the waiting ones."""

    def begin(self, units: int, latest_s: float) -> bool:
        """Wait until these units may be written. Return False if that would be later than `latest_s`.

        The units are in progress until `end` is called for them.
        """
        start_s = self._reserved_s(units, latest_s)
        while start_s is None and self._clock() + ROOM_S < latest_s:
            self._sleep(ROOM_S)
            start_s = self._reserved_s(units, latest_s)
        if start_s is None:
            return False
        wait_s = start_s - self._clock()
        if wait_s > 0:
            self._sleep(wait_s)
        with self._lock:
            self._in_flight += units
        return True

    def _reserved_s(self, units: int, latest_s: float) -> float | None:
        """Reserve the next turn for these units, and return its time. Return None if there is no room in time.

        Units that find nothing before them always get a turn, even if it is late. So every run makes progress.
        """
        with self._lock:
            now_s = self._clock()
            if self._reserved and self._reserved + units > IN_FLIGHT_UNITS_MAX:
                return None
            start_s = max(now_s, self._free_s) if self.units_per_s is not None else now_s
            if start_s > now_s and start_s >= latest_s:
                return None
            if self.units_per_s is not None:
                self._free_s = start_s + units / self.units_per_s
            self._reserved += units
            return start_s

    def end(self, units: int) -> None:
        """Release units that were written or given up."""
        with self._lock:
            self._reserved -= units
            self._in_flight -= units

    def observe(self, written: float, throttled: float, again: bool) -> None:
        """Adapt the rate to the result of a batch of units.

        `again` marks a batch of earlier throttled units, which starts no new measurement.
        """
        with self._lock:
            now_s = self._clock()
            if self._first_throttled_s is not None:
                self._written += written
                self._throttled += throttled
                if now_s - self._first_throttled_s >= LISTEN_S:
                    self._conclude(now_s - self._first_throttled_s, now_s)
            elif throttled and not again and now_s >= self._settled_s:
                self._first_throttled_s, self._written, self._throttled = now_s, 0.0, 0.0
            elif self.units_per_s is not None:
                self._raise(self.units_per_s, now_s)
            if self.units_per_s is not None and not again:
                self._free_s = max(now_s, self._free_s) + throttled / self.units_per_s  # They are written again.

    def _conclude(self, listened_s: float, now_s: float) -> None:
        self._first_throttled_s = None
        if self._throttled:
            self._cut(self._written / listened_s, now_s)

    def _cut(self, limit_per_s: float, now_s: float) -> None:
        """Cut the rate. New units wait until the units in progress, which began at the old rate, are written."""
        if self.units_per_s is not None:
            limit_per_s = max(limit_per_s, self.units_per_s * LEFT_AT_LEAST)
        elif limit_per_s >= USUAL_PER_S / 2:
            limit_per_s = max(limit_per_s, USUAL_PER_S)
        self._limit_per_s = max(UNITS_PER_S_MIN, limit_per_s)
        self.units_per_s = self._limit_per_s * LEFT_AT_CUT
        self._settled_s = now_s + self._in_flight / self.units_per_s
        self._free_s = max(self._free_s, self._settled_s)
        self._raised_s = self._cut_s = self._settled_s

    def _raise(self, units_per_s: float, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._cut_s)
        beyond = units_per_s >= self._limit_per_s
        raise_per_s = RAISE_PER_S * (1 + elapsed_s / FASTER_EVERY_S) if beyond else BACK_PER_S
        self.units_per_s = units_per_s * (1 + raise_per_s * max(0.0, now_s - self._raised_s))
        self._raised_s = max(now_s, self._raised_s)
