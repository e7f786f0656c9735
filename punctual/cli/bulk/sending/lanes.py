"""Send batches side by side in threads, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

Job = Callable[[], Any]


class Lanes(Protocol):
    """Does up to `width` jobs at once."""

    @property
    def width(self) -> int: ...

    def submit(self, job: Job) -> Future[Any]: ...

    def ended(self, jobs: Collection[Future[Any]]) -> Collection[Future[Any]]:
        """Wait until at least one of these jobs has ended. Return those that have."""
        ...

    def close(self) -> None: ...


class Threads:
    """Sends to AWS, which takes calls side by side."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._executor = ThreadPoolExecutor(width, "import")

    def submit(self, job: Job) -> Future[Any]:
        return self._executor.submit(job)

    def ended(self, jobs: Collection[Future[Any]]) -> Collection[Future[Any]]:
        return wait(jobs, return_when=FIRST_COMPLETED).done

    def close(self) -> None:
        self._executor.shutdown()


class OneByOne:
    """Does each job at once: a virtual AWS has one clock, and no threads."""

    width = 1

    def submit(self, job: Job) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(job())
        except Exception as fault:  # noqa: BLE001 - The future has it.
            future.set_exception(fault)
        return future

    def ended(self, jobs: Collection[Future[Any]]) -> Collection[Future[Any]]:
        return list(jobs)

    def close(self) -> None:
        """Do nothing: there are no threads."""


def lanes(workers: int, parallel: bool) -> Lanes:
    return Threads(workers) if parallel and workers > 1 else OneByOne()
