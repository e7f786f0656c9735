"""Handle the messages of the output queue with several threads, until the process is told to end."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Literal, TypeAlias

from punctual.client.backend import Backend
from punctual.client.errors import PunctualError
from punctual.receiving.dedupe import Dedupe, Ids, ids_of
from punctual.receiving.handling import Handler, checked, handle, log
from punctual.receiving.held import Held, Hold, hold_of
from punctual.receiving.message import Message
from punctual.receiving.output_queue import BATCH_MAX, OutputQueue

WORKERS_DEFAULT = 10
WORKERS_MAX = 1_000
WAIT_S = 5
"""How long a request waits for messages. A request under way delays the end of the process."""
DELETE_TRIES_MAX = 3
LOOK_S = 1
"""How long the main thread sleeps at a time. Python handles a signal between two steps of the main thread. A signal
that comes just before a sleep does not wake it, and would wait for the end of that sleep."""

End: TypeAlias = "Literal['signal', 'empty'] | BaseException"


def consume(
    backend: Backend,
    queue_url: str,
    handler: Handler,
    *,
    workers: int = WORKERS_DEFAULT,
    dedupe: Dedupe = False,
    wait: bool = True,
) -> None:
    """Call the handler with each message, in `workers` threads at once. Delete a message after its handler returned.

    SIGTERM and SIGINT end it: it finishes what is in hand, releases the rest and returns. A second signal ends the
    process at once. With `wait=False` it also returns when the queue is empty.
    """
    if isinstance(workers, bool) or workers not in range(1, WORKERS_MAX + 1):
        raise ValueError(f"workers is {workers!r}; wanted: a whole number from 1 to {WORKERS_MAX}")
    if wait and not backend.parallel:
        raise ValueError(
            "consume() would wait for ever, because only your test moves the clock of punctual.testing; "
            "use consume(handler, wait=False) after stack.advance(…)"
        )
    checked(handler, "consume()")
    held = Held(backend, OutputQueue(backend, queue_url))
    if backend.parallel:
        _Workers(held, handler, ids_of(dedupe), workers, wait).run()
    else:
        _one_by_one(held, handler, ids_of(dedupe))


def _one_by_one(held: Held, handler: Handler, ids: Ids) -> None:
    try:
        while received := held.receive(BATCH_MAX, 0):
            for message in received:
                hold_of(message).begun = True
                if handle(message, handler, ids) != "failed":
                    message.delete()
    finally:
        held.close()


class _Workers:
    """One thread receives, `workers` threads handle, and one thread deletes.

    A message is received only when a thread is free for it, so that no message waits here while another process could
    handle it in time.
    """

    def __init__(self, held: Held, handler: Handler, ids: Ids, workers: int, wait: bool) -> None:
        self._held, self._handler, self._ids = held, handler, ids
        self._workers, self._wait = workers, wait
        self._free = threading.Condition()
        self._busy = 0
        self._stopping = threading.Event()
        self._jobs: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._handled: queue.Queue[Hold | None] = queue.Queue(maxsize=BATCH_MAX * workers)
        self._ends: queue.SimpleQueue[End] = queue.SimpleQueue()
        """The reasons to end the run. A SimpleQueue, because a signal handler may put into it at any moment."""

    def run(self) -> None:
        try:
            with _signals(self._ends):
                threads = self._start()
                end = self._wait_for_end()
                self._finish(*threads)  # If no signal has come yet, the first one does not cut it short.
        finally:
            self._stop()
            self._held.close()
        fault = self._fault(end)
        if fault is not None:
            raise fault

    def _wait_for_end(self) -> End:
        while True:
            with suppress(queue.Empty):
                return self._ends.get(timeout=LOOK_S)

    def _start(self) -> tuple[threading.Thread, list[threading.Thread], threading.Thread]:
        workers = [self._started("work", self._work) for _ in range(self._workers)]
        return self._started("receive", self._receive), workers, self._started("delete", self._delete)

    def _finish(self, receiver: threading.Thread, workers: list[threading.Thread], deleter: threading.Thread) -> None:
        """End the threads in the order in which a message passes them, so that each finishes what it has."""
        self._stop()
        _join([receiver])
        for _ in workers:
            self._jobs.put(None)
        _join(workers)
        self._handled.put(None)
        _join([deleter])

    def _fault(self, end: End) -> BaseException | None:
        """Return the error that ended the run, or one that came while it ended."""
        ends = [end]
        while not self._ends.empty():
            ends.append(self._ends.get())
        return next((each for each in ends if isinstance(each, BaseException)), None)

    def _started(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - `run` raises it in the caller's thread.
                self._ends.put(error)

        thread = threading.Thread(target=guarded, name=f"punctual-{name}", daemon=True)
        thread.start()
        return thread

    def _stop(self) -> None:
        self._stopping.set()
        with self._free:
            self._free.notify_all()

    # ------------------------------------------------------------------------------------------------- the threads

    def _receive(self) -> None:
        while not self._stopping.is_set():
            with self._free:
                self._free.wait_for(lambda: self._busy < self._workers or self._stopping.is_set())
                most = self._workers - self._busy
            if self._stopping.is_set():
                return
            received = self._held.receive(most, WAIT_S if self._wait else 1, self._stopping.is_set)
            if not received and not self._wait and not self._still_busy():
                self._ends.put("empty")
                return
            with self._free:
                self._busy += len(received)
            for message in received:
                self._jobs.put(message)

    def _still_busy(self) -> bool:
        with self._free:
            return self._busy > 0

    def _work(self) -> None:
        while True:
            message = self._jobs.get()
            if message is None:
                return
            if self._stopping.is_set():
                continue  # No handler has begun it, so closing releases it.
            hold = hold_of(message)
            hold.begun = True
            try:
                if handle(message, self._handler, self._ids) == "failed":
                    self._held.forget(hold)
                else:
                    self._handled.put(hold)
            finally:
                with self._free:
                    self._busy -= 1
                    self._free.notify_all()

    def _delete(self) -> None:
        """Delete what was handled, as many in a request as have come meanwhile."""
        ended = False
        while not ended:
            found = [self._handled.get()]
            while len(found) < BATCH_MAX and not self._handled.empty():
                found.append(self._handled.get())
            ended = None in found
            self._delete_many([hold for hold in found if hold is not None])

    def _delete_many(self, holds: list[Hold]) -> None:
        left, reason = holds, "SQS did not confirm it"
        for _ in range(DELETE_TRIES_MAX):
            if not left:
                return
            try:
                left = self._held.delete_many(left)
            except PunctualError as error:
                if not error.retryable:
                    self._ends.put(error)
                reason = str(error)
            except Exception as error:  # noqa: BLE001 - Workers would wait for ever for a thread that has ended.
                self._ends.put(error)
                reason = type(error).__qualname__
        for hold in left:
            self._held.forget(hold)
            log.error("schedule %s was handled and cannot be deleted; it will come again: %s", hold.id, reason)


def _join(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        while thread.is_alive():
            thread.join(LOOK_S)


@contextmanager
def _signals(ends: queue.SimpleQueue[End]) -> Iterator[None]:
    """Let the first SIGTERM or SIGINT end the run. Afterwards both have their former effect, also while it ends."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread gets signals.
        return

    found = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    former = {number: handler for number, handler in found.items() if handler is not None}  # None: not Python's.

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def ended(number: int, frame: FrameType | None) -> None:
        restore()
        ends.put("signal")

    try:
        for number in former:
            signal.signal(number, ended)
        yield
    finally:
        restore()
