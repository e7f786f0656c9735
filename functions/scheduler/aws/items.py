"""Convert between our objects and DynamoDB items. An item has only the attributes that the object has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scheduler import formats, log
from scheduler.errors import NotConfirmed
from scheduler.limits import DUE_DIGITS, DYNAMODB_ITEM_BYTES_MAX, DYNAMODB_SORT_BYTES_MAX
from scheduler.model.bundle import MEMBERS_MAX, Bundle
from scheduler.model.failure_report import FAILED_KEPT_S, QUARANTINE, failed_partitions
from scheduler.model.feed_run import RUN_KEPT_S as RUNS_KEPT_S
from scheduler.model.feed_run import FeedRun
from scheduler.model.schedule import Key, Schedule, Timer, is_id, sort_from, sound

if TYPE_CHECKING:
    from scheduler.feeding.jobs import QuarantinedItem
    from scheduler.model.failure_report import Report

Item = dict[str, dict[str, Any]]

META = "meta"
CUT = "cut"
"""The attribute of an item that was truncated to fit DynamoDB's limit."""
RUN_ERROR_CHARACTERS_MAX = 200
"""Keeps the line of a run below a kilobyte, which is one write unit."""


def key(partition: str, sort: str) -> Item:
    return {"partition": {"S": partition}, "sort": {"S": sort}}


def item(thing: Schedule | Bundle) -> Item:
    if isinstance(thing, Bundle):
        found = {**key(*thing.key), "bundle": {"B": thing.packed}, "members": {"N": str(thing.count)}}
        return found if thing.first_ms is None else {**found, "first": {"N": str(thing.first_ms)}}
    return {**key(*thing.key), **contents(thing)}


def contents(schedule: Schedule) -> Item:
    """Return all of a schedule except its key and its due time."""
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
        found["asked"] = {"N": str(schedule.request_number)}
    return found


def bundle(item: Item) -> Bundle:
    """Return the bundle of an item. Raise as `schedule` does."""
    found_key = _own_key(item)
    formats.check_item(item)
    count = int(item["members"]["N"])
    if not 1 <= count <= MEMBERS_MAX:
        raise ValueError("its members are none, or more than a bundle has")
    return Bundle(found_key, item["bundle"]["B"], count, _first_ms(item, found_key.due_ms))


def _first_ms(item: Item, last_ms: int) -> int | None:
    """Return when the first member of a bundle is due, or None if the item has no such value or an impossible one.

    The value only saves a reader the work of opening the bundle, so a damaged value does not lose the members.
    """
    try:
        first_ms = int(item["first"]["N"])
    except (KeyError, ValueError):
        return None
    return first_ms if 0 <= first_ms <= last_ms else None


def schedule(item: Item) -> Schedule:
    """Return the schedule of an item. Raise KeyError or ValueError if it is not one, or could never be sent.

    Raise NotConfirmed if only newer code can read it.
    """
    found_key = _own_key(item)
    return whole(found_key, found_key.due_ms, item, or_timer=True)


def thing(item: Item) -> Schedule | Bundle | None:
    """Return the schedule or the bundle of an item, or None if it is neither. The feed quarantines such an item.

    Raise NotConfirmed if only newer code can read it.
    """
    try:
        return bundle(item) if "bundle" in item else schedule(item)
    except (KeyError, ValueError):
        return None


def things(found: Iterable[Item]) -> list[Schedule | Bundle]:
    """Return the schedules and bundles among the items. The log names the items that only newer code reads."""
    readable: list[Schedule | Bundle] = []
    for item in found:
        try:
            content = thing(item)
        except NotConfirmed as fault:
            log.outcome("not read", partition=item["partition"]["S"], sort=item["sort"]["S"], why=str(fault))
            continue
        if content is not None:
            readable.append(content)
    return readable


def whole(key: Key, due_ms: int, item: Item, or_timer: bool = False) -> Schedule:
    """Return a schedule that may be released. Raise as `schedule` does."""
    formats.check_item(item)
    if CUT in item:
        raise ValueError("it was cut")
    return sound(with_contents(key, due_ms, item), or_timer)


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


def quarantined(quarantined_item: QuarantinedItem) -> Item:
    """Return the item for the quarantine, sorted by its due time, with its old partition and the reason.

    A member of a bundle becomes a schedule of its own, and its index distinguishes it from the other members. Its id
    does not show its due time, so the item keeps both. A foreign item may have the same sort key in two partitions, so
    a hash of its key is added.
    """
    content = quarantined_item.content
    sort = content.own_sort if isinstance(content, Schedule) else quarantined_item.key.sort
    facts: Item = {"id": {"S": content.id}} if isinstance(content, Schedule) else {}
    if quarantined_item.newer:
        facts = {"id": {"S": quarantined_item.key.id}}
    elif isinstance(content, dict):
        mark = hashlib.sha256(" ".join(quarantined_item.key).encode()).hexdigest()[:16]
        sort = f"{sort.encode()[: DYNAMODB_SORT_BYTES_MAX - 17].decode(errors='ignore')}-{mark}"
    facts |= {
        **key(QUARANTINE, sort),
        "origin": {"S": quarantined_item.key.partition},
        "reason": {"S": quarantined_item.reason},
    }
    return _within_item(dict(content) if isinstance(content, dict) else item(content), facts)


def failed(report: Report[Any]) -> Item:
    """Return the item for a failure, by day and time, with everything that is needed to try again."""
    schedule = report.schedule
    day = datetime.fromtimestamp(report.at_ms / 1000, UTC).date()
    text = schedule.encode(errors="backslashreplace") if isinstance(schedule, str) else None
    mark = hashlib.sha256(text).hexdigest()[:16] if text is not None else schedule.id
    facts = {
        **key(failed_partitions(day, mark)[-1], f"{sort_from(report.at_ms)}#{mark}"),
        "reason": {"S": report.reason},
        "error": {"S": report.error},
        "attempts": {"N": str(report.attempts)},
        "ttl": {"N": str(report.at_ms // 1000 + FAILED_KEPT_S)},
    }
    if text is not None:
        return _within_item({"text": {"S": text.decode()}}, facts)
    return _within_item(contents(schedule), {**facts, "id": {"S": schedule.id}, "due": {"N": str(schedule.due_ms)}})


def feed_run(run: FeedRun) -> Item:
    """Return the line of a run. DynamoDB deletes it after 30 days."""
    return {
        **key(*run.key),
        "feed": {"S": run.partition},
        "ended": {"N": str(run.ended_ms)},
        "moved": {"N": str(run.moved)},
        "left": {"N": str(run.left)},
        "ttl": {"N": str(run.begun_ms // 1000 + RUNS_KEPT_S)},
        **({"error": {"S": run.error[:RUN_ERROR_CHARACTERS_MAX]}} if run.error else {}),
    }


def read_feed_run(item: Item) -> FeedRun:
    """Return the run of a line. Raise KeyError or ValueError if the item is not one."""
    return FeedRun(
        item["feed"]["S"],
        key_in_time(item).due_ms,
        int(item["ended"]["N"]),
        int(item["moved"]["N"]),
        int(item["left"]["N"]),
        item["error"]["S"] if "error" in item else "",
    )


def _within_item(content: Item, facts: Item) -> Item:
    """Return the content and the facts, with the content truncated to fit an item.

    The longest attributes are shortened first, and `cut` holds the original size. A truncated item is for people to
    read, and is never released.
    """
    whole = {**content, **facts}
    over_bytes = _bytes(whole) - DYNAMODB_ITEM_BYTES_MAX
    if over_bytes <= 0:
        return whole
    cut = {CUT: {"N": str(_bytes(content))}}
    facts, over_bytes = {**facts, **cut}, over_bytes + _bytes(cut)
    kept = {name: value for name, value in content.items() if name not in facts}
    for name in sorted(kept, key=lambda each: -_bytes({each: kept[each]})):
        if over_bytes <= 0:
            break
        before_bytes = _bytes({name: kept[name]})
        kept[name] = _shorter(kept[name], over_bytes)
        over_bytes -= before_bytes - _bytes({name: kept[name]})
    return {**kept, **facts}


def _shorter(value: dict[str, Any], by_bytes: int) -> dict[str, Any]:
    """Shorten a string or bytes to their beginning, and replace any other value with NULL."""
    if "S" in value:
        text = value["S"].encode()
        return {"S": text[: max(0, len(text) - by_bytes)].decode(errors="ignore")}
    if "B" in value:
        return {"B": value["B"][: max(0, len(value["B"]) - by_bytes)]}
    return {"NULL": True}


def _bytes(item: Item) -> int:
    """Return at least what DynamoDB counts ("item sizes and formats"). Nested values count in full notation."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(typed: dict[str, Any]) -> int:
    ((of_type, value),) = typed.items()
    if of_type == "B":
        return len(value)
    return len((value if isinstance(value, str) else repr(value)).encode())


def _own_key(item: Item) -> Key:
    """Return the key of an item to feed, which is also its id. Raise KeyError or ValueError if it is not an id."""
    found = key_in_time(item)
    if not is_id(found.id):
        raise ValueError("its key is no id")
    return found


def key_in_time(item: Item) -> Key:
    """Return the key of an item. Raise KeyError or ValueError if it has no due time.

    The feed then quarantines the item, which would otherwise stop the feed forever.
    """
    found = Key(item["partition"]["S"], item["sort"]["S"])
    digits, mark, _ = found.sort.partition("#")
    if not (mark and len(digits) == DUE_DIGITS and digits.isascii() and digits.isdigit()):
        raise ValueError("its sort key is not a moment")
    return found
