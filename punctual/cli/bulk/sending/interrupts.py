"""Put off Ctrl-C while a step is under way that may not end halfway."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interrupts_put_off() -> Iterator[None]:
    """Handle the first Ctrl-C after the block. A second one ends the block at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread alone.
        return
    former = signal.getsignal(signal.SIGINT)
    noted: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted and callable(former):
            former(number, frame)
        noted.append((number, frame))

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
        if noted and callable(former):
            former(*noted[0])
