"""Count the calls and units that one schedule takes from its request to the queue, with a name and without.

The stage is the one of bench/cost.py: the real functions without HTTP and without waiting. The counts are the same at
every run.
"""

from __future__ import annotations

import contextlib
import heapq
import importlib
import io
import itertools
import json
from collections.abc import Callable
from typing import Any

from bench.cost import FAR_S, FED_BEFORE_S, NOW_S, PARTITIONS, Context, Functions, functions
from bench.laboratory.payloads import payload
from bench.laboratory.services import Services

DELIVERY_BATCH = 10
DEBOUNCED, EVERY_S, DELAY_S = 720, 5, 60
"""One hour in which a caller postpones one name every 5 seconds, each time by a minute."""

Handler = Callable[[Any, Any], Any]
_NUMBERS = itertools.count()


def lives(count: int) -> dict[str, dict[str, float]]:
    """Return the counts per schedule for `count` far schedules, requested one by one."""
    its, found = functions(), {}
    deliver = importlib.import_module("deliver").handler
    for who, named in (("unnamed", False), ("named", True)):
        with contextlib.redirect_stdout(io.StringIO()):
            found[who] = _life(count, named, its, deliver)
    return found


def _life(count: int, named: bool, its: Functions, deliver: Handler) -> dict[str, float]:
    services = its.stage.services = Services()
    its.stage.now_s = NOW_S
    for index in range(count):
        name = {"name": f"bench/{index}"} if named else {}
        its.schedule({"timestamp": NOW_S + FAR_S, "data": payload("json", index), **name}, Context())
    its.stage.now_s = NOW_S + FAR_S - FED_BEFORE_S
    for partition in range(PARTITIONS):
        its.feed({"partition": str(partition)}, Context())
    its.stage.now_s = NOW_S + FAR_S
    jobs, services.queue.bare = services.queue.bare, []
    for start in range(0, len(jobs), DELIVERY_BATCH):
        bodies = jobs[start : start + DELIVERY_BATCH]
        deliver({"Records": [{"messageId": str(at), "body": body} for at, body in enumerate(bodies)]}, Context())
    if len(services.queue.ids) != count or services.queue.bare:
        raise RuntimeError(f"{count:,} schedules, and {len(services.queue.ids):,} came out")
    return {name: value / count for name, value in services.counted.items()}


def debounce() -> dict[str, float]:
    """Return the counts per request that postpones one name. `wakings` counts the timers that came due."""
    its, deliver = functions(), importlib.import_module("deliver").handler
    with contextlib.redirect_stdout(io.StringIO()):
        services = its.stage.services = Services()
        waiting: list[tuple[float, int, str]] = []
        wakings = 0
        for number in range(DEBOUNCED + 2 * DELAY_S // EVERY_S):
            its.stage.now_s = NOW_S + number * EVERY_S
            if number < DEBOUNCED:
                its.schedule({"delay": DELAY_S, "data": payload("json", number), "name": "bench/0"}, Context())
            wakings += _wake_until(NOW_S + (number + 1) * EVERY_S, waiting, its, deliver)
    if len(services.queue.ids) != 1 or waiting:
        raise RuntimeError(f"one name, and {len(services.queue.ids):,} came out")
    return {name: value / DEBOUNCED for name, value in {**services.counted, "wakings": wakings}.items()}


def _wake_until(end_s: float, waiting: list[tuple[float, int, str]], its: Functions, deliver: Handler) -> int:
    """Hand each timer to the deliver function when it is due. Return how many there were."""
    queue, wakings = its.stage.services.queue, 0
    while True:
        for body in queue.bare:
            facts = json.loads(body)
            heapq.heappush(waiting, (facts.get("retry", facts["due"]) / 1000, next(_NUMBERS), body))
        queue.bare = []
        if not waiting or waiting[0][0] >= end_s:
            return wakings
        at_s, number, body = heapq.heappop(waiting)
        its.stage.now_s = max(its.stage.now_s, at_s)
        deliver({"Records": [{"messageId": str(number), "body": body}]}, Context())
        wakings += 1
