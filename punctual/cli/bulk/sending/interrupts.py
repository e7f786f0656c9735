"""Put off Ctrl-C while a step is under way that may not end halfway."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interrupts_put_off() -> Iterator[None]:
    """Handle the first Ctrl-C after the block. A second one ends the block at once.

    A handler that is not a function of Python stays in place: there would be nothing to call after the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread alone.
        return
    former = signal.getsignal(signal.SIGINT)
    if not callable(former):
        yield
        return
    noted: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            former(number, frame)
        noted.append((number, frame))

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
        if noted:
            former(*noted[0])
