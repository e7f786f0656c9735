"""Several schedules in one item: DynamoDB bills a write by the started kilobyte, and takes 1,000 a second per key.

A bundle holds its members as zlib-compressed compact JSON under the key of the latest of them, so that none is out of
reach when the key is within it. A member is told from the others by its index, which it keeps for life: its id is the
key's id with `-<index>`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from scheduler.model.schedule import Key, Request, Schedule, sound

PACKED_BYTES_MAX = 4_000
"""With the names, the key and the count beside it, four kilobytes: as many write units for the whole bundle."""
UNPACKED_BYTES_MAX = 262_144
"""Fifteen strings of 256 KiB of one letter pack into 4 KB; what a feed unpacks at once is bounded by this instead."""
MEMBERS_MAX = 500
SPAN_MS_MAX = 60_000

MEMBER_FIELDS_MIN, MEMBER_FIELDS_MAX = 3, 7
_UNSET = (None,) * (MEMBER_FIELDS_MAX - MEMBER_FIELDS_MIN)

LEVEL = 5
"""Of zlib. 6 takes twice the time where the data has few different letters, and saves one byte in a hundred."""


class Unpackable(ValueError):
    """What lies in the table as a bundle is none."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """As it lies in the table. A change of it is on condition that `packed` is as it was read."""

    key: Key
    packed: bytes
    count: int
    first_ms: int | None = None
    """When its first member is due. None if an earlier version wrote the bundle, or if no member can be read."""

    @property
    def id(self) -> str:
        return self.key.id

    def unpacked(self) -> Contents:
        """Anew at every call: a page of bundles takes no more memory than it does packed. A member that is none does
        no harm to the others; Unpackable where all are."""
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
        """Those that are some."""
        return self.unpacked().members

    def holding(self, members: Sequence[Schedule], broken: Iterable[str] = ()) -> Bundle:
        """The same bundle with no more than these members left, each under its index."""
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
            if len(found) > MEMBERS_MAX:  # None of ours: member by member, putting it aside would take minutes.
                raise Unpackable(f"{len(found)} members, and a bundle has at most {MEMBERS_MAX}")
        except (zlib.error, ValueError, RecursionError) as fault:
            raise Unpackable(f"no bundle: {fault}") from fault
        return found


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies in a bundle."""

    members: list[Schedule] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    """What is no member, as JSON text, and why; each such text once."""

    @property
    def count(self) -> int:
        return len(self.members) + len(self.broken)


def text_of(member: Request | Schedule, index: int | None) -> str:
    """A member in JSON, without the fields at the end that are not set."""
    fields = [index, member.due_ms, member.data, member.target, member.user, member.expires_after_ms, member.terms]
    while fields[-1] is None:
        fields.pop()
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def packed(texts: Sequence[str]) -> bytes:
    return zlib.compress(f"[{','.join(texts)}]".encode(), LEVEL)


def span_ms_max(reach_ms: int, interval_ms: int) -> int:
    """How far apart its members may be due: they are fed together, and early enough for the first of them."""
    return max(0, min(SPAN_MS_MAX, (reach_ms - interval_ms) // 4))


def _again(fields: object) -> str:
    try:
        return json.dumps(fields, separators=(",", ":"))
    except RecursionError:
        raise Unpackable("no bundle: a member is nested too deep") from None


def _member(key: Key, fields: object, met: set[int]) -> Schedule:
    """It is due no later than the key says, which is when a feed comes upon it; and it has its index for itself."""
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
