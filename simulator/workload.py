"""What callers ask for: schedules over seconds to decades, bursts, batches, tokens with retries, and bad requests.

A `Wish` is one schedule that somebody wants, with everything that is known about it; the witness writes down what
became of it. Callers are clients with a network of their own: they time out, try again, or die after sending.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from punctual.testing.calls import Call, Outsider
from punctual.testing.cloud import Cloud
from punctual.testing.functions import Invocation
from punctual.testing.sqs import Message
from punctual.testing.timeline import US, Crash
from simulator.chronicle import Chronicle
from simulator.contents import key_due_ms

TRIES_MAX = 4
RETRY_WAIT_S_MAX = 20.0

BAD = (
    ({"timestmap": 1}, "timestmap"),
    ({"timestamp": True}, "timestamp"),
    ({"timestamp": -1}, "timestamp"),
    ({"timestamp": 1893456000000}, "milliseconds"),
    ({"timestamp": "next tuesday"}, "timestamp"),
    ({"delay": 5}, "delay"),
    ({"data": ""}, "data"),
    ({"data": "bell \x07"}, "data"),
    ({"data": None}, "data"),
    ({"target": "arn:aws:sqs:eu-central-1:123456789012:somebody-elses"}, "target"),
    ({"token": ""}, "token"),
    ({"user": 7}, "user"),
    ({"expires_after": -1}, "expires_after"),
)
"""Ways to spoil a request, and what the answer has to name."""

BAD_NAMES = (
    ({"name": ""}, "name"),
    ({"name": "two words"}, "name"),
    ({"name": "n" * 129}, "name"),
    ({"name": 7}, "name"),
    ({"name": "3-001893456000000-0123456789abcdef"}, "name"),
    ({"if_exists": "perhaps"}, "if_exists"),
)
"""The same for one with a name."""


@dataclass(eq=False)
class Sent:
    """One message that left for a queue."""

    at_us: int
    visible_us: int
    call: Call
    invocation: Invocation | None
    confirmed: bool = False


@dataclass(eq=False)
class Wish:
    """One schedule that somebody wants. By id, because a request without a token that is sent again is a second one."""

    tag: str
    request: dict[str, Any]
    text: str
    due_ms: int | None
    """None for a `delay`: the answer tells."""
    queue_url: str
    target: Any = None
    """As it stands in the request, where it is no queue."""
    name: str | None = None
    if_exists: str = "replace"
    user: str | None = None
    expires_ms: int | None = None
    repeatable: bool = False
    """It has a token, its own or that of its batch."""
    fault: str = ""
    """What a refusal has to name, where it is a bad request."""
    asked: int = 0
    asked_us: int = 0
    accepted: dict[str, int] = field(default_factory=dict)
    """When which id was promised."""
    refused: int = 0
    in_doubt: int = 0
    stored: dict[str, list[int]] = field(default_factory=dict)
    sends: dict[str, list[Sent]] = field(default_factory=dict)
    on_its_way: set[str] = field(default_factory=set)
    """Ids that are in the delivery queue, or were."""
    deleted: dict[str, list[tuple[int, Invocation | None, bool]]] = field(default_factory=dict)
    """By whom, and whether it was told that it is done."""
    aside: dict[str, str] = field(default_factory=dict)
    expired: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    withdrawing: set[str] = field(default_factory=set)
    """Ids that somebody wants to be cancelled, without a name."""
    withdrawn: dict[str, int] = field(default_factory=dict)
    """Which of them were taken out of the table."""
    heard_withdrawn: set[str] = field(default_factory=set)

    dues: dict[str, int] = field(default_factory=dict)
    """What the table says of an id: the key of a bundle tells only the moment of its latest member."""

    @property
    def target_host(self) -> str | None:
        """Of a webhook."""
        return urlsplit(self.target["url"]).netloc if isinstance(self.target, dict) and "url" in self.target else None

    def due_of(self, schedule_id: str) -> int:
        if schedule_id in self.dues:
            return self.dues[schedule_id]
        if "timestamp" in self.request and self.due_ms is not None:
            return self.due_ms
        return key_due_ms(schedule_id)

    def expires_of(self, schedule_id: str) -> int | None:
        """It moves with the moment."""
        if self.expires_ms is None:
            return None
        after_ms: int = round(self.request["expires_after"] * 1000)
        return self.due_of(schedule_id) + after_ms

    def settled(self, schedule_id: str) -> bool:
        return any(
            schedule_id in fates for fates in (self.sends, self.aside, self.expired, self.failed, self.withdrawn)
        )


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


class Wishes:
    """Makes wishes. Every payload begins with its tag."""

    def __init__(self, randomness: random.Random, output_url: str, targets: dict[str, str]) -> None:
        self._randomness, self._output_url, self._targets = randomness, output_url, targets
        self.by_tag: dict[str, Wish] = {}

    def make(self, at_us: int, due_ms: int, token: str | None = None, plain: bool = False, fixed: bool = False) -> Wish:
        """A good one, with this and that in it unless `plain`; where `fixed`, its moment does not move with time."""
        draw = self._randomness
        tag = f"s{len(self.by_tag):06d}"
        data: Any = tag
        if not plain:
            data = draw.choice((tag, f"{tag} grüße", {"tag": tag, "n": [1, None]}, [tag, 2], tag + " " * 500))
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        wish = Wish(tag, {"data": data}, text, due_ms, self._output_url)
        if token is not None:
            wish.request["token"] = token
        self._set_time(wish, at_us, due_ms, fixed or token is not None)
        if not plain:
            self._adorn(wish, at_us, due_ms)
        self.by_tag[tag] = wish
        return wish

    def direct(self, wish: Wish, target: Any, terms: dict[str, Any], expires_after_s: int | None) -> Wish:
        """Have it delivered to somebody else than a queue."""
        wish.target = wish.request["target"] = target
        wish.queue_url = "none"
        wish.request |= terms
        wish.request.pop("expires_after", None)
        wish.expires_ms = None
        if expires_after_s is not None and wish.due_ms is not None:
            wish.request["expires_after"] = expires_after_s
            wish.expires_ms = wish.due_ms + expires_after_s * 1000
        return wish

    def make_named(self, at_us: int, due_ms: int, name: str, if_exists: str, token: str | None, fixed: bool) -> Wish:
        """One with a name, and as often as not with nothing else."""
        wish = self.make(at_us, due_ms, token, plain=self._randomness.random() < 0.5, fixed=fixed)
        wish.name, wish.if_exists = name, if_exists
        wish.request["name"] = name
        if if_exists != "replace" or self._randomness.random() < 0.2:
            wish.request["if_exists"] = if_exists
        return wish

    def _set_time(self, wish: Wish, at_us: int, due_ms: int, fixed: bool) -> None:
        draw = self._randomness.random()
        now_ms = at_us // 1000
        if draw < 0.15 and due_ms > now_ms and not fixed:
            wish.request["delay"] = (due_ms - now_ms) / 1000
            wish.due_ms = None
        elif draw < 0.3 and due_ms < 32_000_000_000_000:
            moment = datetime.fromtimestamp(due_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            wish.request["timestamp"] = f"{moment}.{due_ms % 1000:03d}Z"
        else:
            wish.request["timestamp"] = due_ms // 1000 if due_ms % 1000 == 0 else due_ms / 1000

    def _adorn(self, wish: Wish, at_us: int, due_ms: int) -> None:
        draw = self._randomness
        if draw.random() < 0.15:
            wish.user = wish.request["user"] = f"user of {wish.tag}"
        if draw.random() < 0.1 and self._targets:
            arn = draw.choice(sorted(self._targets))
            wish.request["target"], wish.queue_url = arn, self._targets[arn]
        if draw.random() < 0.08 and "timestamp" in wish.request and due_ms > at_us // 1000:
            seconds = draw.choice((600, 3600, 7200))
            wish.request["expires_after"], wish.expires_ms = seconds, due_ms + seconds * 1000

    def spoil(self, wish: Wish) -> Wish:
        """Make a bad request of it."""
        change, wish.fault = self._randomness.choice(BAD if wish.name is None else BAD_NAMES)
        if "delay" in change:
            wish.request["timestamp"] = wish.request.get("timestamp", 1)
        if "timestamp" in change:
            wish.request.pop("delay", None)
        wish.request.update(change)
        if "delay" in wish.request and "token" in wish.request and "token" not in change:
            del wish.request["token"]
        if "expires_after" in change:
            wish.expires_ms = None
        if "data" in change and change["data"] is not None:
            wish.text = str(change["data"])
        return wish


def due_of(message: Message) -> int:
    """The `due` of a message, in milliseconds."""
    seconds, _, fraction = message.attributes["due"]["StringValue"].partition(".")
    return int(seconds) * 1000 + int(fraction)


def us(moment_ms: int) -> int:
    return moment_ms * (US // 1000)
