"""Callers: clients with a network of their own. They time out, try again, or die after sending; what they heard of is
what was promised.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from punctual.testing.calls import Outsider
from punctual.testing.cloud import Cloud
from punctual.testing.timeline import Crash
from simulator.chronicle import Chronicle
from simulator.wishes import Wish

TRIES_MAX = 4
RETRY_WAIT_S_MAX = 20.0


@dataclass(frozen=True)
class Change:
    """One call of one caller to the manage function, about a name."""

    at_us: int
    name: str
    operation: str
    more: dict[str, Any] = field(default_factory=dict)


class Names(Protocol):
    """Who writes down what callers hear of names."""

    def accepted(self, wish: Wish, result: dict[str, Any]) -> None: ...
    def refused(self, wish: Wish) -> bool: ...
    def cancelled(self, name: str, schedule_id: str) -> None: ...
    def moved(self, name: str, result: dict[str, Any]) -> None: ...
    def denied(self, name: str, error: str, asked_us: int) -> None: ...


@dataclass
class Order:
    """One call of one caller: a schedule, or a batch of them."""

    at_us: int
    wishes: list[Wish]
    batch: bool
    token: str | None
    tries: int


class Callers:
    """Hands orders in, and writes down what was answered."""

    def __init__(
        self,
        cloud: Cloud,
        chronicle: Chronicle,
        randomness: random.Random,
        breach: Callable[[int, str, str], None],
        unacceptable: Container[str],
        names: Names,
    ) -> None:
        self._cloud, self._chronicle, self._randomness = cloud, chronicle, randomness
        self._breach, self._unacceptable, self._names = breach, unacceptable, names
        self._count = 0

    def begin(self, order: Order) -> None:
        self._cloud.timeline.at(order.at_us, lambda: self._spawn(order))

    def _spawn(self, order: Order) -> None:
        self._cloud.timeline.spawn(lambda: self._ask(order))

    def _ask(self, order: Order) -> None:
        self._count += 1
        process = Outsider(f"caller {self._count}")
        for _ in range(order.tries):
            try:
                done = self._try(order, process)
            except Crash:
                self._note(process, "died before it heard the answer", order.wishes)
                return
            if done:
                return
            self._cloud.timeline.sleep(self._randomness.uniform(0.1, RETRY_WAIT_S_MAX))

    def _try(self, order: Order, process: Outsider) -> bool:
        requests: list[Any] = [wish.request for wish in order.wishes]
        event: Any = requests[0]
        if order.batch:
            event = {"schedules": requests, "token": order.token} if order.token else requests
        for wish in order.wishes:
            wish.asked_us = wish.asked_us or self._cloud.timeline.now_us
            wish.asked += 1
            wish.in_doubt += 1
            wish.repeatable = wish.repeatable or order.token is not None
        self._note(process, "asks", order.wishes)
        client = self._cloud.client("lambda", process)
        try:
            answer = client.invoke(
                FunctionName=self._cloud.output("ScheduleFunction"), Payload=json.dumps(event).encode()
            )
        except (ClientError, BotoCoreError) as error:
            self._note(process, f"hears nothing: {type(error).__name__}", order.wishes)
            return False
        content = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            return self._read_error(order, process, content)
        return self._read_results(order, process, content)

    def _read_error(self, order: Order, process: Outsider, content: dict[str, Any]) -> bool:
        kind, message = content["errorType"], content["errorMessage"]
        if kind != "InvalidSchedule":
            self._note(process, f"hears {kind}: {message[:120]}", order.wishes)
            return False
        for wish in order.wishes:
            self._refuse(wish, message, process)
        return True

    def _read_results(self, order: Order, process: Outsider, content: dict[str, Any]) -> bool:
        results = content["results"] if order.batch else [content]
        if len(results) != len(order.wishes):
            self._breach(1, order.wishes[0].tag, f"{len(results)} answers to {len(order.wishes)} requests")
        done = True
        for wish, result in zip(order.wishes, results, strict=False):
            if "id" in result:
                self._accept(wish, result, process)
            elif result["error"] == "InvalidSchedule":
                self._refuse(wish, result["message"], process)
            else:
                self._note(process, f"hears {result['error']}: {result['message'][:120]}", [wish])
                done = False
        return done

    def _accept(self, wish: Wish, result: dict[str, Any], process: Outsider) -> None:
        wish.in_doubt -= 1
        schedule_id = result["id"]
        due_ms = round(result["timestamp"] * 1000)
        self._note(process, f"hears {result['state']} as {schedule_id}", [wish])
        if wish.fault:
            self._breach(5, wish.tag, f"a bad request was accepted: {wish.request}")
        if wish.name is not None:
            self._names.accepted(wish, result)
        if result.get("result") == "kept":
            return
        if wish.due_ms is None:
            wish.due_ms = due_ms
        if "delay" in wish.request and not self._plausible(wish, due_ms):
            self._breach(2, wish.tag, f"accepted for {due_ms}, asked for with {wish.request['delay']} s to go")
        if due_ms != wish.due_ms and "timestamp" in wish.request:
            self._breach(2, wish.tag, f"accepted for {due_ms}, asked for {wish.due_ms}")
        wish.accepted.setdefault(schedule_id, self._cloud.timeline.now_us)
        if (
            wish.name is None
            and schedule_id not in wish.stored
            and schedule_id not in wish.sends
            and schedule_id not in wish.on_its_way
            and schedule_id not in wish.aside
        ):
            self._breach(1, wish.tag, "accepted, but neither stored nor sent")

    def _plausible(self, wish: Wish, due_ms: int) -> bool:
        """A delay counts from some moment between the first request and the answer, by a clock that is a bit off."""
        delay_ms, now_ms = wish.request["delay"] * 1000, self._cloud.timeline.now_us // 1000
        return bool(wish.asked_us // 1000 + delay_ms - 1000 <= due_ms <= now_ms + delay_ms + 1000)

    def _refuse(self, wish: Wish, message: str, process: Outsider) -> None:
        wish.in_doubt -= 1
        wish.refused += 1
        self._note(process, f"hears no: {message[:120]}", [wish])
        if wish.name is not None and not wish.fault and self._names.refused(wish):
            return
        if not wish.fault and wish.tag not in self._unacceptable:
            self._breach(1, wish.tag, f"a good request is refused: {message}")
        if wish.fault and wish.fault not in message:
            self._breach(5, wish.tag, f"the refusal does not name {wish.fault}: {message}")

    # ------------------------------------------------------------------------------------------------------ letters

    def post(self, order: Order) -> None:
        """The same by the input queue: nobody hears an answer, and SQS may bring it twice."""

        def spawn() -> None:
            self._cloud.timeline.spawn(lambda: self._post(order))

        self._cloud.timeline.at(order.at_us, spawn)

    def _post(self, order: Order) -> None:
        self._count += 1
        process = Outsider(f"caller {self._count}")
        for wish in order.wishes:
            wish.asked_us, wish.asked, wish.repeatable = self._cloud.timeline.now_us, 2, True
        self._note(process, "posts", order.wishes)
        requests = [wish.request for wish in order.wishes]
        body = json.dumps(requests if order.batch else requests[0])
        try:
            url = self._cloud.output("InputQueueUrl")
            self._cloud.client("sqs", process).send_message(QueueUrl=url, MessageBody=body)
        except (ClientError, BotoCoreError, Crash) as error:
            self._note(process, f"hears nothing: {type(error).__name__}", order.wishes)

    # ------------------------------------------------------------------------------------------------------ changes

    def change(self, change: Change) -> None:
        def spawn() -> None:
            self._cloud.timeline.spawn(lambda: self._change(change))

        self._cloud.timeline.at(change.at_us, spawn)

    def withdraw(self, at_us: int, wish: Wish) -> None:
        def spawn() -> None:
            self._cloud.timeline.spawn(lambda: self._withdraw(wish))

        self._cloud.timeline.at(at_us, spawn)

    def _withdraw(self, wish: Wish) -> None:
        """Cancel it by the id that its caller was told, if any."""
        self._count += 1
        process, schedule_id = Outsider(f"caller {self._count}"), next(iter(wish.accepted), None)
        if schedule_id is None:
            return
        wish.withdrawing.add(schedule_id)
        self._note(process, f"wants {schedule_id} cancelled", [wish])
        content = self._manage({"operation": "cancel", "id": schedule_id}, process, [wish])
        if content is not None and "errorType" not in content:
            wish.heard_withdrawn.add(schedule_id)
            if schedule_id not in wish.withdrawn:
                self._breach(6, wish.tag, f"{schedule_id} is said to be cancelled, and is not")

    def _manage(self, event: dict[str, Any], process: Outsider, wishes: list[Wish]) -> dict[str, Any] | None:
        """The answer, or what was raised; None where nothing is heard."""
        function, payload = self._cloud.output("ManageFunction"), json.dumps(event).encode()
        try:
            answer = self._cloud.client("lambda", process).invoke(FunctionName=function, Payload=payload)
        except (ClientError, BotoCoreError, Crash) as error:
            self._note(process, f"hears nothing: {type(error).__name__}", wishes)
            return None
        content: dict[str, Any] = json.loads(answer["Payload"].read())
        self._note(process, f"hears {str(content)[:160]}", wishes)
        return content

    def _change(self, change: Change) -> None:
        """Once: who hears nothing knows nothing."""
        self._count += 1
        process = Outsider(f"caller {self._count}")
        event = {"operation": change.operation, "name": change.name, **change.more}
        self._note(process, f"wants {json.dumps(event)}", [])
        asked_us = self._cloud.timeline.now_us
        content = self._manage(event, process, [])
        if content is None:
            return
        if "errorType" in content:
            self._names.denied(change.name, content["errorType"], asked_us)
        elif change.operation == "cancel":
            self._names.cancelled(change.name, content["id"])
        else:
            self._names.moved(change.name, content)

    def _note(self, process: Outsider, what: str, wishes: list[Wish]) -> None:
        self._chronicle.add(self._cloud.timeline.now_us, process.name, what, (wish.tag for wish in wishes))
