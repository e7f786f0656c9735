"""Read the output queue in a loop: `for message in scheduler.messages()`."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from punctual.client.backend import Backend
from punctual.receiving.dedupe import Every, Ids, Memory
from punctual.receiving.held import Held, hold_of
from punctual.receiving.message import Message
from punctual.receiving.output_queue import BATCH_MAX, OutputQueue

WAIT_S = 20
"""How long SQS waits for a message: the most that it can."""
LOOK_S = 1
"""With `wait=False`. SQS asks all of its servers only if it may wait, and would otherwise overlook messages."""


class Messages(Iterator[Message]):
    """The messages of the output queue, one after the other. Close it, or use it with `with`.

    Asking for the next message deletes the last one. Leaving the loop deletes nothing: the message in hand is visible
    again within a minute, unless you call its `delete()`. Closing releases the other received messages at once.
    """

    def __init__(self, backend: Backend, queue_url: str, *, wait: bool = True, dedupe: bool = False) -> None:
        if wait and not backend.parallel:
            raise ValueError(
                "messages() would wait for ever, because only your test moves the clock of punctual.testing; "
                "use messages(wait=False) after stack.advance(…)"
            )
        if not isinstance(dedupe, bool):
            raise TypeError(f"dedupe is {dedupe!r}; wanted: True or False. consume() takes a table as well")
        self._wait = wait
        self._wait_s = WAIT_S if wait else LOOK_S if backend.parallel else 0
        self._ids: Ids = Memory() if dedupe else Every()
        self._held = Held(backend, OutputQueue(backend, queue_url), handled=self._ids.done)
        self._received: deque[Message] = deque()
        self._last: Message | None = None
        # Also if the caller only drops the iterator. The thread does not keep it alive, as it knows the holds alone.
        self._close = weakref.finalize(self, self._held.close)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        if self._held.inherited:
            raise RuntimeError("messages() belongs to the parent process; call it again in this one")
        if self._held.closed:
            raise StopIteration
        if self._last is not None:
            self._last.delete()
            self._last = None
        message = self._next_new()
        self._last = message
        return message

    def _next_new(self) -> Message:
        """Return the next message that is no repeat, and that is still hidden from other consumers."""
        while True:
            while not self._received:
                self._receive()
            message = self._received.popleft()
            if message.lost:
                self._held.forget(hold_of(message))
            elif self._ids.claim(message.id) == "done":
                message.delete()
            else:
                hold_of(message).begun = True
                return message

    def _receive(self) -> None:
        received = self._held.receive(BATCH_MAX, self._wait_s)
        if self._held.closed:  # Another thread closed the iterator while this one waited.
            self._held.release(hold_of(message) for message in received)
            raise StopIteration
        if not received and not self._wait:
            self.close()
            raise StopIteration
        self._received.extend(received)

    def close(self) -> None:
        """Release the received messages that the loop has not got. The iteration ends."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
