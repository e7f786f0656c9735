"""The trials of the metrics: a function with them and the same function without, in turns in one process."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.laboratory.context import Context

Measurement = dict[str, float]
Handler = Callable[[Any, Any], Any]
TIMEOUT_S = {"schedule": 30, "feed": 20}
WARM_CALLS = 30
FAR_S, NEAR_S = 100_000, 100
FIRST_DUE_S, SPREAD_S = 250, 500
"""All schedules of a feed are within reach, and none is overdue."""
INVOCATIONS_MAX = 300


class Turns:
    """The two handlers of a function, and the CPU seconds that each took."""

    def __init__(self, function: str) -> None:
        self._timeout_s = TIMEOUT_S[function]
        self.cpu_s = {"ours": 0.0, "reference": 0.0}
        self.handlers = {"ours": _handler(function, "punctual"), "reference": _handler(function, "")}

    def call(self, who: str, event: Any) -> Any:
        handler, context = self.handlers[who], Context(self._timeout_s)
        begun_s = time.process_time()
        try:
            return handler(event, context)
        finally:
            self.cpu_s[who] += time.process_time() - begun_s

    def outcome(self) -> Measurement:
        return {f"{who}_cpu_s": seconds for who, seconds in self.cpu_s.items()}


def _handler(function: str, metrics: str) -> Handler:
    """Start the function with or without metrics. Both share the package behind the handler."""
    os.environ["METRICS"] = metrics
    sys.modules.pop(function, None)
    handler: Handler = importlib.import_module(function).handler
    return handler


def schedule_with_metrics(trial: dict[str, Any]) -> Measurement:
    """Schedule one by one, or in batches."""
    turns, size = Turns("schedule"), trial["size"]
    ahead_s = FAR_S if trial["distance"] == "far" else NEAR_S
    warm_calls = WARM_CALLS if size == 1 else 1
    for index in range(trial["count"] + warm_calls):
        if index == warm_calls:
            turns.cpu_s = dict.fromkeys(turns.cpu_s, 0.0)
        schedule = {"timestamp": int(time.time()) + ahead_s, "data": f"{index:0100d}"}
        for who in ("ours", "reference") if index % 2 else ("reference", "ours"):
            turns.call(who, schedule if size == 1 else [schedule] * size)
    return turns.outcome()


def feed_with_metrics(trial: dict[str, Any]) -> Measurement:
    """Feed a partition until it is empty, again and again. The first round of each warms up."""
    from bench.laboratory.worker import control  # noqa: PLC0415 - The worker imports this module.

    turns, count = Turns("feed"), trial["count"]
    for round_ in range(trial["rounds"] + 1):
        if round_ == 1:
            turns.cpu_s = dict.fromkeys(turns.cpu_s, 0.0)
        for who in ("ours", "reference") if round_ % 2 else ("reference", "ours"):
            first_due_s = int(time.time()) + FIRST_DUE_S
            control("preload", count=count, partitions=1, first_due_s=first_due_s, spread_s=SPREAD_S)
            orders = [{"partition": "0", "until": time.time() + 600}]
            for _ in range(INVOCATIONS_MAX):
                if not orders:
                    break
                turns.call(who, orders.pop(0))
                orders += control("invoked", partitions=["0"])
            if control("waiting", partitions=["0"], before_s=first_due_s + SPREAD_S):
                raise RuntimeError("schedules are left")
    return turns.outcome()
