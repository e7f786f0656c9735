"""The virtual Lambda: its functions, their warm environments, asynchronous invocations, and the rules of EventBridge.

Environments have cold starts and state of their own. Asynchronous invocations are retried, and failed ones go to a
destination.

Source: "Error handling of asynchronous invocations" in the guide of Lambda.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from greenlet import getcurrent

from punctual.testing.calls import Call, Delivery, Network, Service, Watcher
from punctual.testing.function_loader import Source
from punctual.testing.services.aws_errors import refusal
from punctual.testing.services.environments import Environment, Event, FaultPlan, Function, Invocation, NoFaults
from punctual.testing.services.event_sources import EventSource, Poller
from punctual.testing.services.sqs import Sqs
from punctual.testing.timeline import US, Task, Timeline

SYNCHRONOUS_BYTES_MAX = 6 * 1024 * 1024
ASYNCHRONOUS_BYTES_MAX = 1024 * 1024
RETRY_WAITS_S = (60, 120)
QUEUEING_S = 0.02
"""The time between accepting an asynchronous event and invoking the function."""
IDLE_S_MAX = 900
"""How long a warm environment stays without an invocation."""


@dataclass
class Rule:
    """A rule of EventBridge that invokes a function at a fixed rate, with the time of the tick in the event."""

    name: str
    function: str
    interval_s: int
    next_us: int
    ticks: Callable[[int], list[float]] = field(default=lambda moment_us: [0.0])
    """Return the delays in seconds after which one tick invokes the function. An empty list is a missed tick."""


class Functions(Service):
    """The service `lambda`, and the triggers that invoke functions."""

    name = "lambda"

    def __init__(
        self,
        timeline: Timeline,
        watcher: Watcher,
        network: Network,
        sqs: Sqs,
        source: Source,
        randomness: random.Random,
    ) -> None:
        super().__init__(timeline, watcher)
        self.network, self.sqs, self.source, self.randomness = network, sqs, source, randomness
        self.faults: FaultPlan = NoFaults()
        self.functions: dict[str, Function] = {}
        self.external_arns: set[str] = set()
        """The ARNs of functions outside the stack. Their invocations are accepted and kept."""
        self.rules: dict[str, Rule] = {}
        self.mappings: list[EventSource] = []
        self.running: list[Invocation] = []
        self.events_waiting = 0
        self._warm: dict[str, list[Environment]] = {}
        self._count = 0
        self.operations = {"invoke": self._invoke}

    # --------------------------------------------------------------------------------------------------- deployment

    def deploy(self, function: Function) -> None:
        """Deploy a new version. Environments of the old one finish their invocation and get no other."""
        if self.functions.get(function.name) != function:
            self.functions[function.name] = function
            self._warm[function.name] = []

    def add_rule(self, rule: Rule) -> None:
        self.rules[rule.name] = rule
        self._await_tick(rule)

    def remove_rule(self, name: str) -> None:
        self.rules.pop(name, None)

    def add_mapping(self, mapping: EventSource) -> None:
        self.mappings.append(mapping)
        poller = Poller(self, mapping)
        queue = self.sqs.queues[mapping.queue_url]
        queue.arrivals.append(poller.poll)
        self.timeline.at(self.timeline.now_us, poller.poll)

    # --------------------------------------------------------------------------------------------------- invocations

    def start(self, name: str, payload: str, cause: str) -> Invocation:
        """Invoke a function now, in a warm environment or a cold one."""
        function = self.functions[name]
        warm = [each for each in self._warm[name] if self._is_warm(each)]
        self._warm[name] = warm
        self._count += 1
        stays = warm and self.faults.stays_warm()
        environment = warm.pop() if stays else Environment(self, function, self._count)
        invocation = Invocation(self, environment, payload, self._count, cause)
        self.running.append(invocation)
        self.watcher.fell("began", invocation=invocation)
        return invocation

    def _is_warm(self, environment: Environment) -> bool:
        idle_us = self.timeline.now_us - environment.idle_since_us
        return not environment.dead and idle_us <= IDLE_S_MAX * US

    def ended(self, invocation: Invocation) -> None:
        self.running.remove(invocation)
        environment = invocation.environment
        environment.idle_since_us = self.timeline.now_us
        if not environment.dead and self.functions.get(environment.function.name) is environment.function:
            self._warm[environment.function.name].append(environment)
        self.watcher.fell("ended", invocation=invocation)

    def _invoke(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        for parameter in request:
            if parameter not in ("FunctionName", "InvocationType", "Payload"):
                raise NotImplementedError(f"the virtual Lambda does not know the parameter {parameter}")
        name = request["FunctionName"].rpartition(":")[2]
        if name not in self.functions and request["FunctionName"] not in self.external_arns:
            raise refusal("ResourceNotFoundException", f"Function not found: {name}", 404)
        payload = request.get("Payload", b"{}")
        text = payload.decode() if isinstance(payload, bytes) else payload
        kind = request.get("InvocationType", "RequestResponse")
        if len(text.encode()) > (ASYNCHRONOUS_BYTES_MAX if kind == "Event" else SYNCHRONOUS_BYTES_MAX):
            raise refusal("RequestEntityTooLargeException", "Request must be smaller", 413)
        try:
            json.loads(text)
        except ValueError:
            raise refusal("InvalidRequestContentException", "Could not parse request body into json") from None
        if request["FunctionName"] in self.external_arns:
            self.watcher.received(call, Delivery(request["FunctionName"], text, self.timeline.now_us))
            return {"StatusCode": 202, "Payload": b""}
        if kind == "Event":
            self.accept(Event(name, text, self.timeline.now_us, cause=call.process.name))
            return {"StatusCode": 202, "Payload": b""}
        if kind != "RequestResponse":
            raise NotImplementedError(f"the virtual Lambda knows no invocation type {kind}")
        invocation = self.start(name, text, call.process.name)
        self.wait_for(invocation)
        return _answered(invocation)

    def wait_for(self, invocation: Invocation) -> None:
        current = getcurrent()
        if isinstance(current, Task):
            if not invocation.outcome:
                invocation.on_end.append(self.timeline.waker(current))
                self.timeline.park()
        else:
            self.timeline.run(lambda: not invocation.outcome)

    # ------------------------------------------------------------------------------------------ asynchronous invocation

    def accept(self, event: Event) -> None:
        """Accept an event. Lambda invokes the function for it, normally once."""
        self._owe(event, QUEUEING_S)

    def _owe(self, event: Event, wait_s: float) -> None:
        copies = self.faults.copies(event)
        if copies != 1:
            self.watcher.fell("lost" if not copies else "doubled", event=event)
        for copy in range(copies):
            self._later(replace(event), wait_s + copy * QUEUEING_S)

    def _later(self, event: Event, wait_s: float) -> None:
        self.events_waiting += 1
        self.timeline.after(wait_s, lambda: self._begin(event))

    def _begin(self, event: Event) -> None:
        self.events_waiting -= 1
        if event.function not in self.functions:
            return
        age_s = (self.timeline.now_us - event.accepted_us) / US
        if age_s > self.functions[event.function].event_age_s:
            self._fail(event, "EventAgeExceeded", None)
            return
        delay_s = self.faults.cold_start_s() if not self._warm[event.function] else 0.0
        self.timeline.after(delay_s, lambda: self._run(event))

    def _run(self, event: Event) -> None:
        invocation = self.start(event.function, event.payload, event.cause)
        invocation.on_end.append(lambda: self._after(event, invocation))

    def _after(self, event: Event, invocation: Invocation) -> None:
        if invocation.outcome == "returned":
            return
        function = self.functions[event.function]
        if event.attempt > function.retries:
            self._fail(event, "RetriesExhausted", invocation)
            return
        again = replace(event, attempt=event.attempt + 1)
        self.watcher.fell("retry", event=again, invocation=invocation)
        self._owe(again, RETRY_WAITS_S[event.attempt - 1])

    def _fail(self, event: Event, condition: str, invocation: Invocation | None) -> None:
        self.watcher.fell("given up", event=event, condition=condition)
        queue = self.sqs.by_arn(self.functions[event.function].failure_queue_arn or "")
        if queue is None:
            return
        record = {
            "version": "1.0",
            "requestContext": {"condition": condition, "approximateInvokeCount": event.attempt},
            "requestPayload": json.loads(event.payload),
        }
        if invocation is not None:
            record["responsePayload"] = json.loads(_answered(invocation)["Payload"].read())
        self.sqs.put(queue, json.dumps(record), {})

    # ------------------------------------------------------------------------------------------------------- rules

    def _await_tick(self, rule: Rule) -> None:
        moment_us = rule.next_us
        self.timeline.at(moment_us, lambda: self._tick(rule, moment_us))

    def _tick(self, rule: Rule, moment_us: int) -> None:
        if self.rules.get(rule.name) is not rule or rule.next_us != moment_us:
            return  # The rule was changed, or this tick was skipped.
        rule.next_us += rule.interval_s * US
        self._await_tick(rule)
        delays_s = rule.ticks(moment_us)
        if delays_s != [0.0]:
            self.watcher.fell("tick", rule=rule.name, delays_s=delays_s)
        for delay_s in delays_s:
            self.timeline.after(delay_s, lambda: self._fire(rule, moment_us))

    def _fire(self, rule: Rule, moment_us: int) -> None:
        moment = _iso_8601(moment_us // US)
        event = {"source": "aws.events", "detail-type": "Scheduled Event", "time": moment, "detail": {}}
        self.accept(Event(rule.function, json.dumps(event), self.timeline.now_us, cause=rule.name))

    def skip_ticks(self, until_us: int) -> None:
        """Skip the ticks before a time, for a caller that knows that they would find nothing."""
        for rule in self.rules.values():
            missing_us = until_us - rule.next_us
            if missing_us > 0:
                interval_us = rule.interval_s * US
                rule.next_us += -(-missing_us // interval_us) * interval_us
                self._await_tick(rule)


class Payload:
    """The body of an answer. Like boto3's, it can be read once."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        content, self._content = self._content, b""
        return content


def _answered(invocation: Invocation) -> dict[str, Any]:
    if invocation.outcome == "returned":
        return {"StatusCode": 200, "Payload": Payload(invocation.answer.encode())}
    if invocation.error is not None:
        fault = {"errorType": type(invocation.error).__name__, "errorMessage": str(invocation.error)}
    elif invocation.outcome == "timed out":
        seconds = invocation.environment.function.timeout_s
        fault = {"errorType": "Sandbox.Timedout", "errorMessage": f"Task timed out after {seconds}.00 seconds"}
    else:
        fault = {"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited without providing a reason"}
    return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": Payload(json.dumps(fault).encode())}


def _iso_8601(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
