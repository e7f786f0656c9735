"""Decode items of the table and messages independently of the code under test."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulator.event_log import tag_of

REQUEUE_ATTRIBUTE = "punctual-again"
"""The attribute of an input message that was put back with some of its members."""


@dataclass(frozen=True)
class Lying:
    """One schedule in an item."""

    id: str
    tag: str
    due_ms: int


def id_of(key: dict[str, Any]) -> str:
    """Return the id of an item. The id of a bundle belongs to no schedule."""
    return f"{key['partition']['S']}-{key['sort']['S'].replace('#', '-')}"


def key_due_ms(schedule_id: str) -> int:
    """Return the time in a key. For a bundle, it is that of the latest member."""
    return int(schedule_id.split("-")[1])


def is_record(item: dict[str, Any]) -> bool:
    return bool(item["partition"]["S"].startswith("names#"))


def is_near_row(item: dict[str, Any]) -> bool:
    """Return whether the item is a row of the index of near named schedules, whose timers are in the delivery queue."""
    return bool(item["partition"]["S"].startswith("near#"))


def is_timer(item: dict[str, Any]) -> bool:
    return "name" in item and bool(item["partition"]["S"].isdigit())


def contents(item: dict[str, Any] | None) -> dict[str, Lying]:
    """Return the schedules in an item by id. Timers and records of names hold none."""
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
    """Return the requests of an input message, and the time from which their delays count.

    Through the topic, that is the time of publishing. For a message that was put back, it is the remaining requests and
    the first time.
    """
    content, rest = json.loads(body), json.loads(again or "{}")
    sent_ms: int = rest.get("sent", sent_us // 1000)
    if "TopicArn" in content:
        sent_ms = round(datetime.fromisoformat(content["Timestamp"]).timestamp() * 1000)
        content = json.loads(content["Message"])
    requests = content.get("schedules", [content]) if isinstance(content, dict) else content
    return [requests[place] for place in rest.get("places", range(len(requests)))], sent_ms


def opened(body: str) -> dict[str, Any]:
    """Return the message in an envelope, or nothing if there is no envelope."""
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def value(text: str) -> Any:
    """Return data as it is in an envelope, where objects and lists stay JSON."""
    return json.loads(text) if text.startswith(("{", "[")) else text
