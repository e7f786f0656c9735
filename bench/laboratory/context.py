"""The context of an invocation, as the trials pass it to the handlers."""

from __future__ import annotations

import time


class Context:
    """The context that Lambda passes to a handler."""

    function_name = "feed"

    def __init__(self, timeout_s: float) -> None:
        self._ends_s = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_s - time.monotonic()) * 1000)
