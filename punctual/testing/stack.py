"""The stack for your own tests: schedule, move the clock and see what was released, without AWS, waiting or threads.

It runs the real code of Punctual's functions in a virtual AWS. You move its clock.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from punctual.client.backend import Backend
from punctual.testing.calls import Call, Client, Delivery, Fair, Watcher
from punctual.testing.cloud import Cloud
from punctual.testing.sqs import Message
from punctual.testing.timeline import US
from punctual.testing.webhook_endpoints import HANGING, Behaviour

START_DEFAULT = "2030-01-01T00:00:00+00:00"
STEPS_MAX = 1_000_000
"""The steps of one `advance`: enough for years in which a schedule is due every ten minutes."""
WORK_S = 5
CLOSE_INTERVALS = 2
"""How many ticks before an item comes within reach the feeds run again. Earlier feeds would find nothing."""


class Refused(Exception):
    """The function raised an error. `kind` is its name, such as `InvalidSchedule` for a rejected schedule."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message = kind, message


@dataclass(frozen=True)
class Released:
    """A released schedule. `due` and `at` are seconds since 1970, and `queue` is the URL of its queue."""

    id: str
    data: str
    due: float
    at: float
    user: str | None
    queue: str
    name: str | None = None

    @property
    def json(self) -> Any:
        """The data, if it was sent as something other than a string."""
        return json.loads(self.data)


@dataclass(frozen=True)
class Delivered:
    """A delivery to a target that is not a queue.

    `target` is its ARN or the URL of the webhook, and `at` is in seconds since 1970. If the target does not get the id,
    `id` is None.
    """

    target: str
    data: str
    at: float
    id: str | None

    @property
    def json(self) -> Any:
        """The data, if it is JSON."""
        return json.loads(self.data)


class Stack:
    """Punctual, deployed with these parameters of its template, on a virtual AWS of its own.

    The clock shows `start` at first. The same `seed` gives the same ids and the same order.
    """

    def __init__(self, *, start: str | float = START_DEFAULT, seed: int = 0, **parameters: Any) -> None:
        self._watch = _Watch()
        start_s = datetime.fromisoformat(start).timestamp() if isinstance(start, str) else start
        self._cloud = Cloud(start_s, random.Random(seed), watcher=self._watch, write=self._log)
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

    def _invoke(self, output: str, request: Any) -> Any:
        answer = self.client("lambda").invoke(FunctionName=self.output(output), Payload=json.dumps(request).encode())
        content = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise Refused(content["errorType"], content["errorMessage"])
        return content

    def released(self) -> list[Released]:
        """Return everything that was released so far, in the order of release."""
        now_us = self._cloud.timeline.now_us
        visible = [(message.visible_us, url, message) for url, message in self._watch.sent_messages]
        visible.sort(key=lambda each: each[0])
        return [_released(url, message) for at_us, url, message in visible if at_us <= now_us]

    def delivered(self) -> list[Delivered]:
        """Return every delivery so far to a target that is not a queue: webhook, topic, function, bus or machine."""
        return [_delivered(delivery) for delivery in self._watch.deliveries]

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

    def advance_to(self, moment: float) -> None:
        """Move the clock forward to a time, in seconds since 1970."""
        target_us = round(moment * US)
        if target_us < self._cloud.timeline.now_us:
            raise ValueError("time does not go backwards")
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
        if idle_us > next_us:
            next_us = min(idle_us, target_us)
            functions.skip_ticks(next_us)
        timeline.run_until(next_us)

    def _idle_until_us(self, target_us: int) -> int:
        """Return when the first item in the table comes within reach."""
        reach_us = int(self._cloud.template.parameters["ReachSeconds"]) * US
        (table,) = self._cloud.dynamodb.tables.values()
        dues_us = [
            int(order[0].split("#")[0]) * 1000
            for partition, order in table.order.items()
            if partition.isdigit() and order
        ]
        return min([due_us - reach_us for due_us in dues_us], default=target_us + CLOSE_INTERVALS * 3600 * US)

    # -------------------------------------------------------------------------------------------------------- parts

    def client(self, service: str) -> Client:
        """Return a client like that of boto3.client(service), for code of yours that needs one."""
        return self._cloud.client(service)

    def backend(self) -> Backend:
        """Return what `punctual.Scheduler(stack)` needs: clients of this AWS, and its clock."""
        return _Backend(self._cloud, self._tokens)

    def outputs(self) -> dict[str, str]:
        """Return all outputs of the stack."""
        return {name: str(value) for name, value in self._cloud.template.outputs.items()}

    def output(self, name: str) -> str:
        """Return an output of the stack, such as `OutputQueueUrl`."""
        return self._cloud.output(name)

    def add_target(self, name: str, kind: str = "sqs") -> str:
        """Add a target of your own that schedules may name, and return its ARN.

        `kind` is a queue (`sqs`), a topic (`sns`), a function (`lambda`), an event bus (`events`) or a state machine
        (`states`).
        """
        arn = self._cloud.add_queue(name) if kind == "sqs" else self._cloud.add_stranger(kind, name)
        listed = [each for each in str(self._parameters.get("TargetArns", "")).split(",") if each]
        self.update(TargetArns=",".join([*listed, arn]))
        return arn

    def answer(self, host: str, status: int | None = 200, retry_after: float | None = None) -> None:
        """Set how a host answers webhooks from now on. None makes it hang. By default every host answers 200."""
        behaviour = HANGING if status is None else Behaviour(status, retry_after, works=200 <= status < 300)
        self._cloud.receivers.behaviour[host] = lambda: behaviour

    def update(self, **parameters: Any) -> None:
        """Deploy again with other parameters. All stored data stays."""
        self._parameters |= parameters
        self._cloud.deploy(self._parameters)

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
        self.own_topic = ""

    def sent(self, call: Call | None, queue: str, message: Message) -> None:
        if call is not None and "id" in message.attributes:
            self.sent_messages.append((queue, message))

    def received(self, call: Call, delivery: Delivery) -> None:
        if delivery.target != self.own_topic:
            self.deliveries.append(delivery)


def _released(url: str, message: Message) -> Released:
    attributes: Mapping[str, Any] = message.attributes
    return Released(
        id=attributes["id"]["StringValue"],
        data=message.body,
        due=float(attributes["due"]["StringValue"]),
        at=max(message.visible_us, message.sent_us) / US,
        user=attributes["user"]["StringValue"] if "user" in attributes else None,
        queue=url,
        name=attributes["name"]["StringValue"] if "name" in attributes else None,
    )


def _delivered(delivery: Delivery) -> Delivered:
    """Return the delivery. Its kind of target decides where the id is: an attribute, a fact or an execution's name."""
    schedule_id = delivery.facts.get("id", delivery.facts.get("name"))
    if isinstance(schedule_id, Mapping):
        schedule_id = schedule_id["StringValue"]
    return Delivered(delivery.target, delivery.body, delivery.at_us / US, schedule_id)
