"""The virtual Step Functions, and virtual webhook receivers with a behaviour that the test sets.

A receiver answers with a status, hangs, answers late, or does its work and then fails to answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

from punctual.testing.calls import Call, Client, Delivery, Service, Watcher
from punctual.testing.services.aws_errors import refusal
from punctual.testing.timeline import Timeline

ANSWER_S_MAX = 15.0
"""How long the transport for webhooks waits in all."""
NEVER_S = 3_600.0
PASSING = frozenset({408, 425, 429})


class Machines(Service):
    """State machines outside the stack. The name of an execution is unique in its machine."""

    name = "stepfunctions"

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        super().__init__(timeline, watcher)
        self.machines: set[str] = set()
        self.executions: set[tuple[str, str]] = set()
        """By machine and name. Executions end at once, so that starting one with a used name is an error."""
        self.operations = {"start_execution": self._start_execution}

    def _start_execution(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        arn, name = request["stateMachineArn"], request["name"]
        if arn not in self.machines:
            raise refusal("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        try:
            json.loads(request["input"])
        except ValueError:
            raise refusal("InvalidExecutionInput", "Invalid State Machine Execution Input") from None
        if (arn, name) in self.executions:
            raise refusal("ExecutionAlreadyExists", f"Execution Already Exists: '{name}'")
        self.executions.add((arn, name))
        self.watcher.received(call, Delivery(arn, request["input"], self.timeline.now_us, {"name": name}))
        return {"executionArn": f"{arn}:{name}".replace(":stateMachine:", ":execution:")}


@dataclass(frozen=True)
class Behaviour:
    """How a receiver handles one request."""

    status: int = 200
    retry_after_s: float | None = None
    answers_after_s: float = 0.0
    works: bool = True
    """Whether it does the work of the request, regardless of its answer."""


HANGING = Behaviour(answers_after_s=NEVER_S, works=False)
FORGETFUL = Behaviour(answers_after_s=NEVER_S)


class Receivers(Service):
    """Webhook hosts outside the stack, each with its behaviour."""

    name = "webhooks"
    answer_s_max = ANSWER_S_MAX
    described = False

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        super().__init__(timeline, watcher)
        self.behaviour: dict[str, Callable[[], Behaviour]] = {}
        """The behaviour of each host."""
        self.otherwise: Behaviour | None = None
        """The behaviour of any other host. None: it refuses the connection."""
        self.operations = {"request": self._request}

    def _request(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        host = urlsplit(request["target"]["url"]).netloc
        behaviour = self.behaviour[host]() if host in self.behaviour else self.otherwise
        if behaviour is None:
            raise refusal("NoConnection", f"{host}: no connection", 503)
        call.fault.back_s += behaviour.answers_after_s
        facts = {name: request[name] for name in ("id", "due_ms", "user", "name", "target")}
        facts["application"] = request.get("application", "")
        if not behaviour.works:
            facts["status"] = behaviour.status if behaviour.answers_after_s < ANSWER_S_MAX else None
        delivery = Delivery(request["target"]["url"], request["body"], self.timeline.now_us, facts)
        (self.watcher.received if behaviour.works else self.watcher.refused)(call, delivery)
        return {"status": behaviour.status, "retry_after_s": behaviour.retry_after_s}


@dataclass(frozen=True)
class SimulatedTransport:
    """Replaces the transport that speaks HTTP, because virtual time cannot limit real connections."""

    client: Client
    undelivered: Callable[..., Exception]
    application: str = ""

    def of(self, application: str) -> SimulatedTransport:
        return SimulatedTransport(self.client, self.undelivered, application)

    def deliver(self, schedule: Any) -> None:
        target = json.loads(schedule.target)
        host = urlsplit(target["url"]).netloc
        facts = {"id": schedule.id, "due_ms": schedule.due_ms, "user": schedule.user, "name": schedule.name}
        if self.application:
            facts["application"] = self.application
        try:
            answer = self.client.request(target=target, body=schedule.data, **facts)
        except (ReadTimeoutError, ConnectTimeoutError):
            raise self.undelivered(f"{host}: no answer in time", timed_out=True) from None
        except (ClientError, BotoCoreError):
            raise self.undelivered(f"{host}: no connection") from None
        status = answer["status"]
        if 200 <= status < 300:
            return
        permanent = 300 <= status < 500 and status not in PASSING
        raise self.undelivered(f"answered {status}", permanent=permanent, retry_after_s=answer["retry_after_s"])
