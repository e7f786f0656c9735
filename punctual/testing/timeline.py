"""Virtual time. Each waiting task is a greenlet in one heap, and the clock jumps from one wake-up to the next.

Nothing sleeps in real time and nothing runs by itself. The order follows from the times, and from `randomness` if two
times are equal. The same randomness gives the same order in every process.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from threading import get_ident
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

Job = TypeVar("Job")
Result = TypeVar("Result")

US = 1_000_000
"""Microseconds in a second. Times are whole microseconds, so that no sum of them drifts."""

STEPS_MAX = 20_000_000
"""More than any run needs. A loop that waits forever without progress reaches it."""


class Stuck(AssertionError):
    """The virtual world runs without progress."""


class Crash(BaseException):
    """The process of a task has ended. None of its code may go on, so this is not an Exception."""


class Timer:
    """An action that will happen, unless it is cancelled."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Task(greenlet):
    """A piece of work that waits in virtual time. It keeps its result or its exception."""

    def __init__(self, timeline: Timeline, work: Callable[[], Any], owner: object) -> None:
        super().__init__(parent=timeline.hub)
        self.owner = owner
        self.ended = False
        self.result: Any = None
        self.fault: BaseException | None = None
        self.on_end: list[Callable[[], None]] = []
        self._timeline, self._work = timeline, work
        self.ticket = 0
        """Grows at every wait, so that a wake-up for an earlier wait can be recognized."""

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - Kept for the caller of `join`; a greenlet must not raise it in the event loop.
            self.fault = error
        self._finish()

    def kill(self, error: BaseException) -> None:
        """End the task from the event loop: the exception is raised where the task waits."""
        if self.ended:
            return
        if self.gr_frame is None:  # It has not started, so there is nothing to unwind.
            self.fault = error
            self._finish()
            return
        self.ticket += 1
        self.throw(error)
        if not self.ended:
            raise Stuck("a killed task went on waiting")

    def _finish(self) -> None:
        self.ended = True
        self.ticket += 1
        for action in self.on_end:
            action()


class Timeline:
    def __init__(self, start_us: int, randomness: random.Random) -> None:
        self.now_us = start_us
        self.hub = getcurrent()
        self._thread = get_ident()
        self._randomness = randomness
        self._waiting: list[tuple[int, float, int, Timer]] = []
        self._count = 0
        self._halt: BaseException | None = None

    @property
    def now_s(self) -> float:
        return self.now_us / US

    def at(self, moment_us: int, action: Callable[[], None]) -> Timer:
        timer = Timer(action)
        self._count += 1
        entry = (max(moment_us, self.now_us), self._randomness.random(), self._count, timer)
        heapq.heappush(self._waiting, entry)
        return timer

    def after(self, delay_s: float, action: Callable[[], None]) -> Timer:
        return self.at(self.now_us + round(delay_s * US), action)

    def soon(self, action: Callable[[], None]) -> None:
        """Run the action at the current time, but not from within the caller."""
        self.at(self.now_us, action)

    def spawn(self, work: Callable[[], Any], owner: object = None) -> Task:
        """Start a piece of work at the current time, in parallel with the caller."""
        task = Task(self, work, owner)
        self.at(self.now_us, lambda: None if task.ended else self._switch(task))
        return task

    def in_task(self) -> bool:
        """Return whether a task is running, and not the caller of the virtual world."""
        return isinstance(getcurrent(), Task)

    def halt(self, error: BaseException) -> None:
        """Stop the virtual world: the event loop raises this error, even if a task caught it."""
        self._halt = self._halt or error

    def sleep(self, delay_s: float) -> None:
        """Let others run until then, if a task calls it. Otherwise let the virtual world run on."""
        self.sleep_until(self.now_us + round(delay_s * US))

    def sleep_until(self, moment_us: int) -> None:
        task = getcurrent()
        if not isinstance(task, Task):
            self.run_until(moment_us)
            return
        self.at(moment_us, self.waker(task))
        self.park()

    def waker(self, task: Task) -> Callable[[], None]:
        """Return a function that wakes the task once, and only from its next wait."""
        ticket = task.ticket

        def wake() -> None:
            if not task.ended and task.ticket == ticket:
                self._switch(task)

        return wake

    def park(self) -> None:
        """Wait until a waker is called."""
        self.hub.switch()

    def await_(self, look: Callable[[], int | None]) -> None:
        """Wait until `look` returns None. Until then it returns the time of the next look.

        The event loop calls `look`, which is faster than waking the task for it.
        """
        again_us, task = look(), getcurrent()
        while again_us is not None and not isinstance(task, Task):
            self.sleep_until(again_us)
            again_us = look()
        if again_us is None or not isinstance(task, Task):
            return
        wake = self.waker(task)
        ticket = task.ticket

        def look_again() -> None:
            if task.ended or task.ticket != ticket:
                return
            moment_us = look()
            if moment_us is None:
                wake()
            else:
                self.at(moment_us, look_again)

        self.at(again_us, look_again)
        self.park()

    def join(self, tasks: Iterable[Task]) -> None:
        """Wait until all tasks have ended."""
        for task in tasks:
            if task.ended:
                continue
            current = getcurrent()
            if isinstance(current, Task):
                wake = self.waker(current)
                task.on_end.append(partial(self.soon, wake))
                self.park()
            else:
                self.run(lambda task=task: not task.ended)  # type: ignore[misc]

    def run(self, wanted: Callable[[], bool]) -> None:
        """Let the virtual world run while `wanted` returns true and anything is still to come."""
        self._check_thread()
        for _ in range(STEPS_MAX):
            if not wanted() or not self._step(None):
                return
        raise Stuck(f"more than {STEPS_MAX} steps")

    def run_until(self, moment_us: int) -> None:
        self._check_thread()
        for _ in range(STEPS_MAX):
            if not self._step(moment_us):
                self.now_us = max(self.now_us, moment_us)
                return
        raise Stuck(f"more than {STEPS_MAX} steps")

    def _check_thread(self) -> None:
        if get_ident() != self._thread:
            raise RuntimeError("a virtual AWS works in one thread; use the stack in the thread that made it")

    def next_us(self) -> int | None:
        """Return when the next thing happens."""
        while self._waiting and self._waiting[0][3].action is None:
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None

    def _step(self, until_us: int | None) -> bool:
        if self._halt is not None:
            error, self._halt = self._halt, None
            raise error
        moment_us = self.next_us()
        if moment_us is None or (until_us is not None and moment_us > until_us):
            return False
        timer = heapq.heappop(self._waiting)[3]
        self.now_us = moment_us
        action, timer.action = timer.action, None
        assert action is not None
        action()
        return True

    def _switch(self, task: Task) -> None:
        if getcurrent() is not self.hub:
            raise Stuck("a task was woken from within another")
        task.ticket += 1
        task.switch()


class WorkerPool:
    """Runs jobs in parallel in virtual time, by the rules of the thread pool on Lambda.

    At most `width` jobs run at once. The next job is drawn only when a worker is free. No job starts after one has
    failed, and all have ended on return.
    """

    def __init__(self, timeline: Timeline, width: int) -> None:
        self._timeline, self._width = timeline, width

    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        owner = getattr(getcurrent(), "owner", None)
        tasks: list[Task] = []
        waiting: Iterator[Job] = iter(jobs)
        try:
            while True:
                self._wait_for_place(tasks)
                if any(task.ended and task.fault is not None for task in tasks):
                    break
                try:
                    job = next(waiting)
                except StopIteration:
                    break
                tasks.append(self._begin(work, job, owner))
        except Crash:
            raise  # The process is gone, so no one waits for the rest.
        except BaseException:
            self._timeline.join(tasks)
            raise
        self._timeline.join(tasks)
        for task in tasks:
            if task.fault is not None:
                raise task.fault
        return [task.result for task in tasks]

    def _begin(self, work: Callable[[Job], Result], job: Job, owner: object) -> Task:
        task = self._timeline.spawn(lambda: work(job), owner)
        enlist = getattr(owner, "enlist", None)
        if enlist is not None:
            enlist(task)
        return task

    def _wait_for_place(self, tasks: list[Task]) -> None:
        while True:
            busy = [task for task in tasks if not task.ended]
            if len(busy) < self._width:
                return
            current = getcurrent()
            if not isinstance(current, Task):
                raise Stuck("a worker pool works for a task")
            wake = self._timeline.waker(current)
            for task in busy:
                task.on_end.append(partial(self._timeline.soon, wake))
            self._timeline.park()
