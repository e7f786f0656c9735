"""The domain's dependencies in memory: a table, queues, and a clock that only the test moves."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from scheduler.accepting.keyed_batch import SchedulingDependencies
from scheduler.accepting.request import AcceptRules
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding.jobs import QuarantinedItem
from scheduler.feeding.lease import Lease
from scheduler.feeding.reader import Page
from scheduler.model.bundle import Bundle
from scheduler.model.failure_report import Report
from scheduler.model.feed_run import FeedRun
from scheduler.model.name_record import Record
from scheduler.model.schedule import Key, Schedule, Timer, sort_from
from scheduler.model.targets import goes_straight, queue_url
from scheduler.placing.keys import KeyGenerator
from scheduler.placing.partitions import PartitionCount

OUTPUT = "https://sqs.eu-central-1.amazonaws.com/123456789012/output"
DELIVERY = "https://sqs.eu-central-1.amazonaws.com/123456789012/delivery"
OTHER_ARN = "arn:aws:sqs:eu-central-1:123456789012:other"
OTHER = "https://sqs.eu-central-1.amazonaws.com/123456789012/other"

NOON_MS = 1_893_456_000_000
"""2030-01-01: the current time of these tests."""


class Clock:
    """A clock that moves when code sleeps, or when the test moves it."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> float:
        return self.now_ms / 1000

    def sleep(self, pause_s: float) -> None:
        self.now_ms += round(pause_s * 1000)

    def deadline(self, seconds: float = 14) -> Deadline:
        return Deadline(self, self.sleep, lambda: 0.5, self() + seconds)


def schedule(
    number: int,
    due_ms: int = NOON_MS,
    partition: str = "0",
    target: str | None = None,
    expires_after_ms: int | None = None,
) -> Schedule:
    """Return schedule `number`, with its own random part and data."""
    key = Key(partition, f"{sort_from(due_ms)}#{number:016x}")
    return Schedule(key, due_ms, f"data {number}", target, None, expires_after_ms)


@dataclass
class FakeTable:
    """A table with pages of at most `page_schedules_max`. `down` fails that many calls of each kind."""

    page_schedules_max: int = 1000
    pages: list[tuple[int, Page]] = field(default_factory=list)
    """The size of each requested page, and the page returned."""
    items: dict[Key, Schedule | Bundle | QuarantinedItem] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    partitions: int = 0
    quarantined: list[QuarantinedItem] = field(default_factory=list)
    near_rows: dict[Key, Any] = field(default_factory=dict)
    runs: list[FeedRun] = field(default_factory=list)
    kept: list[Report[Any]] = field(default_factory=list)
    """The failures that the table keeps."""
    undone: Callable[[Key], bool] = lambda key: False
    down: bool = False

    def put(self, things: Sequence[Schedule | Bundle]) -> BatchResult[Schedule | Bundle]:
        outcome: BatchResult[Schedule | Bundle] = BatchResult(last_error="throttled")
        for each in things:
            if self.down or self.undone(each.key):
                outcome.unconfirmed.append(each)
            else:
                self.items[each.key] = each
                outcome.confirmed.append(each)
        return outcome

    def delete(self, keys: Sequence[Key]) -> BatchResult[Key]:
        outcome: BatchResult[Key] = BatchResult(last_error="throttled")
        for key in keys:
            if self.down or self.undone(key):
                outcome.unconfirmed.append(key)
            else:
                self.items.pop(key, None)
                outcome.confirmed.append(key)
        return outcome

    def quarantine(self, things: Sequence[QuarantinedItem]) -> BatchResult[QuarantinedItem]:
        self.quarantined += things
        return BatchResult(confirmed=list(things))

    def put_run(self, run: FeedRun) -> None:
        if self.down:
            raise NotConfirmed("throttled")
        self.runs.append(run)

    def put_failed(self, reports: Sequence[Report[Any]]) -> BatchResult[Report[Any]]:
        if self.down:
            return BatchResult(unconfirmed=list(reports), last_error="throttled")
        self.kept += reports
        return BatchResult(confirmed=list(reports))

    def put_near_names(self, rows):
        if self.down or any(self.undone(row.key) for row in rows):
            return BatchResult(unconfirmed=list(rows), last_error="throttled")
        self.near_rows |= {row.key: row for row in rows}
        return BatchResult(confirmed=list(rows))

    def write_back(self, read: Bundle, kept: Bundle) -> BatchResult[Bundle]:
        if self.down or self.undone(read.key):
            return BatchResult(unconfirmed=[read], last_error="throttled")
        if self.items.get(read.key) == read:
            self.items[read.key] = kept
        return BatchResult(confirmed=[read])

    def remove_timer(self, timer: Timer) -> None:
        if self.down:
            raise NotConfirmed("throttled")
        self.items.pop(timer.key, None)

    def page(self, partition: str, from_sort: str, to_sort: str, items_max: int) -> Page:
        if self.down:
            raise NotConfirmed("throttled")
        keys = sorted(key for key in self.items if key.partition == partition and from_sort <= key.sort <= to_sort)
        found = [self.items[key] for key in keys[: min(items_max, self.page_schedules_max)]]
        more = len(keys) > len(found)
        page = Page(
            [each for each in found if isinstance(each, Schedule)],
            [each for each in found if isinstance(each, Bundle)],
            [each for each in found if isinstance(each, QuarantinedItem)],
            found[-1].key.sort + " " if more else None,
        )
        self.pages.append((items_max, page))
        return page

    def remember_partitions(self, counts: Sequence[int]) -> BatchResult[int]:
        if self.down:
            return BatchResult(unconfirmed=list(counts), last_error="throttled")
        self.partitions = max(self.partitions, *counts)
        return BatchResult(confirmed=list(counts))

    def recall_partitions(self) -> int:
        if self.down:
            raise NotConfirmed("throttled")
        return self.partitions

    def take_lease(self, lease: Lease, now_ms: int, inherited: str | None) -> Lease | None:
        if self.down:
            raise NotConfirmed("throttled")
        current = self.leases.get(lease.partition)
        if current and current.ends_ms > now_ms and current.holder != inherited:
            return current
        self.leases[lease.partition] = lease
        return None

    def end_lease(self, lease: Lease) -> None:
        current = self.leases.get(lease.partition)
        if current and current.holder == lease.holder:
            del self.leases[lease.partition]


@dataclass
class FakeQueues:
    """Queues that keep the messages as (queue, number of the schedule, delay)."""

    output_queue_url: str = OUTPUT
    sent: list[tuple[str, str, int]] = field(default_factory=list)
    reports: list[Report[Any]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    failing: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def url_of(self, schedule: Schedule) -> str:
        if schedule.name is not None or not goes_straight(schedule.target):
            return DELIVERY
        return queue_url(schedule.target, self.output_queue_url)

    def are_ours(self, url: str) -> bool:
        return url in (self.output_queue_url, DELIVERY)

    def batches(self, queue_url: str, schedules: Iterable[Schedule]) -> Iterator[list[Schedule]]:
        waiting = list(schedules)
        for start in range(0, len(waiting), 10):
            yield waiting[start : start + 10]

    def send(self, queue_url: str, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]:
        self.calls.append(queue_url)
        if queue_url in self.closed:
            return BatchResult(unavailable=[(each, "NonExistentQueue") for each in schedules])
        outcome: BatchResult[Schedule] = BatchResult()
        for each in schedules:
            if each.data in self.refused:
                outcome.rejected.append((each, "InvalidMessageContents"))
            elif self.failing.get(each.data, 0) > 0:
                self.failing[each.data] -= 1
                outcome.unconfirmed.append(each)
                outcome.last_error = "InternalError"
            else:
                self.sent.append((queue_url, each.data, each.delay_s(now_ms)))
                outcome.confirmed.append(each)
        return outcome

    def hand_over(self, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]:
        outcome = self.send(DELIVERY, schedules[:10], now_ms)
        outcome.not_attempted += schedules[10:]
        return outcome

    def report(self, reports: Sequence[Report[Any]]) -> BatchResult[Report[Any]]:
        self.reports += reports
        return BatchResult(confirmed=list(reports))

    def approximate_counts(self) -> dict[str, int | None]:
        waiting = [(url, delay_s) for url, _, delay_s in self.sent if delay_s]
        return {
            "output": sum(url == OUTPUT for url, _ in waiting),
            "delivery": sum(url == DELIVERY for url, _ in waiting),
        }

    @property
    def data(self) -> list[str]:
        return sorted(data for _, data, _ in self.sent)


class FakeRecords:
    """Records in memory, with the rules of the real ones."""

    def __init__(self) -> None:
        self.current: dict[str, Record] = {}

    def get(self, name: str) -> Record | None:
        return self.current.get(name)

    def put(self, new: Record, even_if_pending: bool = True) -> tuple[bool, Record | None]:
        old = self.current.get(new.name)
        in_the_way = old is not None and (
            old.request_number >= new.request_number or old.id == new.id or (old.pending and not even_if_pending)
        )
        if not in_the_way:
            self.current[new.name] = new
        return not in_the_way, old

    def batch(self, names: Sequence[str], whole: bool) -> tuple[dict[str, Record], list[str]]:
        return {name: self.current[name] for name in names if name in self.current}, []


def scheduling_dependencies(
    table: FakeTable, queues: FakeQueues, rules: AcceptRules = AcceptRules(), partition_count: int = 4
) -> SchedulingDependencies:
    key_generator = KeyGenerator(partition_count, random.Random(1), 60_000)
    return SchedulingDependencies(
        table, PartitionCount(table), queues, SerialPool(), rules, key_generator, 900_000, cache(FakeRecords)
    )
