"""One feed at a time per partition: two would send everything twice.

A lease is a conditional write that lasts as long as its feed may run. A second feed of the same tick ends (it is a
doubled invocation), so does one of an older tick, one of the next comes back by Lambda's retry, and a continuation
takes over the lease of the feed that invoked it, once. A crash leaves a lease that runs out before Lambda's retry, 60 s
later. The lease saves repeats, no promise hangs on it: where it cannot be written, the feed goes on without.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from scheduler.errors import NotConfirmed, PartitionBusy
from scheduler.patience import Patience, ask

TRIES_MAX = 3
"""Few: the time is for the feed."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who feeds which partition, and until when. `until_ms` tells ticks apart: it is when the next one comes."""

    partition: str
    until_ms: int
    holder: str
    ends_ms: int


class Table(Protocol):
    def take_lease(self, lease: Lease, now_ms: int, inherited: str | None) -> Lease | None: ...
    def end_lease(self, lease: Lease) -> None: ...


@dataclass(slots=True)
class Timed:
    """A table that takes leases, and how long its slowest call took."""

    table: Table
    clock: Callable[[], float]
    slowest_s: float = 0.0

    def take_lease(self, lease: Lease, now_ms: int, inherited: str | None) -> Lease | None:
        begun_s = self.clock()
        try:
            return self.table.take_lease(lease, now_ms, inherited)
        finally:
            self.slowest_s = max(self.slowest_s, self.clock() - begun_s)

    def end_lease(self, lease: Lease) -> None:
        self.table.end_lease(lease)


def take(lease: Lease, table: Table, patience: Patience, inherited: str | None) -> bool:
    """Whether this feed is to go on; PartitionBusy where it is to come back later."""
    short = replace(patience, tries_max=TRIES_MAX)
    try:
        standing = ask(lambda: table.take_lease(lease, patience.now_ms(), inherited), short)
    except NotConfirmed:
        return True
    if standing is None or standing.holder == lease.holder:  # Ours, if by a write that we had no answer to.
        return True
    if standing.until_ms >= lease.until_ms:
        return False
    raise PartitionBusy(f"partition {lease.partition} is held by the feed of the tick before")


def end(lease: Lease, table: Table) -> None:
    """Let go, so that Lambda's retry or the next tick need not wait. Without an answer it runs out by itself."""
    with suppress(NotConfirmed):
        table.end_lease(lease)
