"""One call to a service of the virtual AWS, from the client to the effect and back.

A client has the methods of boto3's. Every call takes virtual time on its way there and back; what befalls it in
between is decided by the weather, which is fair unless a simulation brings another.
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
"""A call within a region, in fair weather."""

ANSWER_S_MAX_DEFAULT = 60.0
"""After this boto3 gives up, unless told otherwise."""


CHECKS_MAX = 10
"""So many calls of each operation are held against AWS's description."""


class Process(Protocol):
    """Whoever makes calls: an execution environment of a function, or somebody outside."""

    name: str
    dead: bool
    skew_us: int
    answer_s_max: float
    """After this its clients give up waiting for an answer."""

    def crash(self) -> None:
        """End at once, with everything under way."""


@dataclass
class ExternalProcess:
    """A process that is no function: a test, or a client of the stack's owner."""

    name: str = "outside"
    dead: bool = False
    skew_us: int = 0
    answer_s_max: float = ANSWER_S_MAX_DEFAULT

    def crash(self) -> None:
        self.dead = True


@dataclass
class CallFault:
    """What befalls one call."""

    there_s: float = THERE_S
    back_s: float = BACK_S
    crash: str = ""
    """`before` or `after` its effect: the process is gone."""
    error_before: Exception | None = None
    error_after: Exception | None = None
    spoilt: Callable[[int], list[int]] | None = None
    """Of a batch of so many: the indexes that AWS does not do this time."""
    stale_s: float = 0.0
    """How far behind an eventually consistent read lags."""


class Weather(Protocol):
    def fate(self, call: Call) -> CallFault: ...


@dataclass(frozen=True)
class Fair:
    """Nothing goes wrong."""

    there_s: float = THERE_S
    back_s: float = BACK_S

    def fate(self, call: Call) -> CallFault:
        return CallFault(self.there_s, self.back_s)


@dataclass
class Call:
    """One call under way, for the effect and for whoever watches."""

    service: str
    operation: str
    parameters: dict[str, Any]
    process: Process
    begun_us: int
    fate: CallFault = field(default_factory=CallFault)
    effect_us: int | None = None
    answer: dict[str, Any] | None = None
    error: BaseException | None = None
    """What the process was told. Neither answer nor error: it did not live to hear it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a target that is no queue was given: by its ARN, or by the URL of a webhook."""

    target: str
    body: str
    at_us: int
    facts: Mapping[str, Any] = field(default_factory=dict)


class Watcher:
    """Sees everything that happens; a simulation checks its promises here. Nothing by default."""

    def called(self, call: Call) -> None:
        """A call has ended, or its process has."""

    def wrote(self, call: Call, table: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """An item was put, changed or deleted."""

    def sent(self, call: Call | None, queue: str, message: Any) -> None:
        """A message is in a queue; without a call it is Lambda or SQS itself that sent it."""

    def received(self, call: Call, delivery: Delivery) -> None:
        """A target that is no queue has something."""

    def fell(self, kind: str, **facts: Any) -> None:
        """Something that is no call happened: a tick, a crash, an invocation that began or ended."""


class Service:
    """A service of the virtual AWS: named operations, each with its effect."""

    name = ""
    answer_s_max: float | None = None
    """After this a client gives up waiting, where it is not the same for all that a process calls."""
    described = True
    """Whether it is one of AWS's, so that boto3 knows what it takes."""

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        self.timeline, self.watcher = timeline, watcher
        self.operations: dict[str, Effect] = {}


class Network:
    """Between the processes and the services."""

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        self.timeline, self.watcher = timeline, watcher
        self.weather: Weather = Fair()
        self.services: dict[str, Service] = {}
        self._checked: Counter[str] = Counter()

    def client(self, service: str, process: Process) -> Client:
        return Client(self, self.services[service], process)

    def call(self, service: Service, operation: str, parameters: dict[str, Any], process: Process) -> dict[str, Any]:
        if process.dead:
            raise Crash
        effect = service.operations.get(operation)
        if effect is None:
            self._give_up(NotImplementedError(f"the virtual {service.name} has no {operation}"))
        if service.described:
            self._check(service.name, operation, parameters)
        call = Call(service.name, operation, parameters, process, self.timeline.now_us)
        call.fate = self.weather.fate(call)
        try:
            assert effect is not None
            call.answer = self._carry(call, effect, service.answer_s_max or process.answer_s_max)
            return call.answer
        except (ClientError, BotoCoreError, Crash) as error:
            call.error = None if isinstance(error, Crash) else error
            raise
        except Exception as error:  # A fault of the virtual AWS, not one that the functions should deal with.
            self._give_up(error)
            raise
        finally:
            self.watcher.called(call)

    def _carry(self, call: Call, effect: Effect, answer_s_max: float) -> dict[str, Any]:
        fate = call.fate
        if fate.crash == "before":
            self._crash(call.process)
        end_us = call.begun_us + round(answer_s_max * US)
        arrival_us = call.begun_us + round(fate.there_s * US)
        if arrival_us > end_us:
            if fate.error_before is None:
                self.timeline.at(arrival_us, partial(self._begin_late, call, effect))
            self.timeline.sleep_until(end_us)
            raise timeout(call)
        self.timeline.sleep_until(arrival_us)
        if fate.error_before is not None:
            self._return(call, end_us)
            raise fate.error_before
        call.effect_us = self.timeline.now_us
        try:
            answer = effect(call.parameters, call)
        except ClientError:
            self._return(call, end_us)
            raise
        if fate.crash == "after":
            self._crash(call.process)
        self._return(call, end_us)
        if fate.error_after is not None:
            raise fate.error_after
        return answer

    def _return(self, call: Call, end_us: int) -> None:
        """The way back, which the client does not wait for without end."""
        back_us = self.timeline.now_us + round(call.fate.back_s * US)
        self.timeline.sleep_until(min(back_us, end_us))
        if back_us > end_us:
            raise timeout(call)

    def _begin_late(self, call: Call, effect: Effect) -> None:
        self.timeline.spawn(partial(self._late, call, effect))

    def _late(self, call: Call, effect: Effect) -> None:
        """AWS does it, though nobody waits for the answer any more. It may take its time, as a receive does."""
        call.effect_us = self.timeline.now_us
        try:
            effect(call.parameters, call)
        except ClientError:
            return
        except Exception as error:  # noqa: BLE001 - It ends the run, which nobody here could raise it to.
            self.timeline.halt(error)

    def _check(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
        """What boto3 refuses before it sends anything, by AWS's own description of the service. It takes longer than
        all the rest of a call, and what is wrong in one call of an operation is wrong in the next."""
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
        self.timeline.halt(error)
        raise error


class Client:
    """Stands in for a boto3 client."""

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
