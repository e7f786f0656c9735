"""One thing to be released at one moment, and the key under which the table keeps it.

The key sorts by time as text, for every year to 9999; the id is the key, so no index is needed to find a schedule
by its id. With a token, everything random in the key comes from a hash of token and request instead: the same
request sent again has the same key, and overwrites itself.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import NamedTuple

from scheduler.limits import DUE_DIGITS

_RANDOM_BITS = 64


class Key(NamedTuple):
    """Where an item lies in the table."""

    partition: str
    sort: str

    @property
    def due_ms(self) -> int:
        return int(self.sort[:DUE_DIGITS])

    @property
    def id(self) -> str:
        return f"{self.partition}-{self.sort.replace('#', '-')}"


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asked for, checked. `target` is None for the output queue."""

    due_ms: int
    data: str
    target: str | None = None
    user: str | None = None
    expires_after_ms: int | None = None
    token: str | None = None
    terms: str | None = None
    name: str | None = None
    if_exists: str = "replace"


@dataclass(slots=True)  # Not frozen: making one would take three times as long, and a feed makes thousands a second.
class Schedule:
    """A request that has its key: its own, or as one of the members of a bundle the key that it shares with them."""

    key: Key
    due_ms: int
    """Of a member it is not that of the key, which is the moment of the latest."""
    data: str
    target: str | None = None
    user: str | None = None
    expires_after_ms: int | None = None
    terms: str | None = None
    """What only a delivery asks for, as JSON text: how often to try, and whom to tell of a failure."""
    index: int | None = None
    name: str | None = None

    @property
    def id(self) -> str:
        return self.key.id if self.index is None else f"{self.key.id}-{self.index}"

    @property
    def own_sort(self) -> str:
        """As a sort key of its own: by its own moment, and told from its fellow members."""
        if self.index is None:
            return self.key.sort
        return f"{sort_from(self.due_ms)}{self.key.sort[DUE_DIGITS:]}-{self.index}"

    def delay_s(self, now_ms: int) -> int:
        """For DelaySeconds: rounded up, because SQS counts whole seconds and early is worse than late."""
        return max(0, -((now_ms - self.due_ms) // 1000))

    def expired(self, now_ms: int) -> bool:
        return self.expires_after_ms is not None and now_ms > self.due_ms + self.expires_after_ms


@dataclass(slots=True)
class Timer(Schedule):
    """What wakes a named schedule: as little as finds its record, under the same key. `asked` tells it from one that
    was set earlier under that key, which is to be removed without it."""

    asked: int = 0


def timer(schedule: Schedule, asked: int) -> Timer:
    return Timer(schedule.key, schedule.due_ms, "", name=schedule.name, asked=asked)


def key_of(schedule_id: str) -> Key:
    """The key that an id stands for, of a bundle where it is the id of a member."""
    partition, due, tail = schedule_id.split("-")[:3]
    return Key(partition, f"{due}#{tail}")


def index_of(schedule_id: str) -> int | None:
    """Of a member in its bundle; None where it is the id of a schedule by itself."""
    parts = schedule_id.split("-")
    return int(parts[3]) if len(parts) > 3 else None


def sort_from(due_ms: int) -> str:
    """The beginning of every sort key of this moment: before all of them, and after all of earlier ones."""
    return f"{due_ms:0{DUE_DIGITS}d}"


def random_key(due_ms: int, partition_count: int, randomness: random.Random) -> Key:
    return _key(due_ms, randomness.randrange(partition_count), randomness.getrandbits(_RANDOM_BITS))


def repeatable_key(due_ms: int, partition_count: int, parts: list[object]) -> Key:
    """The same for the same parts, which are all that tells one from another under its token."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    partition = int.from_bytes(digest[8:16], "big") % partition_count
    return _key(due_ms, partition, int.from_bytes(digest[:8], "big"))


def _key(due_ms: int, partition: int, tail: int) -> Key:
    return Key(str(partition), f"{sort_from(due_ms)}#{tail:016x}")
