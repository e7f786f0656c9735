"""Allow one feed at a time per partition. Two feeds would send every schedule twice.

A lease is a conditional write that lasts as long as its feed may run. While a feed holds the lease:
- a second feed of the same tick ends, because it is a duplicate invocation. A feed of an older tick ends too;
- a feed of the next tick raises `PartitionBusy`, and Lambda retries it;
- a feed that the holder itself invoked takes over the lease, once.

The lease of a partition also tells when a feed last finished the partition, if the stack has metrics. The trigger
reads it (`measuring.stale_partitions`).

A crash leaves a lease behind. It expires before Lambda's retry, 60 s later. The lease only avoids repeats, and no
guarantee depends on it: the feed goes on without a lease if it cannot write one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from scheduler.errors import NotConfirmed, PartitionBusy
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.value_class import value_class

LEASE_TRIES_MAX = 3
"""Few, because the feed needs the time."""


@value_class
class Lease:
    """The holder of a partition and the end of its lease.

    `until_ms` is the time of the next tick, and so identifies the tick.
    """

    partition: str
    until_ms: int
    holder: str
    ends_ms: int


class Table(Protocol):
    def take_lease(self, lease: Lease, now_ms: int, inherited: str | None) -> Lease | None: ...
    def end_lease(self, lease: Lease) -> None: ...
    def mark_fed(self, lease: Lease, fed_ms: int) -> None:
        """End the lease, and keep the time at which its partition was finished."""


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

    def mark_fed(self, lease: Lease, fed_ms: int) -> None:
        self.table.mark_fed(lease, fed_ms)


def take(lease: Lease, table: Table, deadline: Deadline, inherited: str | None) -> bool:
    """Return whether this feed may go on. Raise PartitionBusy if Lambda should retry it later."""
    short = replace(deadline, tries_max=LEASE_TRIES_MAX)
    try:
        current = retry_call(lambda: table.take_lease(lease, deadline.now_ms(), inherited), short)
    except NotConfirmed:
        return True
    if current is None or current.holder == lease.holder:  # An earlier write succeeded without an answer.
        return True
    if current.until_ms >= lease.until_ms:
        return False
    raise PartitionBusy(f"partition {lease.partition} is held by the feed of the tick before")


def end(lease: Lease, table: Table, fed_ms: int | None = None) -> None:
    """Release the lease, so that Lambda's retry or the next tick need not wait. It also expires by itself.

    `fed_ms` is the time at which the partition was finished, if the table is to keep it.
    """
    with suppress(NotConfirmed):
        if fed_ms is None:
            table.end_lease(lease)
        else:
            table.mark_fed(lease, fed_ms)
