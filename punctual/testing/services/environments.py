"""The execution environments of the virtual Lambda, and the invocations that run in them.

Source: "Lambda execution environment" in the guide of Lambda.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from punctual.testing.services.webhook_endpoints import SimulatedTransport
from punctual.testing.timeline import US, Crash, Task, WorkerPool

if TYPE_CHECKING:
    from punctual.testing.services.functions import Functions

EVENT_AGE_S_DEFAULT = 21_600
COLD_START_S = 0.3


@dataclass(frozen=True)
class Function:
    """The template's settings of one function."""

    name: str
    handler: str
    timeout_s: int
    environment: Mapping[str, str]
    retries: int = 2
    event_age_s: int = EVENT_AGE_S_DEFAULT
    failure_queue_arn: str | None = None


@dataclass
class Event:
    """An asynchronous invocation. `attempt` counts from 1."""

    function: str
    payload: str
    accepted_us: int
    attempt: int = 1
    cause: str = ""


class FaultPlan(Protocol):
    """The faults of functions, apart from those of their calls. `NoFaults` has none."""

    def skew_us(self) -> int: ...
    def cold_start_s(self) -> float: ...
    def stays_warm(self) -> bool: ...
    def copies(self, event: Event) -> int:
        """Return how many times an accepted event is invoked: once, twice, or never."""
        ...


class NoFaults:
    """Every clock is right, and every event is invoked once."""

    def skew_us(self) -> int:
        return 0

    def cold_start_s(self) -> float:
        return COLD_START_S

    def stays_warm(self) -> bool:
        return True

    def copies(self, event: Event) -> int:
        return 1


class Context:
    """The context object that Lambda passes to a handler."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self.function_name = invocation.environment.function.name
        self.aws_request_id = invocation.id

    def get_remaining_time_in_millis(self) -> int:
        return max(0, (self._invocation.end_us - self._invocation.environment.timeline.now_us) // 1000)


class Environment:
    """A process that runs one function, one invocation at a time. The state of its module lives as long as it does."""

    def __init__(self, functions: Functions, function: Function, number: int) -> None:
        self.timeline = functions.timeline
        self.function = function
        self.name = f"{function.name}#{number}"
        self.dead = False
        self.skew_us = functions.faults.skew_us()
        self.answer_s_max = functions.source.call_s_max
        self.idle_since_us = self.timeline.now_us
        self.invocation: Invocation | None = None
        self._functions = functions
        self._handler: Callable[..., Any] | None = None
        self._randomness = random.Random(f"{functions.randomness.getrandbits(64)}")

    def clock(self) -> float:
        return (self.timeline.now_us + self.skew_us) / US

    def sleep(self, delay_s: float) -> None:
        if self.dead:
            raise Crash
        self.timeline.sleep(max(0.0, delay_s))

    def handle(self, event: Any, context: Context) -> Any:
        if self._handler is None:
            self._handler = self._functions.source.handler(
                self.function.handler, self.function.environment, self._runtime
            )
        return self._handler(event, context)

    def crash(self) -> None:
        self.dead = True
        invocation = self.invocation
        if invocation is not None:
            self.timeline.at(self.timeline.now_us, lambda: invocation.end("crashed"))

    def _runtime(self) -> Any:
        return self._functions.source.runtime_of(
            clock=self.clock,
            sleep=self.sleep,
            randomness=self._randomness,
            client=lambda service, connections: self._functions.network.client(service, self),
            pool=lambda width: WorkerPool(self.timeline, width),
            webhooks=lambda hosts, secrets, clock: SimulatedTransport(
                self._functions.network.client("webhooks", self), self._functions.source.undelivered
            ),
        )


class Invocation:
    """One run of a handler, until it returns, raises, crashes or times out."""

    def __init__(self, functions: Functions, environment: Environment, payload: str, number: int, cause: str) -> None:
        self.id = f"{environment.function.name}@{number}"
        self.environment, self.payload, self.cause = environment, payload, cause
        self.outcome = ""
        """Empty while it runs, then `returned`, `raised`, `crashed` or `timed out`."""
        self.answer = "null"
        self.error: Exception | None = None
        self.lines: list[str] = []
        self.on_end: list[Callable[[], None]] = []
        self.begun_us = functions.timeline.now_us
        self.end_us = self.begun_us + environment.function.timeout_s * US
        self._functions = functions
        self._tasks: list[Task] = []
        environment.invocation = self
        self._task = functions.timeline.spawn(self._run, self)
        self._alarm = functions.timeline.at(self.end_us, lambda: self.end("timed out"))
        self.enlist(self._task)
        self._task.on_end.append(lambda: functions.timeline.soon(self._returned))

    def enlist(self, task: Task) -> None:
        """Add a task that works for this invocation, and ends with it."""
        self._tasks.append(task)
        if self.environment.dead:
            self._functions.timeline.at(self._functions.timeline.now_us, lambda: task.kill(Crash()))

    def _run(self) -> None:
        event = json.loads(self.payload)
        answer = self.environment.handle(event, Context(self))
        self.answer = json.dumps(answer)

    def _returned(self) -> None:
        if self.outcome:
            return
        error = self._task.fault
        if isinstance(error, Crash) or self.environment.dead:
            self.end("crashed")
        elif error is None:
            self.end("returned")
        elif isinstance(error, Exception):
            self.error = error
            self.end("raised")
        else:
            self._functions.timeline.halt(error)

    def end(self, outcome: str) -> None:
        """End the invocation once, from the event loop, and stop all its remaining work."""
        if self.outcome:
            return
        self.outcome = outcome
        self._alarm.cancel()
        self.environment.dead = self.environment.dead or outcome in ("crashed", "timed out")
        self.environment.invocation = None
        for task in self._tasks:
            task.kill(Crash())
        self._functions.ended(self)
        for action in self.on_end:
            action()
