"""The outcomes that a test sees: released messages, deliveries, and attempts that a webhook's host turned down."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from punctual.testing.calls import Delivery
from punctual.testing.function_loader import Source
from punctual.testing.services.queues import Message
from punctual.testing.timeline import US

ENVELOPE = {"id", "due", "name", "user", "data"}
"""The fields of an envelope, for targets that get no attributes."""
APPLICATION = "application"
"""One more field of an envelope, if the schedule is not the owner's."""


class Refused(Exception):
    """The function raised an error. `kind` is its name, such as `InvalidSchedule` for a rejected schedule."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message = kind, message


@dataclass(frozen=True)
class Released:
    """A released schedule. `due` and `at` are seconds since 1970, and `queue` is the URL of its queue.

    `application` is the id of the application, or None for the owner.
    """

    id: str
    data: str
    due: float
    at: float
    user: str | None
    queue: str
    name: str | None = None
    application: str | None = None

    @property
    def json(self) -> Any:
        """The data, if it was sent as something other than a string."""
        return json.loads(self.data)


@dataclass(frozen=True)
class Attempt:
    """An attempt that a host turned down. `status` is its answer, or None if it did not answer."""

    target: str
    id: str
    at: float
    status: int | None


@dataclass(frozen=True)
class Delivered:
    """A delivery to a target that is not a queue.

    `target` is its ARN or the URL of the webhook, and `at` is in seconds since 1970. If the target does not get the
    `id`, `name` or `user`, it is None. A webhook also has its `method`, its `headers` in lower case without the
    signature, and the attempts that failed before.
    """

    target: str
    data: str
    at: float
    id: str | None
    name: str | None = None
    user: str | None = None
    method: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    failed_attempts: tuple[Attempt, ...] = ()

    @property
    def json(self) -> Any:
        """The data, if it is JSON."""
        return json.loads(self.data)


def released(url: str, message: Message) -> Released:
    attributes = _texts(message.attributes)
    return Released(
        id=attributes["id"],
        data=message.body,
        due=float(attributes["due"]),
        at=max(message.visible_us, message.sent_us) / US,
        user=attributes.get("user"),
        queue=url,
        name=attributes.get("name"),
        application=attributes.get(APPLICATION),
    )


def attempt(delivery: Delivery) -> Attempt:
    facts = delivery.facts
    return Attempt(delivery.target, facts["id"], delivery.at_us / US, facts["status"])


def delivered(delivery: Delivery, failed: Sequence[Attempt], source: Source) -> Delivered:
    """Return the delivery with what its target got. The kind of target decides where the id, name and user are."""
    facts, at = delivery.facts, delivery.at_us / US
    if "target" not in facts:
        parts = _texts(facts) if "id" in facts else _from_envelope(delivery.body)
        parts.setdefault("id", facts.get("name"))  # The name of an execution is the id.
        return Delivered(delivery.target, delivery.body, at, parts["id"], parts.get("name"), parts.get("user"))
    webhook = facts["target"]
    return Delivered(
        target=delivery.target,
        data=delivery.body,
        at=at,
        id=facts["id"],
        name=facts["name"],
        user=facts["user"],
        method=webhook.get("method") or ("POST" if delivery.body else "GET"),
        headers=source.webhook_headers(webhook, facts["id"], facts["due_ms"], delivery.body, facts["application"]),
        failed_attempts=tuple(each for each in failed if each.id == facts["id"] and each.at <= at),
    )


def _texts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.get("StringValue") for name, value in attributes.items()}


def _from_envelope(body: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(content, dict) or set(content) - {APPLICATION} != ENVELOPE:
        return {}
    return {name: content[name] for name in ("id", "name", "user")}
