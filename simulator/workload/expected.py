"""The schedules that callers request, due in seconds to decades, and ways to make a request invalid.

An `ExpectedSchedule` is one requested schedule with all known facts about it. The checkers record what happened to it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from punctual.testing.calls import Call
from punctual.testing.services.environments import Invocation
from punctual.testing.services.queues import Message
from simulator.checks.decoding import key_due_ms

BAD: tuple[tuple[dict[str, Any], str], ...] = (
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
"""Ways to make a request invalid, and the text that the error must contain."""

ZONES_S = {"UTC": 0, "Asia/Kolkata": 19_800, "Asia/Kathmandu": 20_700, "Etc/GMT+5": -18_000}
"""Time zones whose offset has been the same since 1986."""

BAD_NAMES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"name": ""}, "name"),
    ({"name": "two words"}, "name"),
    ({"name": "n" * 129}, "name"),
    ({"name": 7}, "name"),
    ({"name": "3-001893456000000-0123456789abcdef"}, "name"),
    ({"if_exists": "perhaps"}, "if_exists"),
)
"""The same for a request with a name."""


@dataclass(eq=False)
class Sent:
    """One message that was sent to a queue."""

    at_us: int
    visible_us: int
    call: Call
    invocation: Invocation | None
    confirmed: bool = False


@dataclass(eq=False)
class ExpectedSchedule:
    """One schedule that a caller requested.

    Its facts are kept by id, because a repeat without a token is a second schedule.
    """

    tag: str
    request: dict[str, Any]
    text: str
    due_ms: int | None
    """None for a `delay`, until the answer or the input message shows the due time."""
    queue_url: str
    target: Any = None
    """The target in the request, if it is not a queue."""
    name: str | None = None
    if_exists: str = "replace"
    user: str | None = None
    expires_ms: int | None = None
    repeatable: bool = False
    """The schedule has a token: its own, or that of its batch or input message."""
    by_message: bool = False
    application: str = ""
    """The application that it belongs to. It is empty for the owner."""
    fault: str = ""
    """The text that the error must contain, if the request is invalid."""
    asked: int = 0
    requested_us: int = 0
    accepted: dict[str, int] = field(default_factory=dict)
    """When the caller received each id."""
    refused: int = 0
    reported: set[str] = field(default_factory=set)
    """The places that received the refusal of a request by input message: `queue` for the failure queue, and `target`
    for the failure target of the schedule.
    """
    in_doubt: int = 0
    input_messages: set[str] = field(default_factory=set)
    """Messages of the input queue that request it and are not done."""
    stored: dict[str, list[int]] = field(default_factory=dict)
    sends: dict[str, list[Sent]] = field(default_factory=dict)
    on_its_way: set[str] = field(default_factory=set)
    """Ids that are or were in the delivery queue."""
    deleted: dict[str, list[tuple[int, Invocation | None, bool]]] = field(default_factory=dict)
    """The time and the invocation of each delete, and whether the invocation received the confirmation."""
    quarantined: dict[str, str] = field(default_factory=dict)
    expired: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    """How often each failure was reported to the failure queue. SQS may deliver a message twice."""
    withdrawing: dict[str, set[str]] = field(default_factory=dict)
    """The unnamed ids that callers want to change, each with the operations."""
    withdrawn: dict[str, int] = field(default_factory=dict)
    """The ids among them that were removed from the table."""
    reported_withdrawn: set[str] = field(default_factory=set)
    """The ids among them that must not be released any more, because a caller received that answer."""
    moved: set[str] = field(default_factory=set)
    """Ids that came from a change."""

    spread_ms: int = 0
    """The schedule is due up to this much later than `due_ms`."""
    change: dict[str, Any] | None = None
    """The given fields, if the schedule comes from a change of another one."""
    successors: list[ExpectedSchedule] = field(default_factory=list)
    """The schedules that changes of this unnamed one make."""
    dues: dict[str, int] = field(default_factory=dict)
    """The due time of each id from its item. The key of a bundle has only the due time of its latest member."""

    @property
    def target_host(self) -> str | None:
        """Return the host of a webhook, or None for other targets."""
        return urlsplit(self.target["url"]).netloc if isinstance(self.target, dict) and "url" in self.target else None

    @property
    def enveloped(self) -> bool:
        """Return whether the target receives the id together with the data."""
        target = self.request.get("target")
        return isinstance(target, dict) and target.get("envelope") is True

    @property
    def fixed_ms(self) -> int | None:
        """Return the due time if it is the same for every repeat of the request, otherwise None."""
        if self.spread_ms:
            return None
        return self.due_ms if "timestamp" in self.request or self.by_message else None

    def may_be_due(self, due_ms: int) -> bool:
        """Return whether the request allows this due time."""
        return self.due_ms is None or self.due_ms <= due_ms <= self.due_ms + self.spread_ms

    def take_over(self, old: ExpectedSchedule) -> None:
        """Take over from the changed schedule what the change does not give."""
        given = self.change or {}
        self.application = old.application
        if "user" not in given:
            self.user = old.user
        if "target" not in given:
            self.queue_url = old.queue_url
        if "expires_after" not in given:
            self.expires_ms = old.expires_ms
            self.request["expires_after"] = old.request.get("expires_after")

    def due_of(self, schedule_id: str) -> int:
        if schedule_id in self.dues:
            return self.dues[schedule_id]
        if self.fixed_ms is not None and schedule_id not in self.moved:
            return self.fixed_ms
        return key_due_ms(schedule_id)

    def expires_of(self, schedule_id: str) -> int | None:
        """Return the expiry of an id. It moves with the due time."""
        if self.expires_ms is None:
            return None
        after_ms: int = round(self.request["expires_after"] * 1000)
        return self.due_of(schedule_id) + after_ms

    def settled(self, schedule_id: str) -> bool:
        outcomes = (self.sends, self.quarantined, self.expired, self.failed, self.withdrawn)
        return any(schedule_id in ids for ids in outcomes)

    def somewhere(self) -> set[str]:
        """Return the ids that were ever seen in the table, in a queue, or with an outcome."""
        return {*self.stored, *self.sends, *self.on_its_way, *self.quarantined, *self.expired, *self.failed}


class ExpectedSchedules:
    """Create expected schedules. Every payload begins with the tag of its schedule."""

    def __init__(self, randomness: random.Random, output_url: str, targets: dict[str, str]) -> None:
        self._randomness, self._output_url, self._targets = randomness, output_url, targets
        self.by_tag: dict[str, ExpectedSchedule] = {}

    def make(
        self, at_us: int, due_ms: int, token: str | None = None, plain: bool = False, fixed: bool = False
    ) -> ExpectedSchedule:
        """Create a valid request with random options, or with none if `plain`.

        If `fixed`, the due time does not move with the time of the request.
        """
        draw = self._randomness
        tag = f"s{len(self.by_tag):06d}"
        data: Any = tag
        if not plain:
            data = draw.choice((tag, f"{tag} grüße", {"tag": tag, "n": [1, None]}, [tag, 2], tag + " " * 500))
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        expected = ExpectedSchedule(tag, {"data": data}, text, due_ms, self._output_url)
        if token is not None:
            expected.request["token"] = token
        self._set_time(expected, at_us, due_ms, fixed or token is not None)
        if not plain:
            self._adorn(expected, at_us, due_ms)
        self.by_tag[tag] = expected
        return expected

    def direct(
        self, expected: ExpectedSchedule, target: Any, terms: dict[str, Any], expires_after_s: int | None
    ) -> ExpectedSchedule:
        """Direct the schedule to a target that is not a queue."""
        expected.target = expected.request["target"] = target
        expected.queue_url = "none"
        expected.request |= terms
        expected.request.pop("expires_after", None)
        expected.expires_ms = None
        if expires_after_s is not None and expected.due_ms is not None:
            expected.request["expires_after"] = expires_after_s
            expected.expires_ms = expected.due_ms + expires_after_s * 1000
        return expected

    def wrap(self, expected: ExpectedSchedule, arn: str) -> ExpectedSchedule:
        """Direct the schedule to a queue outside the stack, with an envelope."""
        expected.request["target"], expected.queue_url = {"arn": arn, "envelope": True}, self._targets[arn]
        return expected

    def make_named(
        self, at_us: int, due_ms: int, name: str, if_exists: str, token: str | None, fixed: bool
    ) -> ExpectedSchedule:
        """Create a valid request with a name. Half of the requests have no other options."""
        expected = self.make(at_us, due_ms, token, plain=self._randomness.random() < 0.5, fixed=fixed)
        expected.name, expected.if_exists = name, if_exists
        expected.request["name"] = name
        if if_exists != "replace" or self._randomness.random() < 0.2:
            expected.request["if_exists"] = if_exists
        return expected

    def _set_time(self, expected: ExpectedSchedule, at_us: int, due_ms: int, fixed: bool) -> None:
        draw = self._randomness.random()
        now_ms = at_us // 1000
        if draw < 0.15 and due_ms > now_ms and not fixed:
            expected.request["delay"] = (due_ms - now_ms) / 1000
            expected.due_ms = None
        elif draw < 0.3 and due_ms < 32_000_000_000_000:
            moment = datetime.fromtimestamp(due_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            expected.request["timestamp"] = f"{moment}.{due_ms % 1000:03d}Z"
        else:
            expected.request["timestamp"] = due_ms // 1000 if due_ms % 1000 == 0 else due_ms / 1000

    def _adorn(self, expected: ExpectedSchedule, at_us: int, due_ms: int) -> None:
        draw = self._randomness
        if draw.random() < 0.15:
            expected.user = expected.request["user"] = f"user of {expected.tag}"
        if draw.random() < 0.1 and self._targets:
            arn = draw.choice(sorted(self._targets))
            expected.request["target"], expected.queue_url = arn, self._targets[arn]
        if draw.random() < 0.08 and "timestamp" in expected.request and due_ms > at_us // 1000:
            seconds = draw.choice((600, 3600, 7200))
            expected.request["expires_after"], expected.expires_ms = seconds, due_ms + seconds * 1000

    def localise(self, expected: ExpectedSchedule, zone: str | None, spread_s: float) -> None:
        """Write the time of the request as the clocks of a time zone show it, and give it a spread."""
        if zone is not None and expected.due_ms is not None:
            expected.request |= {"timestamp": local_time(expected.due_ms, zone), "zone": zone}
        if spread_s:
            expected.request["spread"], expected.spread_ms = spread_s, round(spread_s * 1000)

    def make_changed(self, name: str | None, given: dict[str, Any]) -> ExpectedSchedule:
        """Create the schedule that a change with these fields makes. Its new data has a tag of its own."""
        tag = f"s{len(self.by_tag):06d}"
        expected = ExpectedSchedule(tag, {"data": tag}, tag, None, self._output_url, name=name, asked=1)
        expected.change = {"data": tag, **given}
        expected.user = given.get("user")
        if given.get("target") is not None:
            expected.queue_url = self._targets[given["target"]]
        if given.get("expires_after") is not None:
            expected.request["expires_after"], expected.expires_ms = given["expires_after"], 0
        self.by_tag[tag] = expected
        return expected

    def spoil(self, expected: ExpectedSchedule, by: random.Random | None = None) -> ExpectedSchedule:
        """Make the request invalid.

        If `by` gives another random source, keep the data, because a report identifies the schedule by the data.
        """
        ways = BAD if expected.name is None else BAD_NAMES
        if by is not None:
            ways = tuple(way for way in ways if "data" not in way[0])
        change, expected.fault = (by or self._randomness).choice(ways)
        if "delay" in change:
            expected.request["timestamp"] = expected.request.get("timestamp", 1)
        if "timestamp" in change:
            expected.request.pop("delay", None)
        expected.request.update(change)
        if "delay" in expected.request and "token" in expected.request and "token" not in change:
            del expected.request["token"]
        if "expires_after" in change:
            expected.expires_ms = None
        if "data" in change and change["data"] is not None:
            expected.text = str(change["data"])
        return expected

    def hurry(self, expected: ExpectedSchedule, token: str) -> None:
        """Make the request invalid with a delay beside its token. A repeat would have another due time."""
        expected.request.pop("timestamp", None)
        expected.request |= {"delay": 5, "token": token}
        expected.fault = "delay and token"


def local_time(due_ms: int, zone: str) -> str:
    """Return a time as ISO 8601 without an offset."""
    shown = datetime.fromtimestamp(due_ms // 1000 + ZONES_S[zone], UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{shown}.{due_ms % 1000:03d}"


def due_of(message: Message) -> int:
    """Return the `due` of a message in milliseconds."""
    seconds, _, fraction = message.attributes["due"]["StringValue"].partition(".")
    return int(seconds) * 1000 + int(fraction)
