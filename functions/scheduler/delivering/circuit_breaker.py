"""Keep threads free for targets that answer, whatever other targets do.

A target is a webhook's host, or the ARN of a queue, topic, function, bus or state machine. An environment of the
deliver function remembers how each target answered. It does not share this with other environments.

- A target is proven while it answers soon. An answer counts for a minute, and not while a request to the target hangs.
- All unproven targets share half of the threads. The last places of that half are for a target, or a family of targets,
  with no request in progress. So the dead hosts of one domain do not block the next domain.
- A proven target has at most half of the threads.
- A target that is silent for two seconds gets no more requests until it answers.
- A target that timed out last gets no request late in an invocation. The invocation would wait for that target after it
  has stopped receiving messages for others.
- A target is in cool-down for half a minute after three timeouts in a row. After that one request at a time tests it.
- The stack's output queue has half of the threads, and no other limit. A postponed message would wait in a queue of the
  same service, so postponing gains nothing while that service is slow.

The first answer lifts the limit of a new target. A delivery waits a moment for that answer if the half is full.
Any other delivery without a place is postponed by a new message. This does not count as an attempt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from scheduler.execution.deadline import Deadline
from scheduler.model.targets import Receiver

TIMEOUTS_MAX = 3
COOL_DOWN_S = 30
"""How long a target stays in cool-down. Then the next request tests it."""
REMEMBERED_TARGETS_MAX = 1_000
"""The memory is cleared when it holds this many targets. That costs a few timeouts."""
PER_HOST_MAX = 16
"""Requests to one target at once: half of the threads, and more than a batch."""
UNPROVEN_MAX = 16
"""Requests at once to all unproven targets: half of the threads."""
KEPT_FOR_FAMILIES = 2
"""The last of these places are for a target whose family has no request in progress."""
KEPT_FOR_TARGETS = 2
"""The places before them are for a target without requests in progress or timeouts. A batch fits into the rest."""
SILENT_S = 2
"""A target that is silent for this long gets no more requests."""
OPEN_S = 10
"""No request to a target that timed out last begins later than this in an invocation. Otherwise the invocation would
still wait for that target when it no longer receives messages for others."""
LOST_MAX = 4
"""If this many targets have timed out in an invocation or hang, the same holds for every unproven target. Otherwise the
first place that a timeout frees would go to the next silent target."""
HANGS_S = 1
"""A request hangs if it has no answer for this long. Healthy hosts may take half a second."""
PROVEN_S = 60
"""How long an answer proves a target."""
POSTPONED_S_MIN = 1
POSTPONED_S_MAX = 5
"""The pause of a delivery that other targets leave no place for, if its own target timed out before."""
WAITERS_MAX = 15
"""How many deliveries may wait a moment for the first answer of their own target."""
WAITERS_FOR_OTHERS_MAX = 6
"""How many deliveries may wait in total when another one begins to wait for the first answers of other targets."""
WAIT_STEP_S = 0.02
WAIT_STEPS_MAX = round(HANGS_S / WAIT_STEP_S)


class Postponement(NamedTuple):
    """The answer to a delivery that has no place now."""

    until_s: float
    silent: bool = True
    """Whether the target itself is the reason, and not other targets that do not answer."""
    waiters_max: int = 0
    """How many deliveries may wait for a place. A place may soon become free if other requests have just begun."""


@dataclass
class CircuitBreaker:
    """Remembers how the targets answered in this environment."""

    _timeouts: dict[Receiver, int] = field(default_factory=dict)
    _until_s: dict[Receiver, float] = field(default_factory=dict)
    """The end of each cool-down. An entry stays until the target answers."""
    _in_flight: dict[Receiver, list[float]] = field(default_factory=dict)
    """The start of each request in progress, the earliest first."""
    _last_answer_s: dict[Receiver, float] = field(default_factory=dict)
    """The last answer of each target with a request in progress."""
    _answered_s: dict[Receiver, float] = field(default_factory=dict)
    """The last fast answer of each target."""
    _open_until_s: float = math.inf
    _lost: set[Receiver] = field(default_factory=set)
    """The targets that timed out in this invocation."""
    _waiters: int = 0
    _lock: Lock = field(default_factory=Lock)

    def open(self, now_s: float) -> None:
        """Begin an invocation. An environment has one invocation at a time."""
        with self._lock:
            self._open_until_s = now_s + OPEN_S
            self._lost.clear()

    def admit(self, receiver: Receiver, last_s: float, deadline: Deadline) -> Postponement | None:
        """Begin a request as `begin` does, after waiting a moment if others have just begun."""
        postponed = self.begin(receiver, deadline.clock(), last_s)
        if postponed is None or not self._queue_up(postponed.waiters_max):
            return postponed
        try:
            for _ in range(WAIT_STEPS_MAX):
                deadline.sleep(WAIT_STEP_S)
                postponed = self.begin(receiver, deadline.clock(), last_s)
                if postponed is None or not postponed.waiters_max:
                    break
        finally:
            with self._lock:
                self._waiters -= 1
        return postponed

    def begin(self, receiver: Receiver, now_s: float, last_s: float) -> Postponement | None:
        """Begin a request and return None, or return when to try instead.

        The request is in progress until `end`. A request that would be postponed beyond `last_s` begins now, with two
        exceptions: another request tests its target after a cool-down, or the unproven targets use all of their places.
        """
        with self._lock:
            postponed = self._postpone(receiver, now_s)
            if postponed is not None and (postponed.until_s <= last_s or self._is_stuck(receiver, now_s)):
                return postponed
            self._in_flight.setdefault(receiver, []).append(now_s)
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
                self._until_s[receiver] = now_s + COOL_DOWN_S

    def _postpone(self, receiver: Receiver, now_s: float) -> Postponement | None:
        cool_down_until_s = self._until_s.get(receiver, now_s)
        if cool_down_until_s > now_s:
            return Postponement(cool_down_until_s)
        silent_s, in_flight = self._silent_s(receiver, now_s), len(self._in_flight.get(receiver, ()))
        if _is_own(receiver):
            return Postponement(now_s + POSTPONED_S_MIN, False) if in_flight >= PER_HOST_MAX else None
        requests_max = 1 if receiver in self._until_s else PER_HOST_MAX
        if in_flight >= requests_max or silent_s >= SILENT_S:
            return Postponement(now_s + max(POSTPONED_S_MIN, silent_s))
        if self._is_proven(receiver, now_s):
            return None
        unproven = self._unproven(now_s)
        is_open = self._is_open(receiver, unproven, now_s)
        if is_open and sum(map(len, unproven.values())) < self._places(receiver, unproven):
            return None
        # Each postponement sends a message, and SQS may store it twice. So a dead target's deliveries wait for long.
        pause_s = (POSTPONED_S_MAX if is_open else COOL_DOWN_S) if receiver in self._timeouts else POSTPONED_S_MIN
        until_s, hangs = now_s + max(pause_s, silent_s), silent_s >= HANGS_S
        soon = is_open and not hangs and any(now_s - all_s[-1] < HANGS_S for all_s in unproven.values())
        waiters_max = WAITERS_MAX if receiver in unproven else WAITERS_FOR_OTHERS_MAX
        return Postponement(until_s, hangs, waiters_max if soon else 0)

    def _is_open(self, receiver: Receiver, unproven: dict[Receiver, list[float]], now_s: float) -> bool:
        """Return whether it is early enough in the invocation to call this unproven target."""
        if now_s < self._open_until_s:
            return True
        lost = self._lost.union(of for of in unproven if self._silent_s(of, now_s) >= HANGS_S)
        return receiver not in self._timeouts and len(lost) < LOST_MAX

    def _places(self, receiver: Receiver, unproven: dict[Receiver, list[float]]) -> int:
        """Return how many places for unproven targets may be in use before this target has none."""
        places = UNPROVEN_MAX
        if any(each.family == receiver.family for each in unproven):
            places -= KEPT_FOR_FAMILIES
        if receiver in unproven or receiver in self._timeouts:
            places -= KEPT_FOR_TARGETS
        return places

    def _is_stuck(self, receiver: Receiver, now_s: float) -> bool:
        if receiver in self._until_s:
            return receiver in self._in_flight
        if self._is_proven(receiver, now_s):
            return False
        return sum(map(len, self._unproven(now_s).values())) >= UNPROVEN_MAX

    def _unproven(self, now_s: float) -> dict[Receiver, list[float]]:
        """Return the requests in progress to unproven targets."""
        return {of: begun_s for of, begun_s in self._in_flight.items() if not self._is_proven(of, now_s)}

    def _is_proven(self, receiver: Receiver, now_s: float) -> bool:
        if _is_own(receiver):
            return True
        answered_s = self._answered_s.get(receiver)
        if answered_s is None or now_s - answered_s >= PROVEN_S:
            return False
        return self._silent_s(receiver, now_s) < HANGS_S

    def _silent_s(self, receiver: Receiver, now_s: float) -> float:
        """Return how long the target has not answered."""
        begun_s = self._in_flight.get(receiver)
        return now_s - max(begun_s[0], self._last_answer_s.get(receiver, 0.0)) if begun_s else 0.0

    def _queue_up(self, waiters_max: int) -> bool:
        with self._lock:
            if self._waiters >= waiters_max:
                return False
            self._waiters += 1
            return True

    def _leave(self, receiver: Receiver, timed_out: bool, now_s: float) -> None:
        """Remove the earliest request, whichever one ended. An answer counts for all requests to the target."""
        begun_s = self._in_flight[receiver]
        begun_s.pop(0)
        if not timed_out:
            self._last_answer_s[receiver] = now_s
        if not begun_s:
            del self._in_flight[receiver]
            self._last_answer_s.pop(receiver, None)

    def _trim(self) -> None:
        if len(self._answered_s) >= REMEMBERED_TARGETS_MAX:
            self._answered_s.clear()
        if len(self._timeouts) >= REMEMBERED_TARGETS_MAX:
            self._timeouts.clear()
            self._until_s.clear()


def _is_own(receiver: Receiver) -> bool:
    """Whether it is the output queue."""
    return not receiver.name
