"""Retry calls until a deadline. All retries of this code are here, bounded by a count and by the deadline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.value_class import value_class

Thing = TypeVar("Thing")

TRIES_MAX = 8
PAUSE_S_FIRST = 0.05
PAUSE_S_MAX = 2.0


@value_class
class Deadline:
    """A clock, a way to sleep, and the moment after which no new call begins."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    jitter: Callable[[], float]
    deadline_s: float
    tries_max: int = TRIES_MAX

    def now_ms(self) -> int:
        return int(self.clock() * 1000)

    def passed(self, ahead_s: float = 0) -> bool:
        """Return whether the deadline will have passed in `ahead_s` seconds."""
        return self.clock() + ahead_s >= self.deadline_s

    def half(self) -> Deadline:
        """Return a deadline after half of the remaining time, so that a fallback has time if the first try fails."""
        now_s = self.clock()
        return replace(self, deadline_s=now_s + max(0.0, self.deadline_s - now_s) / 2)

    def backoff(self, tries: int) -> bool:
        """Sleep before the next try, and return whether there is one.

        The pause doubles with each try. It is random, so that callers spread.
        """
        pause_s = min(PAUSE_S_MAX, PAUSE_S_FIRST * 2 ** (tries - 1)) * (0.5 + self.jitter() / 2)
        if tries >= self.tries_max or self.clock() + pause_s >= self.deadline_s:
            return False
        self.sleep(pause_s)
        return True


def retry_batch(
    call: Callable[[Sequence[Thing]], BatchResult[Thing]], things: Sequence[Thing], deadline: Deadline
) -> BatchResult[Thing]:
    """Call until every entry has a final result or the deadline passes. Never send a confirmed entry again.

    The first call is always made, so that every caller makes progress. `call` must read the clock at every try, because
    a delay from an earlier try would be too long. An adapter makes one request to AWS in each `call`, and returns the
    rest as `not_attempted`. The rest follows at once, unless the deadline has passed. So the deadline is checked before
    every request, and can be exceeded by one request at most.
    """
    total: BatchResult[Thing] = BatchResult(unconfirmed=list(things))
    if not things:
        return total
    for tries in range(1, deadline.tries_max + 1):
        remaining, total.unconfirmed = total.unconfirmed, []
        _try_all(call, remaining, total, deadline)
        if not total.unconfirmed or total.not_attempted or not deadline.backoff(tries):
            break
    return total


def _try_all(
    call: Callable[[Sequence[Thing]], BatchResult[Thing]],
    remaining: Sequence[Thing],
    total: BatchResult[Thing],
    deadline: Deadline,
) -> None:
    """Call until every entry was attempted once.

    A call that attempts nothing ends the try. That happens when the queue has failed too often.
    """
    outcome = call(remaining)
    while 0 < len(outcome.not_attempted) < len(remaining) and not deadline.passed():
        remaining, outcome.not_attempted = outcome.not_attempted, []
        total.add(outcome)
        outcome = call(remaining)
    if outcome.not_attempted:
        outcome.last_error = outcome.last_error or "time is over"
    total.add(outcome)


def retry_call(question: Callable[[], Thing], deadline: Deadline) -> Thing:
    """Return the result of a call, and retry it while AWS does not answer.

    Raise NotConfirmed at the deadline, or at once if no retry can help.
    """
    for tries in range(1, deadline.tries_max + 1):
        try:
            return question()
        except NotConfirmed as failure:
            if failure.lasting or not deadline.backoff(tries):
                raise
    raise AssertionError("pause ends the tries")
