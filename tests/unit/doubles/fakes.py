"""The domain's dependencies in memory: a table, queues, and a clock that only the test moves."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from scheduler.accepting.keyed_batch import SchedulingDependencies
from scheduler.accepting.request import AcceptRules
from scheduler.aws.name_records import partition_of
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding.jobs import Page, QuarantinedItem
from scheduler.feeding.lease import Lease
from scheduler.limits import DYNAMODB_BATCH_WRITES_MAX, SQS_BATCH_BYTES_MAX, SQS_BATCH_MESSAGES_MAX, SQS_DELAY_S_MAX
from scheduler.model import delivery_job, payloads
from scheduler.model.bundle import Bundle
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.failure_report import QUARANTINE, Report, failed_partitions
from scheduler.model.feed_run import FeedRun
from scheduler.model.name_record import AFTER_NAMES, CANCELLED, FIRST_NAME, Record, RecordPage, request_number_at
from scheduler.model.schedule import Key, Schedule, Timer, sort_from
from scheduler.model.targets import goes_straight, queue_url
from scheduler.placing.keys import KeyGenerator
from scheduler.placing.near_names import Row
from scheduler.placing.partitions import PartitionCount
from scheduler.timestamps import day_of

OUTPUT = "https://sqs.eu-central-1.amazonaws.com/123456789012/output"
DELIVERY = "https://sqs.eu-central-1.amazonaws.com/123456789012/delivery"
OTHER_ARN = "arn:aws:sqs:eu-central-1:123456789012:other"
OTHER = "https://sqs.eu-central-1.amazonaws.com/123456789012/other"

FAILURE = "https://sqs.eu-central-1.amazonaws.com/123456789012/failure"
THROTTLED = "ThrottlingException"

Thing = TypeVar("Thing")

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
    """A table with pages of at most `page_schedules_max`. While it is `down`, no call is confirmed.

    A key that is `undone` is not written, as if DynamoDB listed it as unprocessed.
    """

    page_schedules_max: int = 1000
    pages: list[tuple[int, Page]] = field(default_factory=list)
    """The size of each requested page, and the page returned."""
    items: dict[Key, Schedule | Bundle | QuarantinedItem] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    fed_ms: dict[str, int] = field(default_factory=dict)
    """When each partition was finished."""
    partitions: int = 0
    applications: set[str] = field(default_factory=set)
    near_rows: dict[Key, Row] = field(default_factory=dict)
    marks: dict[Key, dict[str, Any]] = field(default_factory=dict)
    """Notes of calls on an item, besides its content. A put or a delete removes them."""
    undone: Callable[[Key], bool] = lambda key: False
    down: bool = False

    def __post_init__(self) -> None:
        self.quarantined_items: dict[Key, QuarantinedItem] = {}
        self.run_lines: dict[Key, FeedRun] = {}
        self.kept_items: dict[Key, Report[Any]] = {}

    @property
    def quarantined(self) -> list[QuarantinedItem]:
        return list(self.quarantined_items.values())

    @property
    def runs(self) -> list[FeedRun]:
        return list(self.run_lines.values())

    @property
    def kept(self) -> list[Report[Any]]:
        """The failures that the table keeps."""
        return list(self.kept_items.values())

    def add(self, *things: Schedule | Bundle) -> None:
        """Store any number of schedules and bundles, whatever is undone or down."""
        self.items |= {each.key: each for each in things}

    def put(self, things: Sequence[Schedule | Bundle]) -> BatchResult[Schedule | Bundle]:
        return self._write(things, lambda thing: thing.key, self.items)

    def delete(self, keys: Sequence[Key]) -> BatchResult[Key]:
        deleted: dict[Key, Key] = {}
        outcome = self._write(keys, lambda key: key, deleted)
        for key in deleted:
            for held in (self.items, self.kept_items, self.quarantined_items):
                held.pop(key, None)
        return outcome

    def quarantine(self, things: Sequence[QuarantinedItem]) -> BatchResult[QuarantinedItem]:
        return self._write(things, _quarantine_key, self.quarantined_items)

    def put_run(self, run: FeedRun) -> None:
        self.answer()
        self.run_lines[run.key] = run

    def put_failed(self, reports: Sequence[Report[Any]]) -> BatchResult[Report[Any]]:
        return self._write(reports, _failure_key, self.kept_items)

    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]:
        return self._write(rows, lambda row: row.key, self.near_rows)

    def _write(
        self, things: Sequence[Thing], key_of: Callable[[Thing], Key], held: dict[Key, Any]
    ) -> BatchResult[Thing]:
        """Write one batch, and leave what does not fit into it."""
        batch, rest = list(things[:DYNAMODB_BATCH_WRITES_MAX]), list(things[DYNAMODB_BATCH_WRITES_MAX:])
        if self.down:
            return BatchResult(unconfirmed=batch, not_attempted=rest, last_error=THROTTLED)
        outcome: BatchResult[Thing] = BatchResult(not_attempted=rest)
        for each in batch:
            key = key_of(each)
            if self.undone(key):
                outcome.unconfirmed.append(each)
                outcome.last_error = "UnprocessedItems"
            else:
                held[key] = each
                self.marks.pop(key, None)
                outcome.confirmed.append(each)
        return outcome

    def answer(self) -> None:
        """Raise NotConfirmed while the table is down."""
        if self.down:
            raise NotConfirmed(THROTTLED)

    def write_back(self, read: Bundle, kept: Bundle) -> BatchResult[Bundle]:
        if self.down or self.undone(read.key):
            return BatchResult(unconfirmed=[read], last_error=THROTTLED)
        if self.items.get(read.key) == read:
            self.items[read.key] = kept
            self.marks.pop(read.key, None)
        return BatchResult(confirmed=[read])

    def remove_timer(self, timer: Timer) -> None:
        self.answer()
        current = self.items.get(timer.key)
        if isinstance(current, Timer) and current.request_number == timer.request_number:
            del self.items[timer.key]
            self.marks.pop(timer.key, None)

    def page(self, partition: str, from_sort: str, to_sort: str, items_max: int) -> Page:
        self.answer()
        keys = sorted(key for key in self.items if key.partition == partition and from_sort <= key.sort <= to_sort)
        found = [as_read(self.items[key]) for key in keys[: min(items_max, self.page_schedules_max)]]
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
        (count,) = counts
        if self.down:
            return BatchResult(unconfirmed=[count], last_error=THROTTLED)
        self.partitions = max(self.partitions, count)
        return BatchResult(confirmed=[count])

    def recall_partitions(self) -> int:
        return self.recall_fed()[0]

    def remember_applications(self, applications: Sequence[str]) -> BatchResult[str]:
        if self.down:
            return BatchResult(unconfirmed=list(applications), last_error=THROTTLED)
        self.applications.update(applications)
        return BatchResult(confirmed=sorted(self.applications))

    def recall_fed(self) -> tuple[int, list[str]]:
        self.answer()
        return self.partitions, sorted(self.applications)

    def take_lease(self, lease: Lease, now_ms: int, inherited: str | None) -> Lease | None:
        self.answer()
        current = self.leases.get(lease.partition)
        if current and current.ends_ms > now_ms and current.holder != inherited:
            return current
        self.leases[lease.partition] = lease
        return None

    def end_lease(self, lease: Lease) -> None:
        self.answer()
        current = self.leases.get(lease.partition)
        if current and current.holder == lease.holder:
            del self.leases[lease.partition]

    def mark_fed(self, lease: Lease, fed_ms: int) -> None:
        self.answer()
        current = self.leases.get(lease.partition)
        if current and current.holder == lease.holder:
            del self.leases[lease.partition]
            self.fed_ms[lease.partition] = fed_ms

    def fed_times(self) -> dict[str, int]:
        self.answer()
        return {partition: fed_ms for partition, fed_ms in self.fed_ms.items() if "#" not in partition}


def as_read(thing: Thing) -> Thing | Schedule:
    """Return what a reader gets, which it may change. A timer is read as a schedule without data."""
    if not isinstance(thing, Schedule):
        return thing
    if isinstance(thing, Timer):
        return Schedule(thing.key, thing.due_ms, thing.data, name=thing.name)
    return copy(thing)


def _quarantine_key(item: QuarantinedItem) -> Key:
    sort = item.content.own_sort if isinstance(item.content, Schedule) else item.key.sort
    return Key(QUARANTINE, f"{sort} {item.key.partition}" if isinstance(item.content, dict) else sort)


def _failure_key(report: Report[Any]) -> Key:
    content = report.schedule
    text = str(content).encode(errors="backslashreplace")
    mark = content.id if isinstance(content, Schedule) else hashlib.sha256(text).hexdigest()[:16]
    return Key(failed_partitions(day_of(report.at_ms), mark)[-1], f"{sort_from(report.at_ms)}#{mark}")


@dataclass
class FakeQueues:
    """Queues that keep the messages as (queue, number of the schedule, delay)."""

    output_queue_url: str = OUTPUT
    sent: list[tuple[str, str, int]] = field(default_factory=list)
    jobs: list[DeliveryJob] = field(default_factory=list)
    reports: list[Report[Any]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Data that SQS never accepts."""
    failing: dict[str, int] = field(default_factory=dict)
    """How often SQS fails for a message with this data."""
    closed: set[str] = field(default_factory=set)
    """Queues that are missing or deny access."""
    down: bool = False
    """No queue answers."""
    calls: list[str] = field(default_factory=list)

    def url_of(self, schedule: Schedule) -> str:
        if schedule.name is not None or not goes_straight(schedule.target):
            return DELIVERY
        return queue_url(schedule.target, self.output_queue_url)

    def is_stack_queue(self, url: str) -> bool:
        return url in (self.output_queue_url, DELIVERY)

    def batches(self, queue_url: str, schedules: Iterable[Schedule]) -> Iterator[list[Schedule]]:
        waiting = list(schedules)
        while waiting:
            count = _fitting(_message(queue_url, each) for each in waiting)
            yield waiting[:count]
            waiting = waiting[count:]

    def send(self, queue_url: str, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]:
        self.calls.append(queue_url)
        if self.down:
            return BatchResult(unconfirmed=list(schedules), last_error=THROTTLED)
        if queue_url in self.closed:
            return _unavailable(schedules)
        outcome: BatchResult[Schedule] = BatchResult()
        for each in schedules:
            if each.data in self.refused:
                outcome.rejected.append((each, "InvalidMessageContents"))
            elif _delay_s(queue_url, each, now_ms) > SQS_DELAY_S_MAX:
                outcome.rejected.append((each, "InvalidParameterValue"))
            elif self._fails(each):
                outcome.unconfirmed.append(each)
                outcome.last_error = "InternalError"
            else:
                self.sent.append((queue_url, each.data, _delay_s(queue_url, each, now_ms)))
                outcome.confirmed.append(each)
        return outcome

    def _fails(self, schedule: Schedule) -> bool:
        left = self.failing.get(schedule.data, 0)
        if left > 0:
            self.failing[schedule.data] = left - 1
        return left > 0

    def send_job(self, job: DeliveryJob, now_ms: int) -> BatchResult[DeliveryJob]:
        if self.down:
            return BatchResult(unconfirmed=[job], last_error=THROTTLED)
        if DELIVERY in self.closed:
            return _unavailable([job])
        if self._fails(job.schedule):
            return BatchResult(unconfirmed=[job], last_error="InternalError")
        self.jobs.append(job)
        return BatchResult(confirmed=[job])

    def send_to_delivery(self, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]:
        batch = next(self.batches(DELIVERY, schedules))
        outcome = self.send(DELIVERY, batch, now_ms)
        outcome.not_attempted += schedules[len(batch) :]
        return outcome

    def report(self, reports: Sequence[Report[Any]]) -> BatchResult[Report[Any]]:
        count = _fitting(report.body() for report in reports)
        batch = list(reports[:count])
        if self.down:
            outcome = BatchResult(unconfirmed=batch, last_error=THROTTLED)
        else:
            outcome = _unavailable(batch) if FAILURE in self.closed else BatchResult(confirmed=batch)
        self.reports += outcome.confirmed
        outcome.not_attempted += reports[count:]
        return outcome

    def approximate_counts(self) -> dict[str, int | None]:
        if self.down:
            raise NotConfirmed(THROTTLED)
        waiting = [(url, delay_s) for url, _, delay_s in self.sent if delay_s]
        return {
            "output": sum(url == OUTPUT for url, _ in waiting),
            "delivery": sum(url == DELIVERY for url, _, _ in self.sent) + len(self.jobs),
        }

    @property
    def data(self) -> list[str]:
        return sorted(data for _, data, _ in self.sent)


def _unavailable(things: Sequence[Thing]) -> BatchResult[Thing]:
    return BatchResult(unavailable=[(each, "NonExistentQueue") for each in things])


def _message(queue_url: str, schedule: Schedule) -> str:
    return delivery_job.body(DeliveryJob(schedule)) if queue_url == DELIVERY else payloads.body(schedule)


def _delay_s(queue_url: str, schedule: Schedule, now_ms: int) -> int:
    if queue_url == DELIVERY:
        return delivery_job.delay_s(DeliveryJob(schedule), now_ms, 0)
    return schedule.delay_s(now_ms)


def _fitting(bodies: Iterable[str]) -> int:
    """Return how many messages fit into one call of SQS. Each takes some bytes for its attributes, too."""
    batch_bytes = count = 0
    for body in islice(bodies, SQS_BATCH_MESSAGES_MAX):
        batch_bytes += len(body.encode()) + 4_096
        if count and batch_bytes > SQS_BATCH_BYTES_MAX:
            break
        count += 1
    return count


class FakeRecords:
    """Records in memory, with the rules of the real ones. No call is confirmed while they are `down`.

    A batch read answers for `batch_max` names and leaves the rest. A page holds `page_items`.
    """

    def __init__(self, batch_max: int = 100, page_items: int = 1_000, down: Callable[[], bool] = lambda: False) -> None:
        self.batch_max, self.page_items, self.down = batch_max, page_items, down
        self.current: dict[str, Record] = {}

    def add(self, schedule: Schedule, **fields: Any) -> None:
        """Store a record as it is, with any state."""
        self.current[schedule.name or ""] = Record(schedule, request_number_at(NOON_MS), NOON_MS, **fields)

    def get(self, name: str) -> Record | None:
        self._answer()
        return self.current.get(name)

    def put(self, new: Record, even_if_pending: bool = True) -> tuple[bool, Record | None]:
        self._answer()
        old = self.current.get(new.name)
        in_the_way = old is not None and (
            old.request_number >= new.request_number or old.id == new.id or (old.pending and not even_if_pending)
        )
        if not in_the_way:
            self._write(new)
        return not in_the_way, old

    def put_over(self, read: Record, new: Record) -> bool:
        self._answer()
        current = self.current.get(new.name)
        if current is None or _version(current) != _version(read):
            return current == new
        self._write(new)
        return True

    def close(self, read: Record, state: str, now_ms: int, attempts: int, error: str = "") -> bool:
        noted = self._changeable(read)
        # The count of wakes is stored by a note only, and is the number of attempts without one.
        wake_count = attempts if noted is None or noted.retry_ms is None else noted.wake_count
        changes = {"changed_ms": now_ms, "attempts": attempts, "error": error, "wake_count": wake_count}
        return self._change(read, state=state, **changes, **_attempted(read))

    def cancel(self, read: Record, request_number: int, now_ms: int) -> bool:
        return self._change(read, state=CANCELLED, changed_ms=now_ms, request_number=request_number)

    def note(self, read: Record, wake_count: int, attempts: int, error: str, now_ms: int, retry_ms: int) -> bool:
        changes = {"wake_count": wake_count, "attempts": attempts, "error": error, "retry_ms": retry_ms}
        return self._change(read, changed_ms=now_ms, **changes, **_attempted(read))

    def cover(self, read: Record, message_id: str) -> bool:
        current = self._changeable(read)
        free = current is not None and current.covered_by in ("", message_id)
        return free and self._change(read, covered_by=message_id)

    def claim(self, read: Record, message_id: str, now_ms: int, until_ms: int) -> bool:
        current = self._changeable(read)
        if current is None or current.retry_ms is not None:
            return False
        free = current.claimed_by in ("", message_id) or current.claimed_until_ms <= now_ms
        return free and self._change(read, claimed_by=message_id, claimed_until_ms=until_ms)

    def batch(self, names: Sequence[str], whole: bool) -> tuple[dict[str, Record], list[str]]:
        self._answer()
        assert len(set(names)) == len(names)
        done, left = names[: self.batch_max], names[self.batch_max :]
        found = {name: self.current[name] for name in done if name in self.current}
        return found if whole else {name: _without_data(record) for name, record in found.items()}, list(left)

    def page(self, partition: str, from_sort: str, prefix: str, from_ms: int, to_ms: int) -> RecordPage:
        self._answer()
        there = sorted(name for name in self.current if partition_of(name) == partition)
        names = [name for name in there if from_sort <= name <= prefix + AFTER_NAMES]
        read = [self.current[name] for name in names[: self.page_items]]
        found = [_without_data(each) for each in read if each.pending and from_ms <= each.schedule.due_ms < to_ms]
        return RecordPage(found, len(read), read[-1].name + FIRST_NAME if len(names) > len(read) else None)

    def _answer(self) -> None:
        if self.down():
            raise NotConfirmed(THROTTLED)

    def _write(self, new: Record) -> None:
        """Store what the table stores of a new record. Nothing has become of its schedule yet."""
        accepted_ms = new.changed_ms if new.accepted_ms is None else new.accepted_ms
        self.current[new.name] = Record(
            new.schedule,
            new.request_number,
            new.changed_ms,
            new.state,
            new.attempts,
            wake_count=new.attempts,
            timed=new.timed,
            accepted_ms=accepted_ms,
        )

    def _changeable(self, read: Record) -> Record | None:
        """Return the record if that schedule is still pending under the name."""
        self._answer()
        current = self.current.get(read.name)
        return current if current is not None and current.pending and current.id == read.id else None

    def _change(self, read: Record, **changes: Any) -> bool:
        current = self._changeable(read)
        if current is not None:
            self.current[read.name] = replace(current, **changes)
        return current is not None


def _version(record: Record) -> tuple[int, str, int]:
    return record.request_number, record.state, record.attempts


def _attempted(read: Record) -> dict[str, Any]:
    """Return the change of the times of all attempts. A record read without them leaves those that are there."""
    return {"attempted_ms": read.attempted_ms} if read.attempted_ms else {}


def _without_data(record: Record) -> Record:
    """Return the record as a read without data has it."""
    held = record.schedule
    bare = Schedule(held.key, held.due_ms, "", name=held.name)
    return Record(
        bare,
        record.request_number,
        record.changed_ms,
        record.state,
        record.attempts,
        wake_count=record.attempts,
        retry_ms=record.retry_ms,
        timed=record.timed,
    )


def scheduling_dependencies(
    table: FakeTable, queues: FakeQueues, rules: AcceptRules = AcceptRules(), partition_count: int = 4
) -> SchedulingDependencies:
    key_generator = KeyGenerator(partition_count, random.Random(1), 60_000)
    return SchedulingDependencies(
        table, PartitionCount(table), queues, SerialPool(), rules, key_generator, 900_000, cache(FakeRecords)
    )
