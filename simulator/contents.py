"""What lies in an item of the table, read anew rather than by the code under test: a schedule, or a bundle of them."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

from simulator.chronicle import tag_of


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


def is_timer(item: dict[str, Any]) -> bool:
    return "name" in item and bool(item["partition"]["S"].isdigit())


def contents(item: dict[str, Any] | None) -> dict[str, Lying]:
    """By id. A timer is none, nor is what is known of a name."""
    if item is None or is_record(item) or is_timer(item):
        return {}
    item_id = id_of(item)
    if "bundle" not in item:
        tag = tag_of(item.get("data", {}).get("S", ""))
        return {item_id: Lying(item_id, tag, key_due_ms(item_id) if item["partition"]["S"].isdigit() else 0)}
    members = json.loads(zlib.decompress(item["bundle"]["B"]))
    found = [Lying(f"{item_id}-{index}", tag_of(data), due_ms) for index, due_ms, data, *_ in members]
    return {lying.id: lying for lying in found}
