"""Wait for what the functions do on their own, after the call that began it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

POLL_S = 0.1


def wait_until(fact: Callable[[], Found], within_s: float) -> Found:
    """Wait until `fact` returns something true, and return what it returned last."""
    deadline_s = time.monotonic() + within_s
    while not (found := fact()) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    return found
