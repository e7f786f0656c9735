"""Write and read `next`, the opaque position of the next page. Callers may send anything, so reading checks it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

from scheduler.errors import InvalidRequest
from scheduler.limits import DUE_DIGITS, DUE_MS_MAX, NAME_CHARACTERS_MAX
from scheduler.text import fault, shown

CHARACTERS_MAX = 65_536
"""More than the positions of 256 partitions need."""
SORT_CHARACTERS_MAX = 1_024
"""Amazon DynamoDB, "quotas": bytes of a sort key."""

_SORT = re.compile(rf"[0-9]{{{DUE_DIGITS}}}(#.*)?", re.DOTALL)
_PARTITION = re.compile(r"[0-9]{1,3}")
_NEAR_PARTITION = re.compile(r"near#[0-9a-f]")
_NAME = re.compile(rf"[A-Za-z0-9._:/-]{{0,{NAME_CHARACTERS_MAX}}} ?")


def encode(kind: str, *parts: object) -> str:
    text = json.dumps([kind, *parts], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode(value: object, kind: str, *types: type) -> list[Any] | None:
    """Return the position that `encode` encoded, or None if none is given. Raise InvalidRequest if it is not one."""
    if value is None:
        return None
    found = _parts(value)
    if [type(part) for part in found] != [str, *types] or found[0] != kind:
        raise refused(value)
    return found[1:]


def decode_key(value: object, kind: str) -> tuple[str, str] | None:
    """Return the partition key and the sort key of a position with just these two, or None if none is given."""
    found = decode(value, kind, str, str)
    if found is None:
        return None
    partition, sort = found
    if not is_sort(sort):
        raise refused(value)
    return partition, sort


def is_of(kind: str, value: object) -> bool:
    """Return whether this is a position of this kind. A listing that ran out of time uses a kind of its own."""
    return value is not None and _parts(value)[:1] == [kind]


def _parts(value: object) -> list[Any]:
    try:
        if not isinstance(value, str) or len(value) > CHARACTERS_MAX:
            raise ValueError("no text of ours")
        found: Any = json.loads(base64.urlsafe_b64decode(value.encode()))
    except (ValueError, TypeError, RecursionError):
        raise refused(value) from None
    if not isinstance(found, list):
        raise refused(value)
    return found


def refused(value: object) -> InvalidRequest:
    return InvalidRequest(f"next is {shown(value)}; wanted: the next of the answer before, to the same request")


def is_sort(value: object) -> bool:
    """Return whether this may be the sort key of an item with a due time, or the beginning of such a key."""
    if not isinstance(value, str) or len(value.encode(errors="replace")) > SORT_CHARACTERS_MAX:
        return False
    return _SORT.fullmatch(value) is not None and fault(value) is None


def is_partition(value: object) -> bool:
    return isinstance(value, str) and _PARTITION.fullmatch(value) is not None


def is_near_partition(value: object) -> bool:
    """Return whether this is a partition of the index of near names."""
    return isinstance(value, str) and _NEAR_PARTITION.fullmatch(value) is not None


def is_moment(value: object) -> bool:
    return type(value) is int and 0 <= value <= DUE_MS_MAX


def is_name(value: object) -> bool:
    """Return whether this may be a name, or the text that sorts right after a name."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


ANSWER_BYTES_MAX = 5_000_000
"""AWS Lambda, "quotas": 6 MB for a synchronous answer. This leaves room and assumes ASCII, as runtimes may write."""


def fitting(facts: Sequence[object]) -> int:
    """Return how many of the first facts fit an answer. At least one always fits."""
    size_bytes = 0
    for count, each in enumerate(facts):
        size_bytes += bytes_in_list(each)
        if count and size_bytes > ANSWER_BYTES_MAX:
            return count
    return len(facts)


def bytes_in_list(fact: object) -> int:
    return len(json.dumps(fact)) + len(", ")
