"""A schedule, which is released at one time, and its key in the table.

Keys sort by time as text, for every year up to 9999. The id is the key, so a schedule is found by its id without an
index. With a token, a hash of the token and the request replaces the random part of the key. So a request that is sent
again has the same key, and overwrites itself.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

from scheduler.limits import DUE_DIGITS, DUE_MS_MAX, NAME_CHARACTERS_MAX
from scheduler.model.targets import invalid_reason
from scheduler.text import fault
from scheduler.timestamps import epoch_s
from scheduler.value_class import value_class

_RANDOM_BITS = 64
INDEX_MAX = 999
"""Three digits in an id. A bundle has fewer members."""

# The patterns are texts, so that a function that only writes schedules does not compile them.
_ID = rf"[0-9]{{1,3}}-[0-9]{{{DUE_DIGITS}}}-[0-9a-f]{{16}}(-(0|[1-9][0-9]{{0,2}}))?"
_NAME = rf"[A-Za-z0-9._:/-]{{1,{NAME_CHARACTERS_MAX}}}"

OLDER_FIELDS = frozenset({"date", "payload", "failure_topic", "url", "method", "headers", "cookies"})
"""A request with one of these fields has an older format."""


def is_near(due_ms: int, now_ms: int, reach_ms: int) -> bool:
    """Return whether a time is within reach, so that its message is sent at once instead of stored."""
    return due_ms - now_ms <= reach_ms


class Key(NamedTuple):
    """The primary key of an item in the table."""

    partition: str
    sort: str

    @property
    def due_ms(self) -> int:
        return int(self.sort[:DUE_DIGITS])

    @property
    def id(self) -> str:
        return f"{self.partition}-{self.sort.replace('#', '-')}"


@value_class
class Request:
    """A validated request. A `target` of None means the output queue."""

    due_ms: int
    data: str
    target: str | None = None
    user: str | None = None
    expires_after_ms: int | None = None
    token: str | None = None
    terms: str | None = None
    name: str | None = None
    if_exists: str = "replace"
    spread_ms: int = 0
    """Before the moment is drawn: how much later than `due_ms` it may be. Afterwards it is 0."""


@dataclass(slots=True)  # No value: the adapters complete it, and a listing cuts its data.
class Schedule:
    """A request with its key. The members of a bundle share one key."""

    key: Key
    due_ms: int
    """When it is due. The key of a bundle has the time of the latest member, so a member may be due earlier."""
    data: str
    target: str | None = None
    user: str | None = None
    expires_after_ms: int | None = None
    terms: str | None = None
    """The delivery options as JSON text: how often to try, and which failure target to notify."""
    index: int | None = None
    name: str | None = None

    @property
    def id(self) -> str:
        return self.key.id if self.index is None else f"{self.key.id}-{self.index}"

    @property
    def own_sort(self) -> str:
        """Return a sort key for this schedule alone. It has the schedule's own time and, for a member, its index."""
        if self.index is None:
            return self.key.sort
        return f"{sort_from(self.due_ms)}{self.key.sort[DUE_DIGITS:]}-{self.index}"

    def delay_s(self, now_ms: int) -> int:
        """Return the DelaySeconds, rounded up: SQS counts whole seconds, and early is worse than late."""
        return max(0, -((now_ms - self.due_ms) // 1000))

    def expired(self, now_ms: int) -> bool:
        return self.expires_after_ms is not None and now_ms > self.due_ms + self.expires_after_ms


@dataclass(slots=True)
class Timer(Schedule):
    """The timer of a named schedule, under the key of the schedule. It holds only what is needed to find the record.

    `request_number` distinguishes it from an earlier timer under the same key. So a call that removes the earlier timer
    does not remove this one.
    """

    request_number: int = 0


def timer(schedule: Schedule, request_number: int) -> Timer:
    return Timer(schedule.key, schedule.due_ms, "", name=schedule.name, request_number=request_number)


def sound(read: Schedule, or_timer: bool = False) -> Schedule:
    """Return a schedule that was read from the table or a queue, or raise ValueError if it is invalid.

    Others may write to the table and the queues, too. A schedule that passes has valid types, bounds and texts. The
    error quotes none of its content. With `or_timer`, a schedule with a name needs no data.
    """
    _check_number("due", read.due_ms, DUE_MS_MAX)
    if read.expires_after_ms is not None:
        _check_number("expires_after", read.expires_after_ms, DUE_MS_MAX)
    if read.index is not None:
        _check_number("index", read.index, INDEX_MAX)
    for field, text in (("target", read.target), ("user", read.user), ("terms", read.terms), ("name", read.name)):
        if text is not None:
            _check_text(field, text)
    if not isinstance(read.data, str):
        raise ValueError("its data is no text")
    if read.name is not None and not is_name(read.name):
        raise ValueError("its name is none")
    refusal = invalid_reason(read.data or (read.name if or_timer and read.name else ""), read.target)
    if refusal:
        raise ValueError(refusal)
    if read.terms is not None:
        from scheduler.model.delivery_options import DeliveryOptions

        DeliveryOptions.read(read.terms)
    return read


def _check_number(field: str, number: object, most: int) -> None:
    if type(number) is not int or not 0 <= number <= most:
        raise ValueError(f"its {field} is no whole number from 0 to {most}")


def _check_text(field: str, text: object) -> None:
    if not isinstance(text, str) or not text:
        raise ValueError(f"its {field} is no text")
    found = fault(text)
    if found:
        raise ValueError(f"its {field} holds {found}")


def is_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(_ID, value) is not None


def is_name(value: str) -> bool:
    """Return whether it has the characters and the length of a name.

    `name_record` also rejects a name that looks like an id.
    """
    return re.fullmatch(_NAME, value) is not None


def is_prefix(value: str) -> bool:
    """Return whether names may begin with it, as they all do with the empty text."""
    return not value or is_name(value)


def key_of(schedule_id: str) -> Key:
    """Return the key for an id. For the id of a member, that is the key of its bundle."""
    partition, due, tail = schedule_id.split("-")[:3]
    return Key(partition, f"{due}#{tail}")


def index_of(schedule_id: str) -> int | None:
    """Return the index of a member in its bundle, or None if the id is not that of a member."""
    parts = schedule_id.split("-")
    return int(parts[3]) if len(parts) > 3 else None


def sort_from(due_ms: int) -> str:
    """Return the prefix of every sort key of this time. It sorts before all of them and after all earlier keys."""
    return f"{due_ms:0{DUE_DIGITS}d}"


def random_key(due_ms: int, partition_count: int, randomness: random.Random) -> Key:
    return _key(due_ms, randomness.randrange(partition_count), randomness.getrandbits(_RANDOM_BITS))


def repeatable_key(due_ms: int, partition_count: int, parts: list[object]) -> Key:
    """Return a key that depends only on the parts. They must include all that distinguishes schedules under a token."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    partition = int.from_bytes(digest[8:16], "big") % partition_count
    return _key(due_ms, partition, int.from_bytes(digest[:8], "big"))


def repeatable_offset_ms(spread_ms: int, parts: list[object]) -> int:
    """Return a number of milliseconds from 0 to `spread_ms`, both included, that depends only on the parts."""
    digest = hashlib.sha256(json.dumps(["spread", *parts]).encode()).digest()
    return int.from_bytes(digest[:8], "big") % (spread_ms + 1)


def _key(due_ms: int, partition: int, tail: int) -> Key:
    return Key(str(partition), f"{sort_from(due_ms)}#{tail:016x}")


def waiting_state(schedule: Schedule, now_ms: int, reach_ms: int) -> str:
    """Return the state of a pending schedule. Its key decides, because all members of a bundle go the same way."""
    return "queued" if is_near(schedule.key.due_ms, now_ms, reach_ms) else "stored"


def accepted(schedule: Schedule, now_ms: int, reach_ms: int) -> dict[str, Any]:
    """Return the answer to the caller whose schedule was accepted."""
    state = waiting_state(schedule, now_ms, reach_ms)
    return {"id": schedule.id, "timestamp": epoch_s(schedule.due_ms), "state": state}
