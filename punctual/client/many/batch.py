"""Gather requests into batches that fit an invocation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from punctual.client import request
from punctual.client.errors import InvalidSchedule
from punctual.client.values import Rejected, Scheduled, Unconfirmed

Outcome: TypeAlias = "Scheduled | Rejected | Unconfirmed"

SCHEDULES_MAX = 10_000
"""The most schedules that the schedule function accepts in a batch."""


@dataclass(slots=True)
class Member:
    """One request of a batch as JSON, and its place in the whole input."""

    index: int
    content: bytes
    name: str | None = None
    token: str | None = None


@dataclass(slots=True)
class Batch:
    """Requests that are sent together, under one token.

    The same batch gives the same bytes, so a repeat gives the same ids. `entries` are in the order of the input, and
    contain the requests that the client rejected itself.
    """

    token: str
    entries: list[Member | Rejected] = field(default_factory=list)
    size_bytes: int = 0

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def members(self) -> list[Member]:
        """The requests to send."""
        return [entry for entry in self.entries if isinstance(entry, Member)]

    def add(self, entry: Member | Rejected) -> None:
        self.entries.append(entry)
        if isinstance(entry, Member):
            self.size_bytes += len(entry.content) + 1

    def has_room_for(self, entry: Member | Rejected) -> bool:
        return (
            isinstance(entry, Rejected)
            or not self.size_bytes
            or self.size_bytes + len(entry.content) < request.BYTES_MAX
        )

    def names(self) -> frozenset[str]:
        return frozenset(member.name for member in self.members if member.name is not None)

    def unconfirmed(self, reason: str) -> list[Outcome]:
        """Return the outcomes if nothing is known of the batch."""
        return [
            Unconfirmed(entry.index, reason, entry.token or self.token) if isinstance(entry, Member) else entry
            for entry in self.entries
        ]

    def payload(self) -> bytes:
        head = b'{"token":"%s","schedules":[' % self.token.encode()
        return head + b",".join(member.content for member in self.members) + b"]}"


def gathered(
    requests: Iterable[object], batch_size: int, now: Callable[[], float], new_token: Callable[[], str]
) -> Iterator[Batch]:
    """Yield batches. An error of the input itself is raised after the batch of everything that was read before."""
    batch = Batch(new_token())
    source = enumerate(requests)
    failure: Exception | None = None
    while failure is None:
        try:
            found = read(*next(source), now)
        except StopIteration:
            break
        except Exception as error:  # noqa: BLE001 - Raised below, after the requests that the input gave before.
            failure = error
            break
        if not batch.has_room_for(found):
            yield batch
            batch = Batch(new_token())
        batch.add(found)
        if len(batch) >= batch_size:
            yield batch
            batch = Batch(new_token())
    if len(batch):
        yield batch
    if failure is not None:
        raise failure


def read(index: int, each: object, now: Callable[[], float]) -> Member | Rejected:
    """Return the request as JSON, or why the client rejects it. One bad request stops no other."""
    try:
        fields = request.schedule_fields(each, now())
        content = request.encoded(fields)
    except (InvalidSchedule, TypeError) as error:
        return Rejected(index, "InvalidSchedule", str(error))
    name, token = fields.get("name"), fields.get("token")
    return Member(index, content, name if isinstance(name, str) else None, token if isinstance(token, str) else None)
