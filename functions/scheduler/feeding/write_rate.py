"""The rate of writes to a partition, found by trying: DynamoDB names none, it only throttles.

Writes beyond 1,000 units a second bounce, and each bounce costs a call and its CPU. The pace is shared by all threads
of a run, and unlimited until the first bounce. Then it is cut to a little less than what gets through, goes back to
that at once and beyond it slowly, so that few bounce and little is left unused.

What is sent has to be deleted before the function ends, or it comes out twice. So never more is under way than a
throttled partition takes in the time that is kept back for it, and nothing begins whose turn would come too late.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

UNITS_PER_S_MIN = 100
USUAL_PER_S = 1_000
"""Amazon DynamoDB, "partition key design": what a partition key takes, unless it was split or the table takes less."""
LEFT_AT_CUT = 0.98
BACK_PER_S = 0.15
"""Up to what got through when it was cut last."""
RAISE_PER_S = 0.01
"""From there on: DynamoDB lets a second's worth through that was not used before, and bounces late what is too much."""
FASTER_EVERY_S = 4
"""So much more each time while nothing bounces: the table may take more again than it did."""
LEFT_AT_LEAST = 0.9
"""Of a pace, at one cut: less may have been written for want of a thread that is not waiting to try again."""
LISTEN_S = 0.5
"""From the first bounce on, what is written for so long is what the table takes, if something bounces meanwhile. If
not, it was not tried how much that is."""
UNDER_WAY_MAX = 4 * USUAL_PER_S
"""Units. Sixteen parcels of schedules of 4 KB; of larger ones fewer, down to one at a time."""
ROOM_S = 0.01
"""So often is looked whether there is room again."""


class WriteRateLimiter:
    def __init__(
        self, clock: Callable[[], float], sleep: Callable[[float], None], units_per_s: float | None = None
    ) -> None:
        self._clock, self._sleep, self._lock = clock, sleep, Lock()
        self.units_per_s = units_per_s
        """None: not limited so far. What a run has found, the next may begin with."""
        self._limit_per_s = units_per_s or 0.0
        self._free_s = self._calm_s = 0.0
        self._raised_s = self._cut_s = clock()
        self._bounced_s: float | None = None
        self._written = self._bounced = 0.0
        self._taken, self._under_way = 0, 0

    def begin(self, units: int, latest_s: float) -> bool:
        """Wait until so many units may be written; False where that would be later than this. They are under way then,
        until their `end`."""
        turn_s = self._turn_s(units, latest_s)
        while turn_s is None and self._clock() + ROOM_S < latest_s:
            self._sleep(ROOM_S)
            turn_s = self._turn_s(units, latest_s)
        if turn_s is None:
            return False
        wait_s = turn_s - self._clock()
        if wait_s > 0:
            self._sleep(wait_s)
        with self._lock:
            self._under_way += units
        return True

    def _turn_s(self, units: int, latest_s: float) -> float | None:
        """When it is the turn of these, which is then theirs. None while there is no room, or none in time; whoever
        finds nothing before him need not be in time, so that every run does something."""
        with self._lock:
            now_s = self._clock()
            if self._taken and self._taken + units > UNDER_WAY_MAX:
                return None
            turn_s = max(now_s, self._free_s) if self.units_per_s is not None else now_s
            if turn_s > now_s and turn_s >= latest_s:
                return None
            if self.units_per_s is not None:
                self._free_s = turn_s + units / self.units_per_s
            self._taken += units
            return turn_s

    def end(self, units: int) -> None:
        """They are written, or not to be."""
        with self._lock:
            self._taken -= units
            self._under_way -= units

    def learn(self, written: float, bounced: float, again: bool) -> None:
        """From what came of so many units. What bounces again says nothing new."""
        with self._lock:
            now_s = self._clock()
            if self._bounced_s is not None:
                self._written += written
                self._bounced += bounced
                if now_s - self._bounced_s >= LISTEN_S:
                    self._conclude(now_s - self._bounced_s, now_s)
            elif bounced and not again and now_s >= self._calm_s:
                self._bounced_s, self._written, self._bounced = now_s, 0.0, 0.0
            elif self.units_per_s is not None:
                self._raise(self.units_per_s, now_s)
            if self.units_per_s is not None and not again:
                self._free_s = max(now_s, self._free_s) + bounced / self.units_per_s  # It is written again.

    def _conclude(self, listened_s: float, now_s: float) -> None:
        self._bounced_s = None
        if self._bounced:
            self._cut(self._written / listened_s, now_s)

    def _cut(self, limit_per_s: float, now_s: float) -> None:
        """What is under way was begun at the pace before, and is written before anything else."""
        if self.units_per_s is not None:
            limit_per_s = max(limit_per_s, self.units_per_s * LEFT_AT_LEAST)
        elif limit_per_s >= USUAL_PER_S / 2:
            limit_per_s = max(limit_per_s, USUAL_PER_S)
        self._limit_per_s = max(UNITS_PER_S_MIN, limit_per_s)
        self.units_per_s = self._limit_per_s * LEFT_AT_CUT
        self._calm_s = now_s + self._under_way / self.units_per_s
        self._free_s = max(self._free_s, self._calm_s)
        self._raised_s = self._cut_s = self._calm_s

    def _raise(self, units_per_s: float, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._cut_s)
        beyond = units_per_s >= self._limit_per_s
        raise_per_s = RAISE_PER_S * (1 + elapsed_s / FASTER_EVERY_S) if beyond else BACK_PER_S
        self.units_per_s = units_per_s * (1 + raise_per_s * max(0.0, now_s - self._raised_s))
        self._raised_s = max(now_s, self._raised_s)
