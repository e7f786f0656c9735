"""The faults, all drawn from the seed. Each kind has its own rate. A seed has some of the kinds, weak or strong.

While `quiet` is true, only planned outages and closed queues occur. Any other failure in that time is a fault of our
own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from punctual.testing.calls import Call, CallFault
from punctual.testing.services.aws_errors import refusal
from punctual.testing.services.environments import COLD_START_S, Event
from punctual.testing.services.webhook_endpoints import ANSWER_S_MAX, Receivers
from punctual.testing.timeline import US, Timeline

FLOAT_US = 4
"""In the 23rd century a float clock, like Python's, has steps of this size."""
SKEW_US_MAX = US // 2
"""The largest error of a clock. Two clocks differ by at most a second."""

CALL_KINDS = ("error before", "error after", "throttled", "partial", "slow", "timed out", "done late", "crash")
EVENT_KINDS = ("doubled", "lost", "tick missed", "tick late", "stale")
STRENGTHS = (0.0, 0.01, 0.03, 0.1)
"""How often a call has a fault of a kind that the seed has."""
KIND_CHANCE = 0.6
SHARES = {"crash": 0.3, "partial": 3}
"""Crashes are rarer than other faults, because a process that dies at every tenth call finishes nothing. Partial
results are more frequent, because few calls are batches.
"""
DOUBLED_MAX = 8
"""The limit of doubled events in one run. Doubled events that invoke themselves would otherwise grow into thousands,
and each of them would be a repeat.
"""

THROTTLES = {
    "dynamodb": ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"),
    "sqs": ("RequestThrottled", "ThrottlingException"),
    "lambda": ("TooManyRequestsException",),
    "sns": ("Throttling",),
    "events": ("ThrottlingException",),
    "stepfunctions": ("ThrottlingException",),
    "webhooks": ("TooManyRequests",),
}
BREAKDOWNS = {
    "dynamodb": ("InternalServerError",),
    "sqs": ("InternalFailure", "ServiceUnavailable"),
    "lambda": ("ServiceException",),
    "sns": ("InternalError",),
    "events": ("InternalException",),
    "stepfunctions": ("InternalError",),
    "webhooks": ("NoConnection",),
}


@dataclass(frozen=True)
class Outage:
    """A span in which one service does not answer."""

    service: str
    begin_us: int
    end_us: int


@dataclass(frozen=True)
class ClosedQueue:
    """A span in which one queue throttles every send."""

    queue_url: str
    begin_us: int
    end_us: int


@dataclass
class Faults:
    """The faults of one run. `rates` has the rate of each kind that this seed has."""

    timeline: Timeline
    randomness: random.Random
    rates: dict[str, float] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)
    closed_queues: list[ClosedQueue] = field(default_factory=list)
    quiet: bool = True
    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    pace_s: float = 0.0
    """How much longer than usual every call takes. On such a slow day nothing fails."""
    skewed: bool = False
    leases_throttled: bool = False
    """DynamoDB throttles the one hash key of all leases."""
    broken_off: float = 0.0
    """How often the schedule function dies when it sets a timer. Only the record is left."""
    follows_broken_off: float = 0.0
    """How often the deliver function dies when it sets a backup timer. The record says that it sets one."""
    redrives_broken_off: float = 0.0
    """How often the manage function dies when it deletes a failure. The schedule is already on its way again."""
    doubled: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    tell: Callable[[str, str], None] = lambda who, what: None
    _of_lines: random.Random = field(default_factory=lambda: random.Random("punctual lines of runs"))

    def start(self) -> None:
        """Let faults occur from now on, if this seed has any."""
        self.quiet = not self.rates
        self.begun += [] if self.quiet else [self.timeline.now_us]

    def stop(self) -> None:
        """Let no faults occur from now on."""
        if not self.quiet:
            self.ended.append(self.timeline.now_us)
        self.quiet = True

    def spans(self) -> list[tuple[int, int]]:
        """Return the spans in which anything could go wrong."""
        spans = list(zip_longest(self.begun, self.ended, fillvalue=self.timeline.now_us))
        return spans + [(outage.begin_us, outage.end_us) for outage in self.outages]

    # ------------------------------------------------------------------------------------------------------------ calls

    def call_fault(self, call: Call) -> CallFault:
        """Draw the faults of a call. Lines of runs have a source of their own, and change nothing for other calls."""
        if not _is_run_line(call):
            return self._draw_call_fault(call)
        with self.drawing_from(self._of_lines):
            return self._draw_call_fault(call)

    @contextmanager
    def drawing_from(self, source: random.Random) -> Iterator[None]:
        """Draw from this source for a while."""
        usual, self.randomness = self.randomness, source
        try:
            yield
        finally:
            self.randomness = usual

    def _draw_call_fault(self, call: Call) -> CallFault:
        draw = self.randomness.random
        fault = CallFault(0.002 + 0.006 * draw() + self.pace_s * (0.4 + 0.2 * draw()), 0.001 + 0.004 * draw())
        if self.pace_s:
            fault.back_s += self.pace_s * (0.4 + 0.2 * draw())
        outage = self._outage(call.service)
        if self.leases_throttled and not self.quiet and call.operation == "update_item" and _is_lease(call):
            fault.error_before = refusal("ThrottlingException", "slow down", 400)
        elif outage is not None:
            self.counted["outage"] += 1
            fault.error_before = self._unreachable(call)
        elif self._is_closed(call):
            self.counted["closed queue"] += 1
            fault.error_before = refusal("RequestThrottled", "slow down", 403)
        elif not self.quiet and self._is_broken_off(call):
            self.counted["crash"] += 1
            fault.crash = "before"
        elif not self.quiet:
            kind = self._kind()
            if kind:
                self._apply(call, fault, kind)
        return fault

    def _is_broken_off(self, call: Call) -> bool:
        draw = self.randomness.random
        if self.broken_off and _ends_a_request(call):
            return draw() < self.broken_off
        if self.follows_broken_off and _follows(call):
            return draw() < self.follows_broken_off
        return bool(self.redrives_broken_off) and _ends_a_redrive(call) and draw() < self.redrives_broken_off

    def _outage(self, service: str) -> Outage | None:
        now_us = self.timeline.now_us
        return next(
            (each for each in self.outages if each.service == service and each.begin_us <= now_us < each.end_us), None
        )

    def _is_closed(self, call: Call) -> bool:
        now_us, url = self.timeline.now_us, call.parameters.get("QueueUrl")
        return call.operation in ("send_message", "send_message_batch") and any(
            each.queue_url == url and each.begin_us <= now_us < each.end_us for each in self.closed_queues
        )

    def _kind(self) -> str:
        draw = self.randomness.random()
        for kind in CALL_KINDS:
            draw -= self.rates.get(kind, 0.0) * SHARES.get(kind, 1)
            if draw < 0:
                return kind
        return "stale" if self.randomness.random() < self.rates.get("stale", 0.0) else ""

    def _apply(self, call: Call, fault: CallFault, kind: str) -> None:
        draw = self.randomness
        if kind == "error before":
            fault.error_before = self._breakdown(call)
        elif kind == "error after":
            fault.error_after = self._breakdown(call)
        elif kind == "throttled":
            fault.error_before = refusal(draw.choice(THROTTLES[call.service]), "slow down", 400)
        elif kind == "partial":
            if not call.operation.endswith(("_batch", "batch_write_item", "put_events")):
                return
            fault.spoilt = self._subset
        elif kind == "crash":
            fault.crash = draw.choice(("before", "after"))
        elif kind == "stale":
            fault.stale_s = draw.uniform(0.1, 2.0)
        else:
            self._delay(call, fault, kind)
        self.counted[kind] += 1

    def _delay(self, call: Call, fault: CallFault, kind: str) -> None:
        draw = self.randomness
        if kind == "slow":
            fault.there_s, fault.back_s = draw.uniform(0.1, 2.0), draw.uniform(0.1, 2.0)
        elif kind == "timed out":
            fault.back_s = _patience_s(call) + 1.0
        elif kind == "done late":
            fault.there_s = _patience_s(call) + draw.uniform(0.1, 3.0)

    def _subset(self, size: int) -> list[int]:
        """Return some, all but some, or all indexes of a batch."""
        share = self.randomness.choice((0.1, 0.5, 0.9, 1.0))
        return [index for index in range(size) if self.randomness.random() < share]

    def _breakdown(self, call: Call) -> Exception:
        url = f"https://{call.service}.virtual"
        choice = self.randomness.randrange(4)
        if choice == 0:
            return ConnectionClosedError(endpoint_url=url)
        if choice == 1:
            return ReadTimeoutError(endpoint_url=url)
        code = self.randomness.choice(BREAKDOWNS[call.service])
        return refusal(code, "something broke", self.randomness.choice((500, 503)))

    def _unreachable(self, call: Call) -> Exception:
        url = f"https://{call.service}.virtual"
        choice = self.randomness.randrange(3)
        if choice == 0:
            return EndpointConnectionError(endpoint_url=url)
        if choice == 1:
            return ConnectTimeoutError(endpoint_url=url)
        return refusal(BREAKDOWNS[call.service][0], "out of order", 503)

    # -------------------------------------------------------------------------------------------------------- functions

    def skew_us(self) -> int:
        return self.randomness.randint(-SKEW_US_MAX, SKEW_US_MAX) if self.skewed else 0

    def cold_start_s(self) -> float:
        return COLD_START_S * (0.5 + 2 * self.randomness.random())

    def stays_warm(self) -> bool:
        return self.randomness.random() > 0.1

    def copies(self, event: Event) -> int:
        return 0 if self._strikes("lost") else self._doubles()

    def copies_of_message(self) -> int:
        """Return how often a queue receives a published message. SNS loses none, because it retries for weeks."""
        return self._doubles()

    def _doubles(self) -> int:
        if self.doubled >= DOUBLED_MAX or not self._strikes("doubled"):
            return 1
        self.doubled += 1
        return 2

    def ticks(self, moment_us: int) -> list[float]:
        """Return the delays of a tick: it may be missed, come minutes late or come twice.

        The next tick makes up for a missed one.
        """
        if self._strikes("tick missed"):
            return []
        if self._strikes("tick late"):
            return [self.randomness.uniform(1, 400)]
        return [0.0, self.randomness.uniform(0, 30)] if self._strikes("doubled") else [0.0]

    def _strikes(self, kind: str) -> bool:
        if self.quiet or self.randomness.random() >= self.rates.get(kind, 0.0):
            return False
        self.counted[kind] += 1
        return True


def _ends_a_request(call: Call) -> bool:
    return "ScheduleFunction" in call.process.name and call.operation in ("send_message_batch", "batch_write_item")


def _follows(call: Call) -> bool:
    """Return whether the deliver function sets a timer of a name again, without an attempt before it."""
    if "DeliverFunction" not in call.process.name or call.operation != "send_message_batch":
        return False
    bodies = [entry["MessageBody"] for entry in call.parameters["Entries"]]
    return any('"name":' in body and '"attempt":' not in body and '"retry":' not in body for body in bodies)


def _ends_a_redrive(call: Call) -> bool:
    """Return whether the manage function deletes failures."""
    if "ManageFunction" not in call.process.name or call.operation != "batch_write_item":
        return False
    writes = [write for each in call.parameters["RequestItems"].values() for write in each]
    keys = [write["DeleteRequest"]["Key"] for write in writes if "DeleteRequest" in write]
    return any(key["partition"]["S"].startswith("failed#") for key in keys)


def _patience_s(call: Call) -> float:
    """Return the time after which the client of the call gives up."""
    return ANSWER_S_MAX if call.service == Receivers.name else call.process.answer_s_max


def _is_run_line(call: Call) -> bool:
    return call.operation == "put_item" and bool(call.parameters["Item"]["partition"]["S"].startswith("runs#"))


def _is_lease(call: Call) -> bool:
    return str(call.parameters["Key"]["sort"]["S"]).startswith("lease#")


def rates(randomness: random.Random) -> dict[str, float]:
    """Draw the kinds of faults that a seed has, and the rate of each."""
    chosen = {}
    for kind in (*CALL_KINDS, *EVENT_KINDS):
        if randomness.random() < KIND_CHANCE:
            chosen[kind] = randomness.choice(STRENGTHS)
    if "stale" in chosen:
        # Stale reads are no failure: eventually consistent reads permit them.
        chosen["stale"] *= 8
    if "done late" in chosen:
        chosen["done late"] /= 3
    if "lost" in chosen:
        chosen["lost"] /= 5
    return chosen
