"""What lies in an item of the table, and in messages, read anew rather than by the code under test."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulator.event_log import tag_of

REQUEUE_ATTRIBUTE = "punctual-again"
"""The attribute of a letter that was put back for a part of it."""


@dataclass(frozen=True)
class Lying:
    """One schedule that an item holds."""

    id: str
    tag: str
    due_ms: int


def id_of(key: dict[str, Any]) -> str:
    """The id of an item, which for a bundle is none of a schedule."""
    return f"{key['partition']['S']}-{key['sort']['S'].replace('#', '-')}"


def key_due_ms(schedule_id: str) -> int:
    """The moment in a key: of a bundle, that of its latest member."""
    return int(schedule_id.split("-")[1])


def is_record(item: dict[str, Any]) -> bool:
    return bool(item["partition"]["S"].startswith("names#"))


def is_near_row(item: dict[str, Any]) -> bool:
    """Of the index by which named schedules are listed whose timers are in the delivery queue."""
    return bool(item["partition"]["S"].startswith("near#"))


def is_timer(item: dict[str, Any]) -> bool:
    return "name" in item and bool(item["partition"]["S"].isdigit())


def contents(item: dict[str, Any] | None) -> dict[str, Lying]:
    """By id. A timer is none, nor is what is known of a name."""
    if item is None or is_record(item) or is_timer(item) or is_near_row(item):
        return {}
    item_id = id_of(item)
    if "bundle" not in item:
        tag = tag_of(item.get("data", {}).get("S", ""))
        return {item_id: Lying(item_id, tag, key_due_ms(item_id) if item["partition"]["S"].isdigit() else 0)}
    members = json.loads(zlib.decompress(item["bundle"]["B"]))
    found = [Lying(f"{item_id}-{index}", tag_of(data), due_ms) for index, due_ms, data, *_ in members]
    return {lying.id: lying for lying in found}


def letter(body: str, sent_us: int, again: str | None) -> tuple[list[dict[str, Any]], int]:
    """What a message of the input queue asks for, and from when its delays count: by the topic, from its publishing.
    Of one that was put back, what is left of it, and from when the first one counts."""
    content, rest = json.loads(body), json.loads(again or "{}")
    sent_ms: int = rest.get("sent", sent_us // 1000)
    if "TopicArn" in content:
        sent_ms = round(datetime.fromisoformat(content["Timestamp"]).timestamp() * 1000)
        content = json.loads(content["Message"])
    requests = content.get("schedules", [content]) if isinstance(content, dict) else content
    return [requests[place] for place in rest.get("places", range(len(requests)))], sent_ms


def opened(body: str) -> dict[str, Any]:
    """What stands in an envelope; nothing where it is none."""
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def value(text: str) -> Any:
    """Data as it stands in an envelope: what is an object or a list is one there too."""
    return json.loads(text) if text.startswith(("{", "[")) else text
