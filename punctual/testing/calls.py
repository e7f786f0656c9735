"""Calls to the services of the virtual AWS, from the client to the effect and back.

A client has the methods of a boto3 client. Every call takes virtual time to the service and back. The `faults` decides
which faults a call meets. By default it meets none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Protocol

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError, ReadTimeoutError
from botocore.validate import ParamValidator

from punctual.testing.timeline import US, Crash, Timeline

Effect = Callable[[dict[str, Any], "Call"], dict[str, Any]]

THERE_S = 0.004
BACK_S = 0.002
"""The times of a call within a region, without faults."""

ANSWER_S_MAX_DEFAULT = 60.0
"""How long boto3 waits for an answer by default."""


CHECKS_MAX = 10
"""The number of calls per operation that are validated against AWS's description."""


class Process(Protocol):
    """The caller: an execution environment of a function, or an external process."""

    name: str
    dead: bool
    skew_us: int
    answer_s_max: float
    """How long its clients wait for an answer."""

    def crash(self) -> None:
        """End at once, and abandon all work."""


@dataclass
class ExternalProcess:
    """A process that is not a function: a test, or a client of the stack's owner."""

    name: str = "outside"
    dead: bool = False
    skew_us: int = 0
    answer_s_max: float = ANSWER_S_MAX_DEFAULT

    def crash(self) -> None:
        self.dead = True


@dataclass
class CallFault:
    """The faults of one call."""

    there_s: float = THERE_S
    back_s: float = BACK_S
    crash: str = ""
    """`before` or `after`: the process crashes before or after the effect. Empty: it does not crash."""
    error_before: Exception | None = None
    error_after: Exception | None = None
    spoilt: Callable[[int], list[int]] | None = None
    """Return the indexes in a batch of this size that AWS does not process this time."""
    stale_s: float = 0.0
    """How far an eventually consistent read lags behind."""


class NetworkFaults(Protocol):
    def call_fault(self, call: Call) -> CallFault:
        """Return the faults of a call that is about to begin."""
        ...


@dataclass(frozen=True)
class Fair:
    """No faults."""

    there_s: float = THERE_S
    back_s: float = BACK_S

    def call_fault(self, call: Call) -> CallFault:
        return CallFault(self.there_s, self.back_s)


@dataclass
class Call:
    """One call, as the effect and the watcher see it."""

    service: str
    operation: str
    parameters: dict[str, Any]
    process: Process
    begun_us: int
    invocation: object = None
    """The invocation that made the call, or None if no function did. It may be over before AWS carries the call out."""
    fault: CallFault = field(default_factory=CallFault)
    effect_us: int | None = None
    answer: dict[str, Any] | None = None
    error: BaseException | None = None
    """The error that the process got. If there is neither an answer nor an error, the process ended before."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery to a target that is not a queue: an ARN, or the URL of a webhook."""

    target: str
    body: str
    at_us: int
    facts: Mapping[str, Any] = field(default_factory=dict)


class Watcher:
    """Sees everything that happens. A simulation overrides the methods to check its guarantees."""

    def called(self, call: Call) -> None:
        """Handle the end of a call, or of its process."""

    def wrote(self, call: Call, table: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """Handle an item that was put, changed or deleted."""

    def sent(self, call: Call | None, queue: str, message: Any) -> None:
        """Handle a message that was sent to a queue. If there is no call, Lambda or SQS itself sent it."""

    def received(self, call: Call, delivery: Delivery) -> None:
        """Handle a delivery to a target that is not a queue."""

    def refused(self, call: Call, delivery: Delivery) -> None:
        """Handle a delivery that its target turned down, or did not answer."""

    def fell(self, kind: str, **facts: Any) -> None:
        """Handle an event that is not a call: a tick, a crash, an invocation that started or ended."""


class Service:
    """A service of the virtual AWS: named operations, each with its effect."""

    name = ""
    answer_s_max: float | None = None
    """How long a client waits for this service, if that differs from the process's other clients."""
    described = True
    """Whether this is a service of AWS, so that boto3 can validate its parameters."""

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        self.timeline, self.watcher = timeline, watcher
        self.operations: dict[str, Effect] = {}


class Network:
    """Connects the processes to the services."""

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        self.timeline, self.watcher = timeline, watcher
        self.faults: NetworkFaults = Fair()
        self.services: dict[str, Service] = {}
        self._checked: Counter[str] = Counter()

    def client(self, service: str, process: Process) -> Client:
        return Client(self, self.services[service], process)

    def call(self, service: Service, operation: str, parameters: dict[str, Any], process: Process) -> dict[str, Any]:
        if process.dead:
            raise Crash
        effect = service.operations.get(operation)
        if effect is None:
            known = ", ".join(sorted(service.operations))
            unknown = NotImplementedError(f"the virtual {service.name} has no {operation}; it has {known}")
            self._give_up(unknown)
            raise unknown
        if service.described:
            self._check(service.name, operation, parameters)
        invocation = getattr(process, "invocation", None)
        call = Call(service.name, operation, parameters, process, self.timeline.now_us, invocation)
        call.fault = self.faults.call_fault(call)
        try:
            call.answer = self._carry(call, effect, service.answer_s_max or process.answer_s_max)
            return call.answer
        except (ClientError, BotoCoreError, Crash) as error:
            call.error = None if isinstance(error, Crash) else error
            raise
        except Exception as error:  # A fault of the virtual AWS itself, which the functions must not handle.
            self._give_up(error)
            raise
        finally:
            self.watcher.called(call)

    def _carry(self, call: Call, effect: Effect, answer_s_max: float) -> dict[str, Any]:
        fault = call.fault
        if fault.crash == "before":
            self._crash(call.process)
        end_us = call.begun_us + round(answer_s_max * US)
        arrival_us = call.begun_us + round(fault.there_s * US)
        if arrival_us > end_us:
            if fault.error_before is None:
                self.timeline.at(arrival_us, partial(self._begin_late, call, effect))
            self.timeline.sleep_until(end_us)
            raise timeout(call)
        self.timeline.sleep_until(arrival_us)
        if fault.error_before is not None:
            self._return(call, end_us)
            raise fault.error_before
        call.effect_us = self.timeline.now_us
        try:
            answer = effect(call.parameters, call)
        except ClientError:
            self._return(call, end_us)
            raise
        if fault.crash == "after":
            self._crash(call.process)
        self._return(call, end_us)
        if fault.error_after is not None:
            raise fault.error_after
        return answer

    def _return(self, call: Call, end_us: int) -> None:
        """Wait for the answer on its way back, or raise a timeout if it takes too long."""
        back_us = self.timeline.now_us + round(call.fault.back_s * US)
        self.timeline.sleep_until(min(back_us, end_us))
        if back_us > end_us:
            raise timeout(call)

    def _begin_late(self, call: Call, effect: Effect) -> None:
        self.timeline.spawn(partial(self._late, call, effect))

    def _late(self, call: Call, effect: Effect) -> None:
        """Carry out the effect after the client has stopped waiting. It may take time, as a receive does."""
        call.effect_us = self.timeline.now_us
        try:
            effect(call.parameters, call)
        except ClientError:
            return
        except Exception as error:  # noqa: BLE001 - No caller is left to raise it to, so it ends the run.
            self.timeline.halt(error)

    def _check(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
        """Raise what boto3 raises before it sends a request, by AWS's own description of the service.

        A check takes longer than the rest of a call, so only the first calls of each operation are checked.
        """
        self._checked[operation] += 1
        if self._checked[operation] > CHECKS_MAX:
            return
        report = ParamValidator().validate(parameters, _input_shape(service, operation))
        if report.has_errors():
            raise ParamValidationError(report=report.generate_report())

    def _crash(self, process: Process) -> None:
        process.crash()
        raise Crash

    def _give_up(self, error: Exception) -> None:
        """Stop the virtual world, because no function may handle this error. One from outside leaves it running."""
        if self.timeline.in_task():
            self.timeline.halt(error)


class Client:
    """Replaces a boto3 client."""

    def __init__(self, network: Network, service: Service, process: Process) -> None:
        self._network, self._service, self._process = network, service, process

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        if operation.startswith("_"):
            raise AttributeError(operation)

        def call(**parameters: Any) -> dict[str, Any]:
            return self._network.call(self._service, operation, parameters, self._process)

        return call


def timeout(call: Call) -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url=f"https://{call.service}.amazonaws.com", error="virtual")


@cache
def _input_shape(service: str, operation: str) -> Any:
    model: Any = _session().get_service_model(service)
    return model.operation_model("".join(word.capitalize() for word in operation.split("_"))).input_shape


@cache
def _session() -> Any:
    return botocore.session.Session()
