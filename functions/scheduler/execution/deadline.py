"""How long to go on trying. Every retry of ours is here, bounded in number and by the end of the invocation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult

Thing = TypeVar("Thing")

TRIES_MAX = 8
PAUSE_S_FIRST = 0.05
PAUSE_S_MAX = 2.0


@dataclass(frozen=True)
class Deadline:
    """A clock, a way to wait, and the moment after which nothing new is begun."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    jitter: Callable[[], float]
    deadline_s: float
    tries_max: int = TRIES_MAX

    def now_ms(self) -> int:
        return int(self.clock() * 1000)

    def passed(self, ahead_s: float = 0) -> bool:
        """Whether it will be by then."""
        return self.clock() + ahead_s >= self.deadline_s

    def half(self) -> Deadline:
        """Half of the time that is left: for a try that may fail, so that there is time for another way."""
        now_s = self.clock()
        return replace(self, deadline_s=now_s + max(0.0, self.deadline_s - now_s) / 2)

    def backoff(self, tries: int) -> bool:
        """Wait before the next try, twice as long each time, at random so that callers spread; False at the end."""
        pause_s = min(PAUSE_S_MAX, PAUSE_S_FIRST * 2 ** (tries - 1)) * (0.5 + self.jitter() / 2)
        if tries >= self.tries_max or self.clock() + pause_s >= self.deadline_s:
            return False
        self.sleep(pause_s)
        return True


def retry_batch(
    call: Callable[[Sequence[Thing]], BatchResult[Thing]], things: Sequence[Thing], deadline: Deadline
) -> BatchResult[Thing]:
    """Call until nothing is left or patience ends; what was confirmed once is not sent again.

    The first call is always made, so that whoever came this far makes some progress. `call` sees the clock anew at
    every try: a delay worked out for an earlier one would be too long by now. An adapter makes one request to AWS in
    each `call` and returns the rest as `untried`; the rest follows at once, unless time is over. So time is looked at
    before every request, and no try takes longer than one.
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
    """A call that begins nothing, because its queue has failed too often, ends the try."""
    outcome = call(remaining)
    while 0 < len(outcome.not_attempted) < len(remaining) and not deadline.passed():
        remaining, outcome.not_attempted = outcome.not_attempted, []
        total.add(outcome)
        outcome = call(remaining)
    if outcome.not_attempted:
        outcome.last_error = outcome.last_error or "time is over"
    total.add(outcome)


def retry_call(question: Callable[[], Thing], deadline: Deadline) -> Thing:
    """Read something, again while AWS does not answer; NotConfirmed where it does not in time."""
    for tries in range(1, deadline.tries_max + 1):
        try:
            return question()
        except NotConfirmed:
            if not deadline.backoff(tries):
                raise
    raise AssertionError("pause ends the tries")
