"""Decode items and messages independently of the code under test."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulator.event_log import tag_of

REQUEUE_ATTRIBUTE = "punctual-again"
"""The attribute of an input message that the function put back in part."""


@dataclass(frozen=True)
class Lying:
    """One schedule that an item holds."""

    id: str
    tag: str
    due_ms: int


_APPLICATION = re.compile(r"#[0-9a-f]{8}(?=#|$)")


def partition_of(item: dict[str, Any]) -> str:
    """Return the hash key of an item, without the application that it belongs to."""
    return _APPLICATION.sub("", item["partition"]["S"], count=1)


def application_of(item: dict[str, Any]) -> str:
    """Return the application of an item, or an empty string for the owner."""
    found = _APPLICATION.search(item["partition"]["S"])
    return "" if found is None else found.group()[1:]


def id_of(key: dict[str, Any]) -> str:
    """Return the id of an item. The id of a bundle is not the id of a schedule."""
    return f"{partition_of(key)}-{key['sort']['S'].replace('#', '-')}"


def key_due_ms(schedule_id: str) -> int:
    """Return the due time in a key. The key of a bundle has the due time of its latest member."""
    return int(schedule_id.split("-")[1])


def is_record(item: dict[str, Any]) -> bool:
    return partition_of(item).startswith("names#")


def is_near_row(item: dict[str, Any]) -> bool:
    """Return whether an item belongs to the index of named schedules whose timers are in the delivery queue."""
    return partition_of(item).startswith("near#")


def is_timer(item: dict[str, Any]) -> bool:
    return "name" in item and partition_of(item).isdigit()


def contents(item: dict[str, Any] | None) -> dict[str, Lying]:
    """Return the schedules in an item by id. Timers, records and index items hold none."""
    if item is None or is_record(item) or is_timer(item) or is_near_row(item):
        return {}
    item_id = id_of(item)
    if "bundle" not in item:
        tag = tag_of(item.get("data", {}).get("S", ""))
        return {item_id: Lying(item_id, tag, key_due_ms(item_id) if partition_of(item).isdigit() else 0)}
    members = json.loads(zlib.decompress(item["bundle"]["B"]))
    found = [Lying(f"{item_id}-{index}", tag_of(data), due_ms) for index, due_ms, data, *_ in members]
    return {lying.id: lying for lying in found}


def opened_message(body: str, sent_us: int, again: str | None) -> tuple[list[dict[str, Any]], int]:
    """Return the requests in a message of the input queue, and the time from which their delays count.

    For a message from the topic, delays count from the time of its publishing. For a message that the function put
    back, the requests are the rest of it, and delays count from the time of the first message.
    """
    content, rest = json.loads(body), json.loads(again or "{}")
    sent_ms: int = rest.get("sent", sent_us // 1000)
    if "TopicArn" in content:
        sent_ms = round(datetime.fromisoformat(content["Timestamp"]).timestamp() * 1000)
        content = json.loads(content["Message"])
    requests = content.get("schedules", [content]) if isinstance(content, dict) else content
    return [requests[place] for place in rest.get("places", range(len(requests)))], sent_ms


def opened(body: str) -> dict[str, Any]:
    """Return the content of an envelope, or an empty dictionary if the body is not an envelope."""
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def value(text: str) -> Any:
    """Return the data as it appears in an envelope. Objects and lists are parsed, and other data stays text."""
    return json.loads(text) if text.startswith(("{", "[")) else text
