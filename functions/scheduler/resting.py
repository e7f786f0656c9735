"""Keep threads free for targets that answer, whatever other targets do.

A target is a webhook's host, or the ARN of a queue, topic, function, bus or state machine. An environment of the
deliver function remembers what each target did. It tells no other environment.

- A target is proven while it answers soon. An answer counts for a minute, and not while a request to the target hangs.
- All targets that are not proven share half of the threads. The last places of that half are for a target, or a family
  of targets, that has nothing under way. So many dead names of one domain do not keep out the next domain.
- A proven target has at most half of the threads.
- A target that is silent for two seconds gets nothing more until it answers.
- A target rests for half a minute after three timeouts in a row. After that one request at a time tests it.
- The output queue has half of the threads, and no other limit. What is put off waits in a queue of the same service, so
  it would gain nothing while that service is slow.

The first answer lifts the limit of a new target. A delivery waits a moment for that answer if the half is full.
Every other delivery without a place comes again later, as a new message. No attempt is counted for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from scheduler.patience import Patience
from scheduler.targets import Receiver

TIMEOUTS_MAX = 3
REST_S = 30
"""Then the next request tests the target again."""
TARGETS_MAX = 1_000
"""So many targets are remembered. Then the memory is cleared, which costs a few timeouts."""
CROWD_MAX = 16
"""Requests to one target at once: half of the threads, and more than a batch."""
UNPROVEN_MAX = 16
"""Requests at once to all targets that are not proven: half of the threads."""
KEPT_FOR_FAMILIES = 2
"""The last places of those, for a target whose family has nothing under way."""
KEPT_FOR_TARGETS = 2
"""The places before them, for a target that has nothing under way and did not time out. A batch fits into the rest."""
SILENT_S = 2
"""What begins later would hang on for longer than an invocation helps others."""
OPEN_S = 10
LOST_MAX = 4
"""Once so many targets have timed out in an invocation, nothing begins later than `OPEN_S` to a target that is not
proven. Otherwise the invocation would still wait for such targets when it no longer receives messages for others."""
HANGS_S = 1
"""A request without an answer for so long is taken to hang. Healthy hosts may take half a second."""
PROVEN_S = 60
"""An answer says nothing about a target that has been left alone for longer."""
PAUSE_S_MIN = 1
PAUSE_S_MAX = 5
"""The pause of a delivery that has no place because of other targets, if its own target timed out before."""
WAITERS_MAX = 15
"""Deliveries that wait a moment for the first answer of their own target."""
WAITERS_FOR_OTHERS_MAX = 6
"""If at most so many wait, one more may wait for the first answers of other targets."""
STEP_S = 0.02
STEPS_MAX = round(HANGS_S / STEP_S)


class PutOff(NamedTuple):
    """A delivery has no place now."""

    until_s: float
    silent: bool = True
    """Whether the target itself is the reason, and not others that do not answer."""
    waiters_max: int = 0
    """How many may wait for a place that may become free within a moment, because others have just begun."""


@dataclass
class Resting:
    """What this environment knows of the targets."""

    _timeouts: dict[Receiver, int] = field(default_factory=dict)
    _until_s: dict[Receiver, float] = field(default_factory=dict)
    """The end of a rest. It is kept until the target answers."""
    _under_way: dict[Receiver, list[float]] = field(default_factory=dict)
    """When each request began, the earliest first."""
    _heard_s: dict[Receiver, float] = field(default_factory=dict)
    """The last answer of each target that has a request under way."""
    _answered_s: dict[Receiver, float] = field(default_factory=dict)
    """The last answer of each target that came soon."""
    _open_until_s: float = math.inf
    _lost: set[Receiver] = field(default_factory=set)
    """The targets that timed out in this invocation."""
    _waiters: int = 0
    _lock: Lock = field(default_factory=Lock)

    def open(self, now_s: float) -> None:
        """An invocation starts. An environment has one at a time."""
        with self._lock:
            self._open_until_s = now_s + OPEN_S
            self._lost.clear()

    def admit(self, receiver: Receiver, last_s: float, patience: Patience) -> PutOff | None:
        """Begin a request as `begin` does, after waiting a moment if others have just begun."""
        put_off = self.begin(receiver, patience.clock(), last_s)
        if put_off is None or not self._queue_up(put_off.waiters_max):
            return put_off
        try:
            for _ in range(STEPS_MAX):
                patience.sleep(STEP_S)
                put_off = self.begin(receiver, patience.clock(), last_s)
                if put_off is None or not put_off.waiters_max:
                    break
        finally:
            with self._lock:
                self._waiters -= 1
        return put_off

    def begin(self, receiver: Receiver, now_s: float, last_s: float) -> PutOff | None:
        """Count a request as under way until its `end`, and return None; or return when to try instead.

        A request that would then come after `last_s` begins now, unless its target answers nobody and another request
        waits for that target, or every place for such targets is taken.
        """
        with self._lock:
            put_off = self._put_off(receiver, now_s)
            if put_off is not None and (put_off.until_s <= last_s or self._is_stuck(receiver, now_s)):
                return put_off
            self._under_way.setdefault(receiver, []).append(now_s)
            return None

    def end(self, receiver: Receiver, timed_out: bool, begun_s: float, now_s: float) -> None:
        """Learn from a request that began at `begun_s` and has ended."""
        with self._lock:
            self._leave(receiver, timed_out, now_s)
            if _is_own(receiver):
                return
            self._trim()
            if not timed_out and now_s - begun_s < SILENT_S:
                self._answered_s[receiver] = now_s
            else:
                self._answered_s.pop(receiver, None)
            if not timed_out:
                self._timeouts.pop(receiver, None)
                self._until_s.pop(receiver, None)
                return
            self._lost.add(receiver)
            count = self._timeouts.get(receiver, 0) + 1
            self._timeouts[receiver] = count
            if count >= TIMEOUTS_MAX:
                self._until_s[receiver] = now_s + REST_S

    def _put_off(self, receiver: Receiver, now_s: float) -> PutOff | None:
        rest_until_s = self._until_s.get(receiver, now_s)
        if rest_until_s > now_s:
            return PutOff(rest_until_s)
        silent_s, under_way = self._silent_s(receiver, now_s), len(self._under_way.get(receiver, ()))
        if _is_own(receiver):
            return PutOff(now_s + PAUSE_S_MIN, False) if under_way >= CROWD_MAX else None
        crowd_max = 1 if receiver in self._until_s else CROWD_MAX
        if under_way >= crowd_max or silent_s >= SILENT_S:
            return PutOff(now_s + max(PAUSE_S_MIN, silent_s))
        if self._is_proven(receiver, now_s):
            return None
        unproven = self._unproven(now_s)
        is_open = now_s < self._open_until_s or len(self._lost) < LOST_MAX
        if is_open and sum(map(len, unproven.values())) < self._places(receiver, unproven):
            return None
        pause_s = PAUSE_S_MAX if receiver in self._timeouts else PAUSE_S_MIN
        until_s, hangs = now_s + max(pause_s, silent_s), silent_s >= HANGS_S
        soon = is_open and not hangs and any(now_s - all_s[-1] < HANGS_S for all_s in unproven.values())
        waiters_max = WAITERS_MAX if receiver in unproven else WAITERS_FOR_OTHERS_MAX
        return PutOff(until_s, hangs, waiters_max if soon else 0)

    def _places(self, receiver: Receiver, unproven: dict[Receiver, list[float]]) -> int:
        """How many of the places for unproven targets may be taken before this target has none."""
        places = UNPROVEN_MAX
        if any(each.family == receiver.family for each in unproven):
            places -= KEPT_FOR_FAMILIES
        if receiver in unproven or receiver in self._timeouts:
            places -= KEPT_FOR_TARGETS
        return places

    def _is_stuck(self, receiver: Receiver, now_s: float) -> bool:
        if receiver in self._until_s:
            return receiver in self._under_way
        if self._is_proven(receiver, now_s):
            return False
        return sum(map(len, self._unproven(now_s).values())) >= UNPROVEN_MAX

    def _unproven(self, now_s: float) -> dict[Receiver, list[float]]:
        """The requests under way to targets that are not proven."""
        return {of: begun_s for of, begun_s in self._under_way.items() if not self._is_proven(of, now_s)}

    def _is_proven(self, receiver: Receiver, now_s: float) -> bool:
        if _is_own(receiver):
            return True
        answered_s = self._answered_s.get(receiver)
        if answered_s is None or now_s - answered_s >= PROVEN_S:
            return False
        return self._silent_s(receiver, now_s) < HANGS_S

    def _silent_s(self, receiver: Receiver, now_s: float) -> float:
        """How long the target has owed an answer."""
        begun_s = self._under_way.get(receiver)
        return now_s - max(begun_s[0], self._heard_s.get(receiver, 0.0)) if begun_s else 0.0

    def _queue_up(self, waiters_max: int) -> bool:
        with self._lock:
            if self._waiters >= waiters_max:
                return False
            self._waiters += 1
            return True

    def _leave(self, receiver: Receiver, timed_out: bool, now_s: float) -> None:
        """Forget the earliest request, whichever it was. An answer speaks for all of them."""
        begun_s = self._under_way[receiver]
        begun_s.pop(0)
        if not timed_out:
            self._heard_s[receiver] = now_s
        if not begun_s:
            del self._under_way[receiver]
            self._heard_s.pop(receiver, None)

    def _trim(self) -> None:
        if len(self._answered_s) >= TARGETS_MAX:
            self._answered_s.clear()
        if len(self._timeouts) >= TARGETS_MAX:
            self._timeouts.clear()
            self._until_s.clear()


def _is_own(receiver: Receiver) -> bool:
    """Whether it is the output queue."""
    return not receiver.name
