"""The values that the client returns. All times are aware datetimes in UTC."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value that JSON can hold."""
Target: TypeAlias = "str | Mapping[str, object]"
"""The target of a schedule: an ARN, `{"arn": …, "envelope": True}`, or a webhook `{"url": …, "method": …}`."""
State = Literal["stored", "queued", "delivered", "cancelled", "expired", "failed"]
Result = Literal["created", "replaced", "kept", "older"]
"""The result for the name: new, replaced, kept under `if_exists="keep"`, or changed by a later request meanwhile."""
IfExists = Literal["replace", "keep", "fail"]


class Unset(enum.Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""The value of an argument that is not given, where None means something else."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """An accepted schedule. `result` is set if it has a name."""

    id: str
    due: datetime
    state: State
    name: str | None = None
    result: Result | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A request of `schedule_many` that was rejected. `index` is its place in the input, from 0."""

    index: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A request of `schedule_many` with an unknown outcome.

    `token` is the token of the whole batch. It is the request's own token if it has one.
    """

    index: int
    message: str
    token: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as the stack knows it.

    Everything from `attempts` to `next_attempt`, `accepted` and `attempt_times` are known of named schedules only.
    `user`, `retry`, `failure_target` and `expires_after` are in the answers of `get`, and of `list` with `full=True`.
    """

    id: str
    name: str | None
    due: datetime
    state: State
    target: str | dict[str, Json] | None
    data: str | None
    attempts: int | None
    error: str | None
    changed: datetime | None
    next_attempt: datetime | None = None
    user: str | None = None
    retry: dict[str, Json] | None = None
    failure_target: str | None = None
    expires_after: float | None = None
    accepted: datetime | None = None
    attempt_times: tuple[datetime, ...] | None = None
    """When the last attempts began, twenty at most. None if it is not known."""

    @property
    def json(self) -> Json:
        """The data as the JSON value that was sent. Raise ValueError if it is not JSON."""
        return _read_json(self.data)


@dataclass(frozen=True, slots=True)
class Queued:
    """How many messages SQS counts in the output queue and in the delivery queue. None if SQS did not answer."""

    output: int | None
    delivery: int | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many schedules are due in each bucket. `note` says what the counts leave out."""

    buckets: tuple[tuple[datetime, int], ...]
    total: int
    note: str | None = None
    queued: Queued | None = None


@dataclass(frozen=True, slots=True)
class Cancellation:
    """One cancelled schedule."""

    id: str
    state: Literal["cancelled"] = "cancelled"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """How many schedules `cancel_where` found and cancelled.

    `unconfirmed` counts those that AWS did not confirm. A later page counts them again if they are still pending.
    """

    matched: int
    cancelled: int
    unconfirmed: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed or expired schedule. An unreadable one has no id, and a quarantined one has no `failed`."""

    id: str | None
    name: str | None
    due: datetime | None
    failed: datetime | None
    reason: Literal["failed", "expired", "unreadable", "quarantined"]
    error: str | None
    attempts: int | None
    target: str | dict[str, Json] | None


@dataclass(frozen=True, slots=True)
class Redriven:
    """How many failures were scheduled again, and how many cannot be."""

    redriven: int
    left: int


@dataclass(frozen=True, slots=True)
class FeedRun:
    """One run of the feed of a partition. The stack keeps it for 30 days."""

    partition: str
    begun: datetime
    ended: datetime
    moved: int
    """How many schedules the run sent to their queues."""
    left: int
    """How many schedules the run had to leave in the table. A later run tries them again."""
    error: str | None
    """Why the run left some, or why it failed."""


def _read_json(data: str | None) -> Json:
    value: Json = json.loads(data or "")
    return value
