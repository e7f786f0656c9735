"""Measure how late deliveries are: the real stack on the local AWS, with its deliver function, queues and webhooks.

The local AWS invokes a function with at most five batches of ten at once. AWS goes down to two after a quiet time,
rises to five while there is work, and then adds more. The whole stack runs on this machine, receivers included. So
these figures show what one machine can do, and no more.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.laboratory.processes import Laboratory
from bench.laboratory.webhook_hosts import ANSWER_S, Host, Hosts
from bench.trials import Bound, Figure, Size, at_most, tell
from punctual.local.deployment import Stack, deploy
from punctual.local.emulation.emulator import Emulator

TEMPLATE_PATH = Path(__file__).parents[2] / "template.yml"
LEAD_S = 3
"""The local AWS polls slowly."""

NAMED_OVER_S = 20
AHEAD_S = 12
"""Time to hand in all requests and to let the stack wake up."""
LOST_S = 60
FIRST_BATCH = 50
"""Messages that wait at the function when their time comes: five batches of ten."""
POLL_S = 0.1
SECTION = "Deliveries on the local AWS"


def deliveries(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Measure names to the output queue, a burst to a webhook, and a host that hangs next to a healthy one."""
    good, silent = Host(ANSWER_S), Host(None)
    with Hosts(good, silent), Emulator(auth=True) as emulator:
        parameters = {"DeliveryLeadSeconds": LEAD_S, "WebhookHosts": [good.origin, silent.origin]}
        stack = deploy(emulator, TEMPLATE_PATH, parameters=parameters)
        _warmed(stack, good, FIRST_BATCH)
        yield from _named(stack, size.burst * 2 // 5)
        yield from _burst(stack, good, size.burst)
        yield from _beside(stack, good, silent, size.burst // 5)


def _warmed(stack: Stack, good: Host, count: int) -> None:
    """Start as many environments as the trial will need, so that each has made its clients."""
    tell("deliveries: waking the stack")
    good.arrivals_s.clear()
    known, due_s = len(_latenesses_s(stack)), time.time() + LEAD_S + 1
    _ask(stack, [due_s] * count, {"url": good.origin}, "warm")
    _wait(lambda: len(_latenesses_s(stack)) >= known + count, due_s)


def _named(stack: Stack, count: int) -> Iterator[Figure]:
    tell(f"deliveries: {count} named ones")
    known, first_s = len(_latenesses_s(stack)), time.time() + AHEAD_S
    batch = [
        {"timestamp": first_s + number * NAMED_OVER_S / count, "data": "x", "name": f"bench/{number}"}
        for number in range(count)
    ]
    stack.invoke("ScheduleFunction", batch)
    _wait(lambda: len(_latenesses_s(stack)) >= known + count, first_s + NAMED_OVER_S)
    latenesses_s = _latenesses_s(stack)[known:]
    name = f"{count} named ones over {NAMED_OVER_S} s, start of delivery after due"
    yield _figure(f"{name}: median", statistics.median(latenesses_s), at_most(0.1, False))
    yield _figure(f"{name}: worst", max(latenesses_s), at_most(1, False))


def _burst(stack: Stack, good: Host, count: int) -> Iterator[Figure]:
    tell(f"deliveries: {count} in one second")
    good.arrivals_s.clear()
    due_s = round(time.time()) + AHEAD_S
    _ask(stack, [due_s] * count, {"url": good.origin}, "burst")
    _wait(lambda: len(good.arrivals_s) >= count, due_s)
    arrivals_s = sorted(arrival_s - due_s for arrival_s in good.arrivals_s)
    name = f"{count} webhooks due in one second, arrival after due"
    yield _figure(f"{name}: first", arrivals_s[0])
    yield _figure(
        f"{name}: median of the first {FIRST_BATCH}", statistics.median(arrivals_s[:FIRST_BATCH]), at_most(0.1, False)
    )
    yield _figure(f"{name}: median", statistics.median(arrivals_s))
    yield _figure(f"{name}: last", arrivals_s[count - 1], at_most(3, False))


def _beside(stack: Stack, good: Host, silent: Host, count: int) -> Iterator[Figure]:
    lasts_s = {}
    for hanging in (False, True):
        tell(f"deliveries: {count} to one host, {'as many to one that hangs' if hanging else 'alone'}")
        good.arrivals_s.clear()
        due_s = round(time.time()) + AHEAD_S
        urls = [good.origin, silent.origin] if hanging else [good.origin]
        batch = [{"timestamp": due_s, "data": "x", "target": {"url": url}} for _ in range(count) for url in urls]
        stack.invoke("ScheduleFunction", batch)
        _wait(lambda: len(good.arrivals_s) >= count, due_s)
        lasts_s[hanging] = max(good.arrivals_s) - due_s
        beside = " beside a host that hangs" if hanging else ""
        yield _figure(f"{count} webhooks{beside}: last arrival after due", lasts_s[hanging])
    name = f"{count} webhooks beside a host that hangs: last, later than without it"
    yield _figure(name, lasts_s[True] - lasts_s[False], at_most(1, False))


def _ask(stack: Stack, dues_s: Sequence[float], target: dict[str, Any], data: str) -> None:
    stack.invoke("ScheduleFunction", [{"timestamp": due_s, "data": data, "target": target} for due_s in dues_s])


def _latenesses_s(stack: Stack) -> list[float]:
    """Read the lateness of every delivery from the deliver function's log."""
    lines = stack.emulator.log_path.read_text().splitlines()
    delivered = [json.loads(line) for line in lines if line.startswith('{"outcome": "delivered"')]
    return [each["lateness_ms"] / 1000 for each in delivered]


def _wait(fact: Any, due_s: float) -> None:
    while not fact():
        if time.time() > due_s + LOST_S:
            raise RuntimeError(f"not all was delivered within {LOST_S} s")
        time.sleep(POLL_S)


def _figure(name: str, ours: float, wanted: Bound | None = None) -> Figure:
    return Figure(SECTION, name, "s", ours, None, None, wanted)
