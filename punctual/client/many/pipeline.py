"""Send batches in parallel and give their results in the order of the input.

All decisions are made in the caller's thread, while it waits for the next result. The workers only send. At most
`2 * workers` batches are held, sent or not, and the input is read when a place is free. The first batch goes alone, so
that a missing stack or right shows before anything else is sent.

When a batch fails, nothing new begins. The error is raised after the results of everything that was under way, so that
the caller learns what was scheduled.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from punctual.client.errors import PunctualError
from punctual.client.many.batch import Batch, Outcome

HELD_PER_WORKER = 2


NOT_SENT = "it was not sent, because another batch failed"


@dataclass(slots=True)
class _Held:
    """A batch that is held: not begun yet, or with the future of its results."""

    batch: Batch
    names: frozenset[str]
    future: Future[list[Outcome]] | None = None

    def done(self) -> bool:
        return self.future is not None and self.future.done()

    def failure(self) -> BaseException | None:
        """Return the error of a batch that has failed."""
        if self.future is None or not self.future.done() or self.future.cancelled():
            return None
        return self.future.exception()

    def succeeded(self) -> bool:
        """Return whether the results are there. A batch that was cancelled has none."""
        return self.future is not None and self.done() and not self.future.cancelled() and self.failure() is None


class Pipeline:
    """Sends the batches with `send`. A batch waits while an earlier one with a name of its own is under way."""

    def __init__(
        self,
        batches: Iterator[Batch],
        send: Callable[[Batch], list[Outcome]],
        stop: Callable[[], None],
        workers: int,
        parallel: bool,
    ) -> None:
        self._batches, self._send, self._stop, self._workers = batches, send, stop, workers
        self._pool = ThreadPoolExecutor(workers, "punctual") if parallel else None
        self._held: deque[_Held] = deque()
        self._failure: Exception | None = None
        self._more, self._proven = True, False
        self._process = os.getpid()

    def results(self) -> Generator[Outcome, None, None]:
        """Yield the results. Closing the generator starts nothing new."""
        try:
            while self._step():
                head = self._held[0]
                if any(held.failure() for held in self._held):
                    yield from self._last_results()
                elif head.future is not None and head.future.done():
                    outcomes = head.future.result()
                    self._held.popleft()
                    self._proven = True
                    self._begin()
                    yield from outcomes
            if self._failure is not None:
                raise self._failure
        finally:
            self._stop()
            if self._pool is not None and not self._inherited:  # The lock of a parent's pool may never be free.
                self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def _inherited(self) -> bool:
        """Whether this process is a fork of the one that sends. It has none of its threads."""
        return os.getpid() != self._process

    def _last_results(self) -> Generator[Outcome, None, None]:
        """Yield what is known of the batches under way, and raise the first failure."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        held = list(self._held)
        known = [each.succeeded() for each in held]
        failure = next(error for each in held if (error := each.failure()) is not None)
        while known and not known[-1]:
            known.pop()
        for each, is_known in zip(held, known, strict=False):
            if is_known and each.future is not None:
                yield from each.future.result()
            else:
                yield from each.batch.unconfirmed(str(each.failure() or NOT_SENT))
        raise failure

    def _step(self) -> bool:
        """Read a batch, or else wait for one. Return whether any is held."""
        if self._inherited:
            raise RuntimeError("schedule_many() belongs to the parent process; call it again in this one")
        self._begin()
        if self._held and (self._held[0].done() or any(held.failure() for held in self._held)):
            return True
        if self._more and len(self._held) < HELD_PER_WORKER * self._workers:
            self._read()
            self._begin()
        elif self._held:
            wait([held.future for held in self._held if held.future and not held.done()], None, FIRST_COMPLETED)
        return bool(self._held) or self._more

    def _read(self) -> None:
        """Read a batch. An error of the input waits for the results of what was read before."""
        try:
            batch = next(self._batches, None)
        except Exception as error:  # noqa: BLE001 - `results` raises it.
            self._failure, batch = error, None
        self._more = batch is not None
        if batch is not None:
            self._held.append(_Held(batch, batch.names()))

    def _begin(self) -> None:
        """Send the batches that no earlier one holds up."""
        if any(held.failure() for held in self._held):
            return
        under_way: set[str] = set()
        self._proven = self._proven or any(held.done() for held in self._held)
        for number, held in enumerate(self._held):
            if number and not self._proven:
                return
            if held.future is None and under_way.isdisjoint(held.names):
                held.future = self._submit(held.batch)
            if not held.done():
                under_way |= held.names

    def _submit(self, batch: Batch) -> Future[list[Outcome]]:
        if self._pool is not None:
            return self._pool.submit(self._send, batch)
        future: Future[list[Outcome]] = Future()
        try:
            future.set_result(self._send(batch))
        except PunctualError as error:  # As with a pool, `results` raises it at its turn.
            future.set_exception(error)
        return future
