"""Several schedules in one item: DynamoDB bills a write by the started kilobyte, and takes 1,000 a second per key.

A bundle holds its members as zlib-compressed compact JSON under the key of the latest of them, so that none is out of
reach when the key is within it. A member is told from the others by its index, which it keeps for life: its id is the
key's id with `-<index>`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.schedule import Key, Request, Schedule
from scheduler.targets import unfit

PACKED_BYTES_MAX = 4_000
"""With the names, the key and the count beside it, four kilobytes: as many write units for the whole bundle."""
UNPACKED_BYTES_MAX = 262_144
"""Fifteen strings of 256 KiB of one letter pack into 4 KB; what a feed unpacks at once is bounded by this instead."""
MEMBERS_MAX = 500
SPAN_MS_MAX = 60_000

_LEVEL = 6


class Unpackable(ValueError):
    """What lies in the table as a bundle is none."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """As it lies in the table. A change of it is on condition that `packed` is as it was read."""

    key: Key
    packed: bytes
    count: int

    @property
    def id(self) -> str:
        return self.key.id

    def members(self) -> list[Schedule]:
        """Unpacked anew at every call: a page of bundles takes no more memory than it does packed."""
        unpacker = zlib.decompressobj()
        try:
            text = unpacker.decompress(self.packed, UNPACKED_BYTES_MAX)
            if not unpacker.eof:
                raise Unpackable("longer than a bundle may be, or cut off")
            return [_member(self.key, fields) for fields in json.loads(text)]
        except (zlib.error, ValueError, TypeError) as fault:
            raise Unpackable(f"no bundle: {fault}") from fault

    def holding(self, members: Sequence[Schedule]) -> Bundle:
        """The same bundle with no more than these members left, each under its index."""
        return Bundle(self.key, packed([text_of(each, each.index) for each in members]), len(members))


def text_of(member: Request | Schedule, index: int | None) -> str:
    """A member in JSON, without the fields at the end that are not set."""
    fields = [index, member.due_ms, member.data, member.target, member.user, member.expires_after_ms, member.terms]
    while fields[-1] is None:
        fields.pop()
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def packed(texts: Sequence[str]) -> bytes:
    return zlib.compress(f"[{','.join(texts)}]".encode(), _LEVEL)


def span_ms_max(reach_ms: int, interval_ms: int) -> int:
    """How far apart its members may be due: they are fed together, and early enough for the first of them."""
    return max(0, min(SPAN_MS_MAX, (reach_ms - interval_ms) // 4))


def _member(key: Key, fields: list[Any]) -> Schedule:
    index, due_ms, data, target, user, expires_after_ms, terms = [*fields, None, None, None, None][:7]
    if type(index) is not int or type(due_ms) is not int or type(data) is not str:
        raise TypeError("a member is not of the types that members have")
    if unfit(data, target):
        raise ValueError(unfit(data, target))
    return Schedule(key, due_ms, data, target, user, expires_after_ms, terms, index)
