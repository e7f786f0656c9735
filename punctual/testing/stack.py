"""The stack for your own tests: schedule, move the clock and see what was released, without AWS, waiting or threads.

It runs the real code of Punctual's functions in a virtual AWS. You move its clock.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from punctual.client.backend import Backend
from punctual.testing.calls import Call, Client, Delivery, Fair, Watcher
from punctual.testing.cloud import Cloud
from punctual.testing.gateway import Gateway, HttpAnswer, HttpRequest
from punctual.testing.outcomes import Attempt, Delivered, Refused, Released, attempt, delivered, released
from punctual.testing.services.queues import Message
from punctual.testing.services.webhook_endpoints import HANGING, Behaviour
from punctual.testing.timeline import US

START_DEFAULT = "2030-01-01T00:00:00+00:00"
Headers = Mapping[str, str]
KINDS = ("sqs", "sns", "lambda", "events", "states")
STEPS_MAX = 1_000_000
"""The steps of one `advance`: enough for years in which a schedule is due every ten minutes."""
WORK_S = 5
CLOSE_INTERVALS = 2
"""How many ticks before an item comes within reach the feeds run again. Earlier feeds would find nothing."""


class Stack:
    """Punctual, deployed with these parameters of its template, on a virtual AWS of its own.

    The clock shows `start` at first. The same `seed` gives the same ids and the same order.
    """

    def __init__(self, *, start: datetime | str | float = START_DEFAULT, seed: int = 0, **parameters: Any) -> None:
        self._watch = _Watch()
        self._cloud = Cloud(_seconds(start), random.Random(seed), watcher=self._watch, write=self._log)
        self._cloud.network.faults = Fair(there_s=0.0, back_s=0.0)  # So a delay counts from exactly now.
        self._tokens = random.Random(f"tokens {seed}")
        self._lines: list[dict[str, Any]] = []
        self._parameters = {**parameters}
        self._cloud.receivers.otherwise = Behaviour()
        self._cloud.deploy(self._parameters)
        self._watch.own_topic = self.output("InputTopicArn")

    # ------------------------------------------------------------------------------------------------------- asking

    def schedule(self, request: Any) -> Any:
        """Invoke the schedule function with a schedule or a batch. Return its answer, or raise Refused."""
        return self._invoke("ScheduleFunction", request)

    def manage(self, operation: str, **fields: Any) -> Any:
        """Invoke the manage function: `manage("cancel", name="bill")`. Return its answer, or raise Refused."""
        return self._invoke("ManageFunction", {"operation": operation, **fields})

    def request(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, headers: Headers | None = None
    ) -> HttpAnswer:
        """Send a request to the HTTP API, which the parameter ApiEnabled turns on. Return its response.

        The body is a text, or anything else as JSON. The path is as it is sent, with its query.
        """
        apis = list(self._cloud.template.of_type("AWS::Serverless::Api").values())
        if not apis:
            raise ValueError("the stack has no HTTP API; make it with Stack(ApiEnabled=True)")
        gateway = Gateway(apis[0]["DefinitionBody"])
        sent = {**({} if key is None else {"X-Api-Key": key}), **(headers or {})}
        text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
        event = gateway.event(HttpRequest(method, path, text, sent), f"{self._tokens.getrandbits(64):016x}", self.now)
        if isinstance(event, HttpAnswer):
            return event
        try:
            payload = json.dumps(event, ensure_ascii=False).encode(errors="replace")
            return gateway.answer(self._invoked(self._cloud.template.name("ApiFunction"), payload))
        except ClientError:  # Lambda accepts 6 MB, and the body is escaped in the event.
            return gateway.too_large()
        except Refused:  # The function has failed. Its log says why.
            return gateway.failed()

    def administer(self, operation: str, **fields: Any) -> Any:
        """Invoke the admin function: `administer("create", name="billing")`. Return its answer, or raise Refused."""
        return self._invoke("AdminFunction", {"operation": operation, **fields})

    def _invoke(self, output: str, request: Any) -> Any:
        return self._invoked(self.output(output), json.dumps(request).encode())

    def _invoked(self, function: str, payload: bytes) -> Any:
        answer = self.client("lambda").invoke(FunctionName=function, Payload=payload)
        content = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise Refused(content["errorType"], content["errorMessage"])
        return content

    def released(self) -> list[Released]:
        """Return everything that was released so far, in the order of release."""
        now_us = self._cloud.timeline.now_us
        visible = [(message.visible_us, url, message) for url, message in self._watch.sent_messages]
        visible.sort(key=lambda each: each[0])
        return [released(url, message) for at_us, url, message in visible if at_us <= now_us]

    def delivered(self) -> list[Delivered]:
        """Return every delivery so far to a target that is not a queue: webhook, topic, function, bus or machine."""
        failed = self.failed_attempts()
        return [delivered(delivery, failed, self._cloud.functions.source) for delivery in self._watch.deliveries]

    def failed_attempts(self) -> list[Attempt]:
        """Return every attempt so far that the host of a webhook turned down or did not answer."""
        return [attempt(delivery) for delivery in self._watch.turned_down]

    def failures(self) -> list[dict[str, Any]]:
        """Return the reports in the failure queue, for example of expired schedules."""
        queue = self._cloud.sqs.queues[self.output("FailureQueueUrl")]
        return [json.loads(message.body) for message in queue.messages.values()]

    def log(self) -> list[dict[str, Any]]:
        """Return the lines that the functions have logged so far."""
        return list(self._lines)

    # --------------------------------------------------------------------------------------------------------- time

    @property
    def now(self) -> float:
        """Seconds since 1970, by the clock of this AWS."""
        return self._cloud.timeline.now_s

    def advance(self, **duration: float) -> None:
        """Move the clock forward: `advance(days=30)`, with any argument of timedelta."""
        self.advance_to(self.now + timedelta(**duration).total_seconds())

    def advance_to(self, moment: datetime | str | float) -> None:
        """Move the clock forward to a datetime, an ISO 8601 text, or seconds since 1970."""
        target_us = round(_seconds(moment) * US)
        if target_us < self._cloud.timeline.now_us:
            raise ValueError(f"time does not go backwards: it is {_shown(self.now)}, and {moment} is before that")
        for _ in range(STEPS_MAX):
            if self._cloud.timeline.now_us >= target_us:
                return
            self._step(target_us)
        raise ValueError("that is too far at once, with so much to do on the way")

    def _step(self, target_us: int) -> None:
        """Run for a short time while functions work. Otherwise run a feed interval, or jump to the next useful feed."""
        timeline, functions = self._cloud.timeline, self._cloud.functions
        if functions.running or functions.events_waiting:
            timeline.run_until(min(timeline.now_us + WORK_S * US, target_us))
            return
        interval_us = min(rule.interval_s for rule in functions.rules.values()) * US
        next_us = min(timeline.now_us + interval_us, target_us)
        idle_us = self._idle_until_us(target_us) - CLOSE_INTERVALS * interval_us
        if idle_us > next_us and len(functions.rules) == 1:  # The canary's rule has something to do in every minute.
            next_us = min(idle_us, target_us)
            functions.skip_ticks(next_us)
        timeline.run_until(next_us)

    def _idle_until_us(self, target_us: int) -> int:
        """Return when the first item in the table comes within reach."""
        reach_us = int(self._cloud.template.parameters["ReachSeconds"]) * US
        table = self._cloud.dynamodb.tables[self.output("TableName")]
        dues_us = [
            int(order[0].split("#")[0]) * 1000
            for partition, order in table.order.items()
            if partition.partition("#")[0].isdigit() and order
        ]
        return min([due_us - reach_us for due_us in dues_us], default=target_us + CLOSE_INTERVALS * 3600 * US)

    # -------------------------------------------------------------------------------------------------------- parts

    def client(self, service: str) -> Client:
        """Return a client like that of boto3.client(service), for code of yours that needs one."""
        services = [name for name, each in self._cloud.network.services.items() if each.described]
        if service not in services:
            raise ValueError(f"the virtual AWS has no service {service!r}; it has {', '.join(sorted(services))}")
        return self._cloud.client(service)

    def backend(self) -> Backend:
        """Return what `punctual.Scheduler(stack)` needs: clients of this AWS, and its clock."""
        return _Backend(self._cloud, self._tokens)

    def outputs(self) -> dict[str, str]:
        """Return all outputs of the stack."""
        return {name: str(value) for name, value in self._cloud.template.outputs.items()}

    def parameters(self) -> dict[str, str]:
        """Return all parameters of the stack, with their defaults."""
        given = self._cloud.template.parameters.items()
        return {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in given}

    def output(self, name: str) -> str:
        """Return an output of the stack, such as `OutputQueueUrl`."""
        outputs = self.outputs()
        if name not in outputs:
            raise ValueError(f"the stack has no output {name!r}; it has {', '.join(sorted(outputs))}")
        return outputs[name]

    def add_target(self, name: str, kind: str = "sqs") -> str:
        """Add a target of your own that schedules may name, and return its ARN.

        `kind` is a queue (`sqs`), a topic (`sns`), a function (`lambda`), an event bus (`events`) or a state machine
        (`states`).
        """
        if kind not in KINDS:
            raise ValueError(f"there is no kind {kind!r} of target; there are {', '.join(KINDS)}")
        arn = self._cloud.add_queue(name) if kind == "sqs" else self._cloud.add_external_target(kind, name)
        listed = [each for each in str(self._parameters.get("TargetArns", "")).split(",") if each]
        self.update(TargetArns=",".join([*listed, arn]))
        return arn

    def answer(self, host: str, status: int | None = 200, retry_after: float | None = None) -> None:
        """Set how a host answers webhooks from now on. None makes it hang. By default every host answers 200."""
        behaviour = HANGING if status is None else Behaviour(status, retry_after, works=200 <= status < 300)
        self._cloud.receivers.behaviour[host] = lambda: behaviour

    def update(self, **parameters: Any) -> None:
        """Deploy again with other parameters. All stored data stays."""
        together = self._parameters | parameters
        self._cloud.deploy(together)
        self._parameters = together

    def _log(self, line: str) -> None:
        self._lines.append(json.loads(line))


class _Backend:
    """The virtual AWS for the client. Its clock moves while a call takes time, and no two calls run at once."""

    parallel = False

    def __init__(self, cloud: Cloud, tokens: random.Random) -> None:
        self._cloud, self._tokens = cloud, tokens

    def client(self, service: str) -> Client:
        return self._cloud.client(service)

    def now(self) -> float:
        return self._cloud.timeline.now_s

    def steady(self) -> float:
        return self._cloud.timeline.now_s

    def sleep(self, seconds: float) -> None:
        self._cloud.timeline.sleep(seconds)

    def new_token(self) -> str:
        """Return a token that follows from the seed of the stack, so that ids do, too."""
        return f"{self._tokens.getrandbits(128):032x}"

    def lock(self) -> AbstractContextManager[object]:
        return nullcontext()

    def close(self) -> None:
        """Do nothing: the virtual AWS has no connections."""


class _Watch(Watcher):
    def __init__(self) -> None:
        self.sent_messages: list[tuple[str, Message]] = []
        self.deliveries: list[Delivery] = []
        self.turned_down: list[Delivery] = []
        self.own_topic = ""

    def sent(self, call: Call | None, queue: str, message: Message) -> None:
        if call is not None and "id" in message.attributes:
            self.sent_messages.append((queue, message))

    def received(self, call: Call, delivery: Delivery) -> None:
        if delivery.target != self.own_topic:
            self.deliveries.append(delivery)

    def refused(self, call: Call, delivery: Delivery) -> None:
        self.turned_down.append(delivery)


def _seconds(moment: datetime | str | float) -> float:
    """Return a moment as seconds since 1970. A text without an offset is in UTC, as in a request."""
    if isinstance(moment, str):
        try:
            read = datetime.fromisoformat(moment.strip())
        except ValueError:
            raise ValueError(f"{moment!r} is not ISO 8601; wanted: 2030-01-01T09:00:00Z, for example") from None
        return (read if read.utcoffset() is not None else read.replace(tzinfo=UTC)).timestamp()
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise ValueError(f"{moment!r} has no time zone; wanted: one with tzinfo=UTC or ZoneInfo(…)")
        return moment.timestamp()
    given: object = moment
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise ValueError(f"{moment!r} is no moment; wanted: a datetime, ISO 8601, or seconds since 1970")
    return moment


def _shown(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat()
