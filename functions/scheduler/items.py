"""How things lie in the table, in the notation of DynamoDB: only what a thing has is in its item."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from scheduler.bundle import Bundle
from scheduler.failures import Report
from scheduler.limits import DUE_DIGITS
from scheduler.moving import Aside
from scheduler.schedule import Key, Schedule, Timer, sort_from
from scheduler.targets import unfit

Item = dict[str, dict[str, Any]]

META = "meta"
QUARANTINE = "quarantine"
FAILED = "failed#"
FAILED_KEPT_S = 90 * 24 * 3600


def key(partition: str, sort: str) -> Item:
    return {"partition": {"S": partition}, "sort": {"S": sort}}


def item(thing: Schedule | Bundle) -> Item:
    if isinstance(thing, Bundle):
        return {**key(*thing.key), "bundle": {"B": thing.packed}, "members": {"N": str(thing.count)}}
    return {**key(*thing.key), **contents(thing)}


def contents(schedule: Schedule) -> Item:
    """All of a schedule but its key and its moment."""
    found: Item = {}
    if schedule.data:
        found["data"] = {"S": schedule.data}
    if schedule.target is not None:
        found["target"] = {"S": schedule.target}
    if schedule.user is not None:
        found["user"] = {"S": schedule.user}
    if schedule.expires_after_ms is not None:
        found["expires_after"] = {"N": str(schedule.expires_after_ms)}
    if schedule.terms is not None:
        found["terms"] = {"S": schedule.terms}
    if schedule.name is not None:
        found["name"] = {"S": schedule.name}
    if isinstance(schedule, Timer):
        found["asked"] = {"N": str(schedule.asked)}
    return found


def bundle(item: Item) -> Bundle:
    return Bundle(key_in_time(item), item["bundle"]["B"], int(item["members"]["N"]))


def schedule(item: Item) -> Schedule:
    """KeyError or ValueError where it is none, or none that could ever be sent."""
    found_key = key_in_time(item)
    found = with_contents(found_key, found_key.due_ms, item)
    fault = None if found.name is not None else unfit(found.data, found.target)
    if fault:
        raise ValueError(fault)
    return found


def with_contents(key: Key, due_ms: int, item: Item) -> Schedule:
    return Schedule(
        key,
        due_ms,
        item["data"]["S"] if "data" in item else "",
        item["target"]["S"] if "target" in item else None,
        item["user"]["S"] if "user" in item else None,
        int(item["expires_after"]["N"]) if "expires_after" in item else None,
        item["terms"]["S"] if "terms" in item else None,
        None,
        item["name"]["S"] if "name" in item else None,
    )


def quarantined(aside: Aside) -> Item:
    """Under its moment, so that it sorts by it, with where it was and why it is here. A member of a bundle becomes a
    schedule of its own, told from its fellows by its index; its id does not tell its moment, so both are kept."""
    content = aside.content
    sort = content.own_sort if isinstance(content, Schedule) else aside.key.sort
    return {
        **(dict(content) if isinstance(content, dict) else item(content)),
        **({"id": {"S": content.id}} if isinstance(content, Schedule) else {}),
        **key(QUARANTINE, sort),
        "origin": {"S": aside.key.partition},
        "reason": {"S": aside.reason},
    }


def failed(report: Report[Any]) -> Item:
    """By the day and moment of the failure, with everything that it takes to try again."""
    schedule = report.schedule
    day = datetime.fromtimestamp(report.at_ms / 1000, UTC).strftime("%Y-%m-%d")
    mark = hashlib.sha256(schedule.encode()).hexdigest()[:16] if isinstance(schedule, str) else schedule.id
    facts = {
        **key(f"{FAILED}{day}", f"{sort_from(report.at_ms)}#{mark}"),
        "reason": {"S": report.reason},
        "error": {"S": report.error},
        "attempts": {"N": str(report.attempts)},
        "ttl": {"N": str(report.at_ms // 1000 + FAILED_KEPT_S)},
    }
    if isinstance(schedule, str):
        return {**facts, "text": {"S": schedule}}
    return {**facts, **contents(schedule), "id": {"S": schedule.id}, "due": {"N": str(schedule.due_ms)}}


def key_in_time(item: Item) -> Key:
    """KeyError or ValueError where the item is none: it is then put aside rather than stopping the feed for ever."""
    found = Key(item["partition"]["S"], item["sort"]["S"])
    digits, mark, _ = found.sort.partition("#")
    if not (mark and len(digits) == DUE_DIGITS and digits.isascii() and digits.isdigit()):
        raise ValueError("its sort key is not a moment")
    return found
