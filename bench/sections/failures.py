"""Measure a mass failure: the real functions in a virtual AWS, and a host that refuses everything in one second.

The table takes 1,000 writes a second under each hash key, as DynamoDB does. The figures are counts, so they do not
depend on the machine.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Iterator

from bench.laboratory.processes import Laboratory
from bench.trials import Figure, Size, at_most, tell
from punctual.testing import Stack
from punctual.testing.services import event_sources
from punctual.testing.services.webhook_endpoints import Behaviour

SECTION = "Mass failure in a virtual AWS"
HOST = "refuses.example.com"
BATCH = 500
BODY = "x" * 8_000
AHEAD_S, AFTER_S = 120, 900
POLLERS = 100


def failures(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Count calls, stored and reported failures while a host permanently refuses all webhooks of one second."""
    count = size.burst * 10
    tell(f"failures: {count} in one second")
    before = event_sources.POLLERS, event_sources.POLLERS_IDLE
    event_sources.POLLERS = event_sources.POLLERS_IDLE = POLLERS  # AWS adds as many pollers in time for such a burst.
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # Each failure logs a line.
            stack = _failed(count)
    finally:
        event_sources.POLLERS, event_sources.POLLERS_IDLE = before
    calls = Counter(delivery.id for delivery in stack.delivered())
    later = sum(line.get("outcome") == "concluded later" for line in stack.log())
    name = f"{count:,} webhooks refused in one second"
    yield Figure(SECTION, f"{name}: calls of the host per failure", "", calls.total() / count, wanted=at_most(1, False))
    yield Figure(SECTION, f"{name}: most calls for one", "", max(calls.values()), wanted=at_most(1, False))
    yield Figure(SECTION, f"{name}: reports per failure", "", len(stack.failures()) / count, wanted=at_most(1, False))
    yield Figure(SECTION, f"{name}: messages for what could not be stored at once, per failure", "", later / count)


def _failed(count: int) -> Stack:
    stack = Stack(start="2030-01-10T00:00:00Z", WebhookHosts="*")
    stack._cloud.receivers.behaviour[HOST] = lambda: Behaviour(400, None, 0.0, True)
    due_s = stack.now + AHEAD_S
    each = {"timestamp": due_s, "data": BODY, "target": {"url": f"https://{HOST}/"}}
    for start in range(0, count, BATCH):
        stack.schedule([each] * min(BATCH, count - start))
    stack.advance(seconds=AHEAD_S + AFTER_S)
    return stack
