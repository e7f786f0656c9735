"""What one schedule takes from its request to the queue, with a name and without, as calls and units are counted.

On the same stage as in bench/cost.py: the real functions, no HTTP, no waiting, and the same counts at every run.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable
from typing import Any

from bench.cost import FAR_S, FED_BEFORE_S, NOW_S, PARTITIONS, Context, Functions, functions
from bench.payloads import payload
from bench.services import Services

DELIVERY_BATCH = 10

Handler = Callable[[Any, Any], Any]


def lives(count: int) -> dict[str, dict[str, float]]:
    """Counted for each of `count` far ones, requested one by one."""
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
    errands, services.queue.bare = services.queue.bare, []
    for start in range(0, len(errands), DELIVERY_BATCH):
        bodies = errands[start : start + DELIVERY_BATCH]
        deliver({"Records": [{"messageId": str(at), "body": body} for at, body in enumerate(bodies)]}, Context())
    if len(services.queue.ids) != count or services.queue.bare:
        raise RuntimeError(f"{count:,} schedules, and {len(services.queue.ids):,} came out")
    return {name: value / count for name, value in services.counted.items()}
