"""Write and read `next`, the opaque position of the next page. Callers may send anything, so reading checks it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from scheduler.errors import InvalidRequest
from scheduler.limits import ANSWER_BYTES_MAX, DUE_DIGITS, DUE_MS_MAX, PARTITIONS_MAX
from scheduler.model.schedule import is_prefix
from scheduler.text import fault, shown

CHARACTERS_MAX = 65_536
"""More than the positions of 256 partitions need in the form of earlier versions."""
NEXT_CHARACTERS_MAX = 4_000
"""The longest position that a reading returns. API Gateway accepts 10,240 bytes of request line and headers."""
ACTIVE_MAX = 32
"""The partitions that are read at a time. Each of them adds about 60 characters to a position."""
NEAR_PARTITIONS_MAX = 16
SORT_CHARACTERS_MAX = 1_023  # DynamoDB takes 1,024 bytes, and `failures` goes on one character behind a key.
"""Amazon DynamoDB, "quotas": bytes of a sort key."""

_SORT = re.compile(rf"[0-9]{{{DUE_DIGITS}}}(#.*)?", re.DOTALL)
_PARTITION = re.compile(r"[0-9]{1,3}")
_NEAR_PARTITION = re.compile(r"near#[0-9a-f]")


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


def order_of(partition: str) -> tuple[bool, int, str]:
    """Return where a partition comes in a reading of all: by its number, and the index of near names at the end."""
    return (False, int(partition), "") if is_partition(partition) else (True, 0, partition)


def grouped(positions: Mapping[str, Any]) -> list[list[Any]]:
    """Return the positions of partitions in few characters: `[["000001893456000", "0-255 near#0"]]`.

    Most partitions share a position, because only `ACTIVE_MAX` are read at a time.
    """
    partitions_at: dict[Any, list[str]] = {}
    for partition in sorted(positions, key=order_of):
        partitions_at.setdefault(positions[partition], []).append(partition)
    return [[position, " ".join(_ranges(found))] for position, found in partitions_at.items()]


def _ranges(partitions: Sequence[str]) -> Iterator[str]:
    numbers = [int(each) for each in partitions if is_partition(each)]
    for _, run in groupby(enumerate(numbers), key=lambda each: each[1] - each[0]):
        found = [number for _, number in run]
        yield str(found[0]) if len(found) == 1 else f"{found[0]}-{found[-1]}"
    yield from (each for each in partitions if not is_partition(each))


def ungrouped(groups: object) -> dict[str, Any]:
    """Return the position of each partition. Raise ValueError if `grouped` cannot have written this."""
    if not isinstance(groups, list) or len(groups) > PARTITIONS_MAX + NEAR_PARTITIONS_MAX:
        raise ValueError("no groups")
    found: dict[str, Any] = {}
    for group in groups:
        if not isinstance(group, list) or [type(part) for part in group[1:]] != [str]:
            raise ValueError("no group")
        for word in group[1].split(" "):
            found |= dict.fromkeys(_partitions(word), group[0])
    return found


def _partitions(word: str) -> list[str]:
    if is_partition(word) or is_near_partition(word):
        return [word]
    first, _, last = word.partition("-")
    if not is_partition(first) or not is_partition(last) or not int(first) < int(last) < PARTITIONS_MAX:
        raise ValueError("no partitions")
    return [str(number) for number in range(int(first), int(last) + 1)]


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


def is_position(partition: object, sort: object) -> bool:
    """Return whether a reading may go on at this key: in a partition of schedules or of near names."""
    return is_sort(sort) and (is_partition(partition) or is_near_partition(partition))


def is_moment(value: object) -> bool:
    return type(value) is int and 0 <= value <= DUE_MS_MAX


def is_name_position(value: object) -> bool:
    """Return whether a page may go on at this: at the beginning of names, or right after a name."""
    return isinstance(value, str) and is_prefix(value.removesuffix(" "))


def count_fitting(facts: Sequence[object]) -> int:
    """Return how many of the first facts fit an answer. At least one always fits."""
    size_bytes = 0
    for count, each in enumerate(facts):
        size_bytes += bytes_in_list(each)
        if count and size_bytes > ANSWER_BYTES_MAX:
            return count
    return len(facts)


def bytes_in_list(fact: object) -> int:
    return len(json.dumps(fact)) + len(", ")
