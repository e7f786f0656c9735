"""Store several schedules in one item, because DynamoDB bills each started kilobyte and takes 1,000 writes/s per key.

A bundle holds its members as zlib-compressed compact JSON. Its key is that of the latest member, so every member is
within reach when the key is. A member keeps its index for life. Its id is the id of the key and `-<index>`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import field

from scheduler.model.schedule import Key, Request, Schedule, sound
from scheduler.value_class import value_class

PACKED_BYTES_MAX = 4_000
"""With the attribute names, the key and the count, an item has four kilobytes and costs four write units."""
UNPACKED_BYTES_MAX = 262_144
"""Fifteen strings of 256 KiB of one character compress to 4 KB. This limit bounds what a feed unpacks at once."""
MEMBERS_MAX = 500
SPAN_MS_MAX = 60_000

MEMBER_FIELDS_MIN, MEMBER_FIELDS_MAX = 3, 7
_UNSET = (None,) * (MEMBER_FIELDS_MAX - MEMBER_FIELDS_MIN)

LEVEL = 5
"""The zlib level. Level 6 takes twice the time if the data has few different characters, and saves 1 byte in 100."""


class Unpackable(ValueError):
    """The item is stored as a bundle, but it is not a valid one."""


@value_class
class Bundle:
    """A bundle as the table stores it. A change succeeds only if `packed` is still the value that was read."""

    key: Key
    packed: bytes
    count: int
    first_ms: int | None = None
    """When its first member is due. None if an earlier version wrote the bundle, or if no member can be read."""

    @property
    def id(self) -> str:
        return self.key.id

    def unpacked(self) -> Contents:
        """Return the members, and skip unreadable ones. Raise Unpackable if no member can be read.

        Nothing is cached, so a page of bundles takes no more memory than its packed data.
        """
        contents = Contents()
        met: set[int] = set()
        for fields in self._list():
            try:
                contents.members.append(_member(self.key, fields, met))
            except ValueError as fault:
                contents.broken[_again(fields)] = str(fault)
        if not contents.members:
            raise Unpackable("no bundle: " + next(iter(contents.broken.values()), "nothing in it"))
        return contents

    def members(self) -> list[Schedule]:
        """Return the readable members."""
        return self.unpacked().members

    def holding(self, members: Sequence[Schedule], broken: Iterable[str] = ()) -> Bundle:
        """Return the same bundle with only these members left. Each keeps its index."""
        texts = [*(text_of(each, each.index) for each in members), *broken]
        return Bundle(self.key, packed(texts), len(texts), min((each.due_ms for each in members), default=None))

    def _list(self) -> list[object]:
        unpacker = zlib.decompressobj()
        try:
            text = unpacker.decompress(self.packed, UNPACKED_BYTES_MAX)
            if not unpacker.eof:
                raise Unpackable("longer than a bundle may be, or cut off")
            found = json.loads(text)
            if not isinstance(found, list):
                raise Unpackable("no list of members")
            if len(found) > MEMBERS_MAX:  # Other code wrote it. To quarantine each member would take minutes.
                raise Unpackable(f"{len(found)} members, and a bundle has at most {MEMBERS_MAX}")
        except (zlib.error, ValueError, RecursionError) as fault:
            raise Unpackable(f"no bundle: {fault}") from fault
        return found


@value_class
class Contents:
    """The contents of a bundle, after unpacking."""

    members: list[Schedule] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    """Each unreadable member as JSON text, with the reason. Equal texts appear once."""

    @property
    def count(self) -> int:
        return len(self.members) + len(self.broken)


def text_of(member: Request | Schedule, index: int | None) -> str:
    """Return a member as JSON, without the unset fields at its end."""
    fields = [index, member.due_ms, member.data, member.target, member.user, member.expires_after_ms, member.terms]
    while fields[-1] is None:
        fields.pop()
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def packed(texts: Sequence[str]) -> bytes:
    return zlib.compress(f"[{','.join(texts)}]".encode(), LEVEL)


def span_ms_max(reach_ms: int, interval_ms: int) -> int:
    """Return how far apart the members may be due. The feed sends them together, in time for the first of them."""
    return max(0, min(SPAN_MS_MAX, (reach_ms - interval_ms) // 4))


def _again(fields: object) -> str:
    try:
        return json.dumps(fields, separators=(",", ":"))
    except RecursionError:
        raise Unpackable("no bundle: a member is nested too deep") from None


def _member(key: Key, fields: object, met: set[int]) -> Schedule:
    """Return a member, or raise ValueError.

    A member must be due no later than the key, because the feed finds it by the key. Its index must be unique.
    """
    if not isinstance(fields, list) or not MEMBER_FIELDS_MIN <= len(fields) <= MEMBER_FIELDS_MAX:
        raise ValueError("it is no list of fields")
    index, due_ms, data, target, user, expires_after_ms, terms = [*fields, *_UNSET][:MEMBER_FIELDS_MAX]
    member = sound(Schedule(key, due_ms, data, target, user, expires_after_ms, terms, index))
    if index is None or index in met:
        raise ValueError("its index is none, or that of another")
    if due_ms > key.due_ms:
        raise ValueError("it is due later than its bundle")
    met.add(index)
    return member
