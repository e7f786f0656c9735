"""Calls side by side: AWS answers in milliseconds of waiting, so one thread would spend its time idle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any, Protocol, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class WorkerPool(Protocol):
    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        """Do all jobs, in no order, and return the results in the order of the jobs."""


class ThreadPool:
    """At most `width` jobs at once. A job is drawn only when a thread is free for it, so none lies begun and idle."""

    def __init__(self, width: int) -> None:
        self._pool = ThreadPoolExecutor(width)
        self._width = width

    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        """Of what is done only the results are kept: a future for each would be 1.6 KB, however little its result."""
        free = BoundedSemaphore(self._width)
        results: list[Any] = []
        failures: list[BaseException] = []

        def one(job: Job, place: int) -> None:
            try:
                results[place] = work(job)
            except BaseException as failure:  # noqa: BLE001 - It comes out when all have ended.
                failures.append(failure)
            finally:
                free.release()

        waiting = iter(jobs)
        try:
            while True:
                free.acquire()
                if failures:  # What broke one job would break the next as well.
                    break
                try:
                    job = next(waiting)
                except StopIteration:
                    break
                results.append(None)
                self._pool.submit(one, job, len(results) - 1)
        finally:
            for _ in range(self._width - 1):  # One is in hand already.
                free.acquire()  # Whatever happens, no call of ours is still under way when the function answers.
        if failures:
            raise failures[0]
        return results


class SerialPool:
    """One after the other: for a virtual clock, where waiting costs nothing, and for tests."""

    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        return [work(job) for job in jobs]
