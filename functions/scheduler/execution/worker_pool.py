"""Run calls concurrently, because a single thread would spend most of its time waiting for AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any, Protocol, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class WorkerPool(Protocol):
    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        """Do all jobs, in any order, and return the results in the order of the jobs."""


class ThreadPool:
    """Runs at most `width` jobs at once. It takes a job only when a thread is free, so that no job waits in a queue."""

    def __init__(self, width: int) -> None:
        self._pool = ThreadPoolExecutor(width)
        self._width = width

    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        """Do all jobs. Keep results rather than futures, because a future takes 1.6 KB even for a small result.

        The first error of a job stops the pool from taking more jobs, and is raised after the running jobs have ended.
        """
        free = BoundedSemaphore(self._width)
        results: list[Any] = []
        failures: list[BaseException] = []

        def one(job: Job, index: int) -> None:
            try:
                results[index] = work(job)
            except BaseException as failure:  # noqa: BLE001 - It is raised when all jobs have ended.
                failures.append(failure)
            finally:
                free.release()

        waiting = iter(jobs)
        try:
            while True:
                free.acquire()
                if failures:  # The next job would fail in the same way.
                    break
                try:
                    job = next(waiting)
                except StopIteration:
                    break
                results.append(None)
                self._pool.submit(one, job, len(results) - 1)
        finally:
            for _ in range(self._width - 1):  # The loop has acquired one.
                free.acquire()  # No call may still run when the function returns.
        if failures:
            raise failures[0]
        return results


class SerialPool:
    """Runs one job after the other. It is for tests, and for a virtual clock, where waiting costs nothing."""

    def run(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        return [work(job) for job in jobs]
