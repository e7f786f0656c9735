"""Calls side by side: AWS answers in milliseconds of waiting, so one thread would spend its time idle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import BoundedSemaphore, Event
from typing import Protocol, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Crew(Protocol):
    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        """Do all jobs, in no order, and return the results in the order of the jobs."""


class Threads:
    """At most `width` jobs at once. A job is drawn only when a thread is free for it, so none lies begun and idle."""

    def __init__(self, width: int) -> None:
        self._pool = ThreadPoolExecutor(width)
        self._width = width

    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        free, failed = BoundedSemaphore(self._width), Event()
        futures: list[Future[Result]] = []

        def one(job: Job) -> Result:
            try:
                return work(job)
            except BaseException:
                failed.set()
                raise
            finally:
                free.release()

        waiting = iter(jobs)
        try:
            while True:
                free.acquire()
                if failed.is_set():  # What broke one job would break the next as well.
                    break
                try:
                    job = next(waiting)
                except StopIteration:
                    break
                futures.append(self._pool.submit(one, job))
        finally:
            wait(futures)  # Whatever happens, no call of ours is still under way when the function answers.
        return [future.result() for future in futures]


class Alone:
    """One after the other: for a virtual clock, where waiting costs nothing, and for tests."""

    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        return [work(job) for job in jobs]
