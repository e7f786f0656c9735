"""The virtual Lambda: execution environments, asynchronous invocations, event source mappings, and EventBridge rules.

Environments have cold starts and state of their own. Asynchronous invocations are retried, and failed ones go to a
destination.

Sources: "Error handling of asynchronous invocations", "Lambda execution environment", "Using Lambda with Amazon SQS".
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from greenlet import getcurrent

from punctual.testing.calls import Call, Delivery, Network, Service, Watcher
from punctual.testing.function_loader import Source
from punctual.testing.services.aws_errors import refusal
from punctual.testing.services.sqs import Message, Queue, Sqs
from punctual.testing.services.webhook_endpoints import SimulatedTransport
from punctual.testing.timeline import US, Crash, Task, Timeline, WorkerPool

SYNCHRONOUS_BYTES_MAX = 6 * 1024 * 1024
ASYNCHRONOUS_BYTES_MAX = 1024 * 1024
RETRY_WAITS_S = (60, 120)
EVENT_AGE_S_DEFAULT = 21_600
COLD_START_S = 0.3
QUEUEING_S = 0.02
"""The time between accepting an asynchronous event and invoking the function."""
POLLERS_IDLE = 2
"""The number of batches that a mapping has in flight at first, after a quiet time."""
POLLERS = 5
"""The number after `RAMP_S` of work.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""
RAMP_S = 60
"""AWS does not document this time. It scales by the minute."""
IDLE_S_MAX = 900
"""How long a warm environment stays without an invocation."""


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


@dataclass(frozen=True)
class EventSource:
    """An event source mapping: a queue, and the function that receives its messages."""

    function: str
    queue_url: str
    batch_size: int = 10
    item_failures: bool = False


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
        self.skew_us = functions.chance.skew_us()
        self.answer_s_max = float(functions.source.runtime_module.CALL_S_MAX)
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
        return self._functions.source.world_of(
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
        self.fate = ""
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
        if self.fate:
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

    def end(self, fate: str) -> None:
        """End the invocation once, from the event loop, and stop all its remaining work."""
        if self.fate:
            return
        self.fate = fate
        self._alarm.cancel()
        self.environment.dead = self.environment.dead or fate in ("crashed", "timed out")
        self.environment.invocation = None
        for task in self._tasks:
            task.kill(Crash())
        self._functions.ended(self)
        for action in self.on_end:
            action()


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
        self.chance: FaultPlan = NoFaults()
        self.functions: dict[str, Function] = {}
        self.strangers: set[str] = set()
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
        stays = warm and self.chance.stays_warm()
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
        if name not in self.functions and request["FunctionName"] not in self.strangers:
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
        if request["FunctionName"] in self.strangers:
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
            if not invocation.fate:
                invocation.on_end.append(self.timeline.waker(current))
                self.timeline.park()
        else:
            self.timeline.run(lambda: not invocation.fate)

    # ------------------------------------------------------------------------------------------ asynchronous invocation

    def accept(self, event: Event) -> None:
        """Accept an event. Lambda invokes the function for it, normally once."""
        self._owe(event, QUEUEING_S)

    def _owe(self, event: Event, wait_s: float) -> None:
        copies = self.chance.copies(event)
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
        delay_s = self.chance.cold_start_s() if not self._warm[event.function] else 0.0
        self.timeline.after(delay_s, lambda: self._run(event))

    def _run(self, event: Event) -> None:
        invocation = self.start(event.function, event.payload, event.cause)
        invocation.on_end.append(lambda: self._after(event, invocation))

    def _after(self, event: Event, invocation: Invocation) -> None:
        if invocation.fate == "returned":
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
    if invocation.fate == "returned":
        return {"StatusCode": 200, "Payload": Payload(invocation.answer.encode())}
    if invocation.error is not None:
        fault = {"errorType": type(invocation.error).__name__, "errorMessage": str(invocation.error)}
    elif invocation.fate == "timed out":
        seconds = invocation.environment.function.timeout_s
        fault = {"errorType": "Sandbox.Timedout", "errorMessage": f"Task timed out after {seconds}.00 seconds"}
    else:
        fault = {"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited without providing a reason"}
    return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": Payload(json.dumps(fault).encode())}


class Poller:
    """Passes batches from a queue to a function, and deletes the messages that the function did not fail."""

    def __init__(self, functions: Functions, mapping: EventSource) -> None:
        self._functions, self._mapping = functions, mapping
        self._busy = 0
        self._working_since_us = 0

    def poll(self) -> None:
        if self._mapping not in self._functions.mappings:
            return
        queue = self._functions.sqs.queues[self._mapping.queue_url]
        for _ in range(self._width() - self._busy):
            taken = self._functions.sqs.take(queue, self._mapping.batch_size, queue.visibility_s)
            if not taken:
                return
            self._hand_over(queue, taken)

    def _width(self) -> int:
        """Return the number of batches that may be in flight now."""
        now_us = self._functions.timeline.now_us
        if not self._busy:
            self._working_since_us = now_us
        return POLLERS if now_us - self._working_since_us >= RAMP_S * US else POLLERS_IDLE

    def _hand_over(self, queue: Queue, taken: list[Message]) -> None:
        if not self._busy:  # After the ramp, more batches fit, and none may end until then.
            self._functions.timeline.at(self._working_since_us + RAMP_S * US, self.poll)
        self._busy += 1
        receipts = {message.id: message.receipt for message in taken}
        payload = json.dumps({"Records": [_record(queue, message) for message in taken]})
        invocation = self._functions.start(self._mapping.function, payload, queue.url)
        invocation.on_end.append(lambda: self._done(queue, receipts, invocation))

    def _done(self, queue: Queue, receipts: dict[str, str], invocation: Invocation) -> None:
        """Delete the processed messages. Failed ones become visible again after their timeout.

        If the mapping reports item failures, only the messages in the report have failed.
        """
        self._busy -= 1
        if invocation.fate == "returned":
            failed = _failed_items(invocation.answer) if self._mapping.item_failures else []
            if None not in failed:
                for message_id, receipt in receipts.items():
                    if message_id not in failed:
                        self._functions.sqs.remove(queue, receipt)
        self._functions.timeline.at(self._functions.timeline.now_us, self.poll)


def _failed_items(answer: str) -> list[str | None]:
    """Return the ids of failed messages. An answer in the wrong form fails the whole batch: [None]."""
    report = json.loads(answer)
    if not report or not report.get("batchItemFailures"):
        return []
    return [failure.get("itemIdentifier") or None for failure in report["batchItemFailures"]]


def _record(queue: Queue, message: Message) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.receives),
            "SentTimestamp": str(message.sent_us // 1000),
            "ApproximateFirstReceiveTimestamp": str((message.first_received_us or message.sent_us) // 1000),
        },
        "messageAttributes": {
            name: {"dataType": value["DataType"], "stringValue": value.get("StringValue")}
            for name, value in message.attributes.items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": queue.arn.split(":")[3],
    }


def _iso_8601(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
