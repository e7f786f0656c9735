"""Callers: clients with a network of their own. They time out, try again, or die after sending; what they heard of is
what was promised.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from punctual.testing.calls import Outsider
from punctual.testing.cloud import Cloud
from punctual.testing.timeline import Crash
from simulator.chronicle import Chronicle
from simulator.storm import SKEW_US_MAX
from simulator.wishes import Wish

CALL, QUEUE, TOPIC = "call", "queue", "topic"
"""The ways in: to the schedule function, to the input queue, to the input topic."""
TRIES_MAX = 4
RETRY_WAIT_S_MAX = 20.0
PAGES_MAX = 50
DUSK_S = 253_402_300_800
"""The end of the year 9999."""


@dataclass(frozen=True)
class Change:
    """One call of one caller to the manage function: about a name, about a wish by the id that its caller was told, or
    about all names that begin so."""

    at_us: int
    operation: str
    name: str = ""
    wish: Wish | None = None
    more: dict[str, Any] = field(default_factory=dict)


class Names(Protocol):
    """Who writes down what callers hear of names."""

    def accepted(self, wish: Wish, result: dict[str, Any]) -> None: ...
    def refused(self, wish: Wish) -> bool: ...
    def cancelled(self, name: str, schedule_id: str) -> None: ...
    def moved(self, name: str, result: dict[str, Any]) -> None: ...
    def swept(self, prefix: str, from_ms: int, to_ms: int, asked_us: int) -> None: ...
    def listed(self, seen: list[str], from_ms: int, to_ms: int, asked_us: int) -> None: ...
    def denied(self, name: str, error: str, asked_us: int) -> None: ...


@dataclass
class Order:
    """One call of one caller: a schedule, or a batch of them. Or a letter: nobody hears an answer, and it may come
    twice."""

    at_us: int
    wishes: list[Wish]
    batch: bool
    token: str | None
    tries: int
    way: str = CALL
    must: bool = False
    """Nothing fails on this day, so it has to get through within its tries."""


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
        self._at(order.at_us, lambda: self._ask(order) if order.way == CALL else self._post(order))

    def change(self, change: Change) -> None:
        wish = change.wish
        if wish is not None and change.operation == "redrive":
            self._at(change.at_us, lambda: self._redrive(wish))
        elif wish is not None:
            self._at(change.at_us, lambda: self._change_by_id(change, wish))
        elif change.operation == "cancel_where":
            self._at(change.at_us, lambda: self._sweep(change))
        elif change.operation == "list":
            self._at(change.at_us, lambda: self._list(change))
        else:
            self._at(change.at_us, lambda: self._change(change))

    def _at(self, at_us: int, work: Callable[[], None]) -> None:
        self._cloud.timeline.at(at_us, lambda: self._spawn(work))

    def _spawn(self, work: Callable[[], None]) -> None:
        self._cloud.timeline.spawn(work)

    def _ask(self, order: Order) -> None:
        process = self._outsider()
        for _ in range(order.tries):
            try:
                done = self._try(order, process)
            except Crash:
                self._note(process, "died before it heard the answer", order.wishes)
                return
            if done:
                return
            self._cloud.timeline.sleep(self._randomness.uniform(0.1, RETRY_WAIT_S_MAX))
        if order.must:
            left = next(wish for wish in order.wishes if not wish.accepted)
            self._breach(1, left.tag, f"asked for {order.tries} times on a day without faults, and never accepted")

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

    def _post(self, order: Order) -> None:
        process = self._outsider()
        for wish in order.wishes:
            wish.asked_us, wish.repeatable, wish.by_letter = self._cloud.timeline.now_us, True, True
        self._note(process, f"posts to the {order.way}", order.wishes)
        requests: Any = [wish.request for wish in order.wishes]
        if not order.batch:
            (requests,) = requests
        elif order.token:
            requests = {"schedules": requests, "token": order.token}
        text = json.dumps(requests)
        try:
            if order.way == TOPIC:
                topic = self._cloud.output("InputTopicArn")
                self._cloud.client("sns", process).publish(TopicArn=topic, Message=text)
            else:
                url = self._cloud.output("InputQueueUrl")
                self._cloud.client("sqs", process).send_message(QueueUrl=url, MessageBody=text)
        except (ClientError, BotoCoreError, Crash) as error:
            self._note(process, f"hears nothing: {type(error).__name__}", order.wishes)

    def post_raw(self, body: str, attributes: dict[str, Any]) -> None:
        """A letter that nobody waits for."""
        process, url = self._outsider(), self._cloud.output("InputQueueUrl")

        def post() -> None:
            client = self._cloud.client("sqs", process)
            with suppress(ClientError, BotoCoreError, Crash):
                client.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)

        self._spawn(post)

    # ------------------------------------------------------------------------------------------------------ changes

    def _change_by_id(self, change: Change, wish: Wish) -> None:
        """By the id that its caller was told, if any."""
        process, schedule_id = self._outsider(), next(iter(wish.accepted), None)
        if schedule_id is None:
            return
        asked_us = self._cloud.timeline.now_us
        wish.withdrawing.setdefault(schedule_id, set()).add(change.operation)
        content = self._manage({"operation": change.operation, "id": schedule_id, **change.more}, process, [wish])
        if content is None or "errorType" in content:
            return
        wish.heard_withdrawn.add(schedule_id)
        if schedule_id not in wish.withdrawn:
            self._breach(6, wish.tag, f"{schedule_id} is said to be out of the way, and is not")
        if change.operation != "cancel":
            self._moved(change, wish, content, asked_us)

    def _moved(self, change: Change, wish: Wish, content: dict[str, Any], asked_us: int) -> None:
        """Its caller heard of another id, and when that is due."""
        new_id, due_ms = content["id"], round(content["timestamp"] * 1000)
        wish.accepted.setdefault(new_id, self._cloud.timeline.now_us)
        if new_id not in wish.somewhere():
            self._breach(1, wish.tag, f"it is said to be moved to {new_id}, which is neither stored nor sent")
        if due_ms != wish.due_of(new_id):
            self._breach(2, wish.tag, f"{new_id} is said to be due at {due_ms}, and is at {wish.due_of(new_id)}")
        from_ms = (asked_us - SKEW_US_MAX) // 1000
        to_ms = (self._cloud.timeline.now_us + SKEW_US_MAX) // 1000
        if change.operation == "move":
            from_ms = to_ms = round(change.more["timestamp"] * 1000)
        if not from_ms <= due_ms <= to_ms:
            self._breach(2, wish.tag, f"{new_id} is due at {due_ms} by {change.operation} to {from_ms}")

    def _redrive(self, wish: Wish) -> None:
        """By the id that its caller was told, again and again until an answer says that there is nothing left."""
        process, schedule_id = self._outsider(), next(iter(wish.accepted), None)
        if schedule_id is None:
            return
        event: dict[str, Any] = {"operation": "redrive", "id": schedule_id}
        for _ in range(TRIES_MAX):
            content = self._manage(event, process, [wish])
            if content is not None and content.get("errorType") != "NotConfirmed":
                if content.get("next") is None:
                    return
                event["next"] = content["next"]
            self._cloud.timeline.sleep(self._randomness.uniform(0.1, RETRY_WAIT_S_MAX))

    def _change(self, change: Change) -> None:
        """Once: who hears nothing knows nothing."""
        process, asked_us = self._outsider(), self._cloud.timeline.now_us
        content = self._manage({"operation": change.operation, "name": change.name, **change.more}, process, [])
        if content is None:
            return
        if "errorType" in content:
            self._names.denied(change.name, content["errorType"], asked_us)
        elif change.operation == "cancel":
            self._names.cancelled(change.name, content["id"])
        else:
            self._names.moved(change.name, content)

    def _sweep(self, change: Change) -> None:
        """Page by page to the end, unless something goes wrong."""
        process, asked_us = self._outsider(), self._cloud.timeline.now_us
        event = {"operation": change.operation, **change.more}
        for _ in range(PAGES_MAX):
            content = self._manage(event, process, [])
            if content is None or "errorType" in content:
                return
            if content["next"] is None:
                from_ms, to_ms = round(change.more.get("from", 0) * 1000), round(change.more.get("to", DUSK_S) * 1000)
                self._names.swept(change.more["prefix"], from_ms, to_ms, asked_us)
                return
            event["next"] = content["next"]
        self._breach(4, "", f"a sweep of {change.more} comes to no end")

    def _list(self, change: Change) -> None:
        """All pages, unless there are very many, or something goes wrong."""
        process, asked_us = self._outsider(), self._cloud.timeline.now_us
        event, seen = {"operation": change.operation, **change.more}, list[str]()
        for _ in range(PAGES_MAX):
            content = self._manage(event, process, [])
            if content is None or "errorType" in content:
                return
            seen += [schedule["id"] for schedule in content["schedules"]]
            if content["next"] is None:
                span_ms = round(change.more["from"] * 1000), round(change.more["to"] * 1000)
                self._names.listed(seen, *span_ms, asked_us)
                return
            event["next"] = content["next"]

    def _manage(self, event: dict[str, Any], process: Outsider, wishes: list[Wish]) -> dict[str, Any] | None:
        """The answer, or what was raised; None where nothing is heard."""
        self._note(process, f"wants {json.dumps(event)}", wishes)
        function, payload = self._cloud.output("ManageFunction"), json.dumps(event).encode()
        try:
            answer = self._cloud.client("lambda", process).invoke(FunctionName=function, Payload=payload)
        except (ClientError, BotoCoreError, Crash) as error:
            self._note(process, f"hears nothing: {type(error).__name__}", wishes)
            return None
        content: dict[str, Any] = json.loads(answer["Payload"].read())
        self._note(process, f"hears {str(content)[:160]}", wishes)
        return content

    def _outsider(self) -> Outsider:
        self._count += 1
        return Outsider(f"caller {self._count}")

    def _note(self, process: Outsider, what: str, wishes: list[Wish]) -> None:
        self._chronicle.add(self._cloud.timeline.now_us, process.name, what, (wish.tag for wish in wishes))
