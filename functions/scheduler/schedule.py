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


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asked for, checked. `target` is None for the output queue; `repeat_of` makes twins by a token."""

    due_ms: int
    data: str
    target: str | None = None
    user: str | None = None
    expires_after_ms: int | None = None
    repeat_of: str | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A request that has its key."""

    key: Key
    data: str
    target: str | None = None
    user: str | None = None
    expires_after_ms: int | None = None

    @property
    def id(self) -> str:
        return f"{self.key.partition}-{self.key.sort.replace('#', '-')}"

    @property
    def due_ms(self) -> int:
        return int(self.key.sort[:DUE_DIGITS])

    def delay_s(self, now_ms: int) -> int:
        """For DelaySeconds: rounded up, because SQS counts whole seconds and early is worse than late."""
        return max(0, -((now_ms - self.due_ms) // 1000))

    def expired(self, now_ms: int) -> bool:
        return self.expires_after_ms is not None and now_ms > self.due_ms + self.expires_after_ms


def keyed(request: Request, partition_count: int, randomness: random.Random) -> Schedule:
    """Give a request its key: by chance, or by its token so that a repeat is no second schedule."""
    if request.repeat_of is None:
        partition, tail = randomness.randrange(partition_count), randomness.getrandbits(_RANDOM_BITS)
    else:
        digest = _digest(request)
        partition, tail = int.from_bytes(digest[8:16], "big") % partition_count, int.from_bytes(digest[:8], "big")
    key = Key(str(partition), f"{sort_from(request.due_ms)}#{tail:016x}")
    return Schedule(key, request.data, request.target, request.user, request.expires_after_ms)


def sort_from(due_ms: int) -> str:
    """The beginning of every sort key of this moment: before all of them, and after all of earlier ones."""
    return f"{due_ms:0{DUE_DIGITS}d}"


def _digest(request: Request) -> bytes:
    parts = [
        request.repeat_of,
        request.due_ms,
        request.data,
        request.target,
        request.user,
        request.expires_after_ms,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).digest()
