"""Prove the checkers: put faults into a copy of the functions on purpose, and let the simulator find each of them.

A mutation replaces one piece of text with another. If the code no longer contains the text, `applied` raises `Stale`. A
fault that is not in the code would otherwise go unnoticed, so the mutation must be adapted to the new code.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from punctual.stack_files import stack_file
from punctual.testing import cloud
from simulator import campaign
from simulator.simulation import Result, simulate
from simulator.workload.sharing import FIRST_SEED, LEDGER_SEED

SEEDS_MAX = 200


@dataclass(frozen=True)
class Mutation:
    """A fault, and the promises of which it breaks at least one."""

    name: str
    file: str
    old: str
    new: str
    promises: tuple[int, ...]
    seed: int | None = 0
    """A seed that shows the fault. `hunt` runs it first, and other seeds only if it no longer shows the fault.

    None if a change of the scenarios has made the noted seed stale. `make soak` then hunts for another one.
    """
    first: int = 0
    """The first of the other seeds."""


class Stale(Exception):
    """The code does not contain the text of a mutation exactly once."""


MUTATIONS = (
    Mutation(
        "a page of a feed that is not counted",
        "scheduler/feeding/tally.py",
        "            self.ledger.count(self._once, self.day, released=expected)\n",
        "            pass\n",
        (8,),
        LEDGER_SEED,
        LEDGER_SEED,
    ),
    Mutation(
        "a delivery under a name that is counted after its record is closed",
        "scheduler/delivering/conclusion.py",
        "        dependencies.ledger.settle(deadline)\n        now_ms,",
        "        now_ms,",
        (8,),
        LEDGER_SEED + 12,
        LEDGER_SEED,
    ),
    Mutation(
        "an accepted schedule that is taken back for want of an answer",
        "scheduler/accepting/counted.py",
        "(isinstance(failure, NotConfirmed) and not failure.begun)",
        "isinstance(failure, NotConfirmed)",
        (8,),
        LEDGER_SEED + 13,
        LEDGER_SEED,
    ),
    Mutation(
        "a count that an earlier write of its row may replace",
        "scheduler/aws/applications/counts.py",
        'ConditionExpression="attribute_not_exists(#seq) OR #seq < :seq"',
        'ConditionExpression="attribute_not_exists(#seq) OR #seq <> :seq"',
        (8,),
        LEDGER_SEED + 28,
        LEDGER_SEED,
    ),
    Mutation(
        "a chain that goes back at once to what cannot be finished",
        "scheduler/feeding/feed.py",
        "            run.behind = _first(run.behind, task.page_sort)\n",
        "            reader.again(task.time_range, task.page_sort)\n",
        (7,),
        5,
    ),
    Mutation(
        "an expiry reported whenever its failure target cannot be notified",
        "scheduler/feeding/mover.py",
        "            send = partial(self._queues.send_to_delivery, now_ms=now_ms)\n",
        (
            "            reports = [failure_report.expired(each, now_ms) for each in with_failure_target]\n"
            "            retry_batch(self._queues.report, reports, self._short)\n"
            "            send = partial(self._queues.send_to_delivery, now_ms=now_ms)\n"
        ),
        (1,),
        5,
    ),
    Mutation(
        "an expiry in the feed that is reported and not kept",
        "scheduler/feeding/mover.py",
        'kept = self._kept(self._reported("failure queue", self._queues.report, alone, counts), counts)',
        'kept = [each.schedule for each in self._reported("failure queue", self._queues.report, alone, counts)]',
        (1,),
        82,
    ),
    Mutation(
        "a line of a run that counts deletes for sends",
        "scheduler/feeding/run.py",
        "ended_ms, counts.sent, left, error,",
        "ended_ms, counts.deleted, left, error,",
        (1,),
    ),
    Mutation(
        "a record that takes the due moment for that of its acceptance",
        "scheduler/aws/name_records.py",
        "record.changed_ms if record.accepted_ms is None else record.accepted_ms",
        "record.schedule.due_ms",
        (1,),
        1,
    ),
    Mutation(
        "an attempt noted for a delivery that was put off",
        "scheduler/delivering/delivery.py",
        "        postponed = self._admit()\n",
        (
            "        record = self._record = record and record.attempted(deadline.now_ms())\n"
            "        postponed = self._admit()\n"
        ),
        (1,),
        1,
    ),
    Mutation(
        "a continuation that forgets what was passed over",
        "scheduler/feeding/feed.py",
        "start=reader.position, behind=behind, turns=run.turns)",
        "start=reader.position, turns=run.turns)",
        (3,),
        41,
    ),
    Mutation(
        "delete before send",
        "scheduler/feeding/mover.py",
        "        return [schedule.key for schedule in self._release(job, counts)]\n",
        (
            "        self._table.delete([schedule.key for schedule in job.schedules])\n"
            "        return [schedule.key for schedule in self._release(job, counts)]\n"
        ),
        (1,),
    ),
    Mutation("ignore Failed", "scheduler/aws/queues.py", "        if index in done:\n", "        if True:\n", (1,), 66),
    Mutation(
        "ignore UnprocessedItems",
        "scheduler/aws/table.py",
        'for request in answer.get("UnprocessedItems", {}).get(self._name, [])}',
        "for request in []}",
        (1,),
        26,
    ),
    Mutation(
        "unpadded sort key",
        "scheduler/model/schedule.py",
        'return f"{due_ms:0{DUE_DIGITS}d}"',
        'return f"{due_ms}"',
        (1, 2, 3, 4),
    ),
    Mutation(
        "floor instead of ceil of the delay",
        "scheduler/model/schedule.py",
        "-((now_ms - self.due_ms) // 1000)",
        "(self.due_ms - now_ms) // 1000",
        (2,),
    ),
    Mutation(
        "no consistent read",
        "scheduler/aws/feed_table.py",
        "to_sort), Limit=items_max)",
        "to_sort), Limit=items_max, ConsistentRead=False)",
        (1, 3, 4),
        2,
    ),
    Mutation(
        "lost partition memory",
        "scheduler/aws/table.py",
        'count = int(item["count"]["N"]) if "count" in item else 0',
        "count = 0",
        (1, 4),
        196,
    ),
    Mutation(
        "lease ignored",
        "scheduler/feeding/lease.py",
        "    if current is None or current.holder == lease.holder:",
        "    if True:",
        (1,),
        106,
    ),
    Mutation(
        "lease kept for ever",
        "scheduler/feeding/feed.py",
        "    ends_ms = int((deadline.deadline_s + moving.FEED_RESERVE_S) * 1000)\n",
        "    ends_ms = 10**15\n",
        (1, 3, 4),
        119,
    ),
    Mutation(
        "overdue before on-time",
        "scheduler/feeding/reader.py",
        "                if time_range.ended:\n",
        "                if time_range.ended or (time_range is self._upcoming and not self._overdue.ended):\n",
        (3,),
        28,
    ),
    Mutation(
        "a stale delay sent again",
        "scheduler/placing/sending.py",
        "retry_batch(lambda left: _try(left, chunk.queue_url, queues, deadline.now_ms()), batch, deadline)",
        "retry_batch(lambda left, at=deadline.now_ms(): _try(left, chunk.queue_url, queues, at), batch, deadline)",
        (3,),
        21,
    ),
    Mutation(
        "swallow an error of a write",
        "scheduler/aws/table.py",
        "            return BatchResult(unconfirmed=list(things), not_attempted=not_attempted, last_error=str(failure))\n",
        "            return BatchResult(confirmed=list(things), not_attempted=not_attempted)\n",
        (1,),
        20,
    ),
    Mutation(
        "swallow an error of a send",
        "scheduler/aws/queues.py",
        "            return BatchResult(unconfirmed=list(things), last_error=str(failure))\n",
        "            return BatchResult(confirmed=list(things))\n",
        (1,),
    ),
    Mutation(
        "no retry of what is left",
        "scheduler/feeding/feed.py",
        "        elif run.counts.left or run.counts.held or run.applications_left:\n",
        "        elif False:\n",
        (3,),
    ),
    Mutation(
        "a chunk that is sent on when time is over",
        "scheduler/placing/sending.py",
        "elif stuck or (number and deadline.passed()):",
        "elif stuck:",
        (1,),
        41,
    ),
    Mutation(
        "a bundle sent in part that is no progress",
        "scheduler/feeding/feed.py",
        "(counts.deleted or counts.lightened)",
        "counts.deleted",
        (1, 3),
        131,
    ),
    Mutation(
        "a bundle that is sent on when time is over",
        "scheduler/feeding/mover.py",
        "            if not self._stops(bool(released), len(chunk.schedules), counts):\n",
        "            if True:\n",
        (1, 3, 4),
        44,
    ),
    Mutation(
        "a token whose repeats get other ids",
        "scheduler/placing/keys.py",
        "        if identity is None:\n            key = ",
        "        if True:\n            key = ",
        (1,),
        31,
    ),
    Mutation(
        "a partly sent bundle deleted whole",
        "scheduler/feeding/mover.py",
        "        return not kept and not broken\n",
        "        return True\n",
        (1,),
    ),
    Mutation(
        "a partly sent bundle left whole",
        "scheduler/feeding/mover.py",
        "        if (kept or broken) and len(kept) + len(broken) < contents.count:\n",
        "        if False:\n",
        (1,),
        44,
    ),
    Mutation(
        "a bundle written back without its condition",
        "scheduler/aws/feed_table.py",
        'ConditionExpression="#bundle = :read"',
        'ConditionExpression="attribute_not_exists(#bundle) OR #bundle <= :read OR #bundle > :read"',
        (1,),
        44,
    ),
    Mutation(
        "a bundle that spans longer than allowed",
        "scheduler/model/bundle.py",
        "SPAN_MS_MAX, (reach_ms - interval_ms) // 4",
        "10 * SPAN_MS_MAX, reach_ms",
        (3,),
        66,
    ),
    Mutation(
        "what is moved taken out before it is put elsewhere",
        "scheduler/managing/item_lock.py",
        ("    try:\n        place(new, dependencies, deadline)\n"),
        ("    remove(locked, owner, dependencies, deadline)\n    try:\n        place(new, dependencies, deadline)\n"),
        (1,),
        147,
    ),
    Mutation(
        "a spread that is drawn again for a repeat",
        "scheduler/placing/keys.py",
        "        if identity is None:\n            offset_ms = ",
        "        if True:\n            offset_ms = ",
        (1, 2),
        82,
    ),
    Mutation(
        "a spread of an input message that is drawn again",
        "scheduler/accepting/scheduling.py",
        "drawn(each, index, token)",
        "drawn(each, index)",
        (1, 2),
        82,
    ),
    Mutation(
        "a spread that ends too late",
        "scheduler/model/schedule.py",
        "% (spread_ms + 1)",
        "% (2 * spread_ms + 1)",
        (2,),
        1,
    ),
    Mutation(
        "a time zone that is not used",
        "scheduler/timestamps.py",
        "tzinfo=zone or UTC)",
        "tzinfo=UTC)",
        (2,),
        1,
    ),
    Mutation(
        "a change that loses the user",
        "scheduler/accepting/changes.py",
        " else old.user,",
        " else None,",
        (1,),
        32,
    ),
    Mutation(
        "a change that loses the time",
        "scheduler/accepting/changes.py",
        "        return old.due_ms, 0\n",
        "        return now_ms, 0\n",
        (1, 2),
        2,
    ),
    Mutation(
        "a change that loses the target",
        "scheduler/accepting/changes.py",
        "        return old.target\n",
        "        return None\n",
        (1,),
        32,
    ),
    Mutation(
        "a change whose old id comes out too",
        "scheduler/managing/changing.py",
        "        schedule = replace(changed, key=key)\n",
        "        schedule = replace(changed, key=key)\n"
        "        placement.place(replace(record.schedule, name=None), dependencies, deadline)\n",
        (1, 5, 6),
        6,
    ),
    Mutation(
        "what is moved left where it was",
        "scheduler/managing/item_lock.py",
        ("    remove(locked, owner, dependencies, deadline)\n    return new\n"),
        "    return new\n",
        (6,),
        147,
    ),
    Mutation(
        "a sweep that leaves out every other partition of names",
        "scheduler/managing/bulk_cancel.py",
        "(number + 1, first_sort(prefix))",
        "(number + 2, first_sort(prefix))",
        (6,),
        34,
    ),
    Mutation(
        "an envelope that is left off",
        "scheduler/model/payloads.py",
        "    return enveloped(schedule, application) if envelope(schedule.target) else schedule.data\n",
        "    return schedule.data\n",
        (1,),
        196,
    ),
    Mutation(
        "a delay in an input message that counts from its arrival",
        "scheduler/accepting/keyed_batch.py",
        "        return self.now_ms if self.sent_ms is None else self.sent_ms\n",
        "        return self.now_ms\n",
        (1, 2, 6),
        196,
    ),
    Mutation(
        "an input message whose tokens are new whenever it comes",
        "scheduler/accepting/from_queue/input_message.py",
        "        return ReceiveHistory(arrived.message_id, sent_ms, receives)\n",
        '        return ReceiveHistory(f"{arrived.message_id}{receives}", sent_ms, receives)\n',
        (1,),
        65,
    ),
    Mutation(
        "an input message deleted while a part of it waits",
        "scheduler/accepting/from_queue/receiving.py",
        "    return requeue or not (remaining or unnotified)\n",
        "    return True\n",
        (1, 5),
        1,
    ),
    Mutation(
        "a refusal of an input message that nobody is told",
        "scheduler/accepting/from_queue/receiving.py",
        "        unreported, unnotified = _report(message, refusals, reporter, share)\n",
        "        unreported, unnotified = [], []\n",
        (5,),
        1,
    ),
    Mutation(
        "a number of thousands of digits in the attribute of an input message that was put back",
        "scheduler/accepting/from_queue/input_message.py",
        " or not _is_number(tries, _TRIES_MAX):",
        " or type(tries) is not int:",
        (1,),
        1,
    ),
    Mutation(
        "a throttled queue of others that is tried again for each message",
        "scheduler/accepting/limited_queues.py",
        "        if self._tries[queue_url] >= FOREIGN_QUEUE_TRIES_MAX or took_s > SLOW_S:\n",
        "        if False:\n",
        (7,),
        75,
    ),
    Mutation(
        "a refusal reported again while its failure target is unreachable",
        "scheduler/accepting/from_queue/input_message.py",
        "        if unnotified:\n",
        "        if False:\n",
        (7,),
        1,
    ),
    Mutation(
        "a delay beside a token that an input message may have",
        "scheduler/accepting/scheduling.py",
        "context.counted_from_ms, rules, under_token, by_older_rules, before_zones)",
        "context.counted_from_ms, rules, under_token, context.sent_ms is not None, before_zones)",
        (1, 5),
        9,
    ),
    Mutation(
        "a timer set before its record",
        "scheduler/accepting/named_batch.py",
        "        self._register(each, read, is_first)\n",
        (
            "        put, asked_ms = self.__dict__.setdefault('early', self.put), self.context.counted_from_ms\n"
            "        put([naming.timer(self.keyed.schedules[index], request_number_at(asked_ms, index)) for index in each.indexes])\n"
            "        self.put = lambda timers: None\n"
            "        self._register(each, read, is_first)\n"
        ),
        (1, 3),
        64,
    ),
    Mutation(
        "the record read before the wait",
        "scheduler/delivering/delivery.py",
        ("        if wait_ms > 0:\n            deadline.sleep(wait_ms / 1000)\n"),
        (
            "        if job.schedule.name is not None:\n"
            "            records = self._dependencies.records\n"
            "            early = records.get(job.schedule.name)\n"
            "            class Early:\n"
            "                get = lambda self, name: early\n"
            "                __getattr__ = lambda self, word: getattr(records, word)\n"
            "            self._dependencies = replace(self._dependencies, records=Early())\n"
            "        if wait_ms > 0:\n"
            "            deadline.sleep(wait_ms / 1000)\n"
        ),
        (6,),
        9,
    ),
    Mutation(
        "an outcome written without its condition",
        "scheduler/aws/name_records.py",
        'ConditionExpression="#id = :id AND #state = :pending"',
        'ConditionExpression="(#id = :id OR #id <> :id) AND (#state = :pending OR #state <> :pending)"',
        (1, 6),
        20,
    ),
    Mutation(
        "a timer that finds another schedule and sets none for it",
        "scheduler/delivering/delivery.py",
        "            timers.send(naming.backup_timer(record, deadline.now_ms(), reach_ms), dependencies, deadline)\n",
        "",
        (1,),
        10,
    ),
    Mutation(
        "a second timer for every timer that finds another schedule",
        "scheduler/delivering/timers.py",
        '    covered = record.covered_by not in ("", message_id) and now_ms < record.schedule.due_ms + COVERED_MS\n',
        "    covered = False\n",
        (7,),
        3,
    ),
    Mutation(
        "a message that drops its timer for its own note",
        "scheduler/delivering/timers.py",
        '    covered = record.covered_by not in ("", message_id) and now_ms < record.schedule.due_ms + COVERED_MS\n',
        '    covered = record.covered_by != ""\n',
        (1,),
        312,
        200,
    ),
    Mutation(
        "an older request let through",
        "scheduler/aws/name_records.py",
        '"(attribute_not_exists(#asked) OR #asked < :asked)"',
        '"(attribute_not_exists(#asked) OR #asked < :asked OR #asked >= :asked)"',
        (6,),
        99,
    ),
    Mutation(
        "a ttl on a record written afresh",
        "scheduler/aws/name_records.py",
        '        **({"timed": {"N": str(record.timed)}} if record.timed else {}),\n',
        '        **({"timed": {"N": str(record.timed)}} if record.timed else {}),\n'
        '        "ttl": {"N": str(_ttl_s(record.changed_ms))},\n',
        (1,),
        147,
    ),
    Mutation(
        "a member of a bundle cancelled without the condition",
        "scheduler/aws/manage_table.py",
        'f"#bundle = :read AND attribute_exists(#sort) AND {_UNLOCKED}"',
        'f"(#bundle = :read OR #bundle <> :read) AND attribute_exists(#sort) AND {_UNLOCKED}"',
        (1, 6),
        21,
    ),
    Mutation(
        "content that the output queue refuses is sent again for ever",
        "scheduler/transports/sqs.py",
        "            if schedule.target is None and failure.error not in CONTENT_CODES:\n",
        "            if schedule.target is None:\n",
        (1, 4),
        151,
    ),
    Mutation(
        "members under one name that fail each for itself",
        "scheduler/accepting/named_batch.py",
        "        fail_together(groups, self.failures)\n",
        "",
        (1,),
        101,
    ),
    Mutation(
        "timers only after all records",
        "scheduler/accepting/named_batch.py",
        "        read: dict[str, Record] = {}\n        longest_s, stopped = 0.0, False\n",
        (
            "        all_slices = [Slice(0, indexes)]\n"
            "        globals().update(TIMERS_S=0, PROBED_NAMES_MIN=10_000)\n"
            "        read: dict[str, Record] = {}\n"
            "        longest_s, stopped = 0.0, False\n"
        ),
        (1,),
        49,
    ),
    Mutation(
        "a member that is kept, and late",
        "scheduler/accepting/named_batch.py",
        "-timer.request_number))[:1]",
        "-timer.request_number))[-1:]",
        (3,),
        147,
    ),
    Mutation(
        "a retry that is not sent",
        "scheduler/delivering/retry.py",
        "        self._take_up_again(woken_again(",
        "        return\n        self._take_up_again(woken_again(",
        (1,),
        92,
    ),
    Mutation(
        "a retry noted before it is sent",
        "scheduler/delivering/retry.py",
        "    conclusion.send(next_job, dependencies, deadline)\n    from scheduler",
        (
            "    wake_count, attempts, now_ms = next_job.wake_number - 1, next_job.attempt - 1, deadline.now_ms()\n"
            "    retry_call(lambda: dependencies.records.note(record, wake_count, attempts, error, now_ms, next_job.wake_ms), deadline)\n"
            "    conclusion.send(next_job, dependencies, deadline)\n"
            "    from scheduler"
        ),
        (1,),
        62,
    ),
    Mutation(
        "what is put off for a name not noted",
        "scheduler/delivering/delivery.py",
        "retry.take_up_again(job, next_job, record, error, dependencies, deadline)\n",
        "conclusion.send(next_job, dependencies, deadline)\n",
        (7,),
        102,
    ),
    Mutation(
        "a retry taken for sent",
        "scheduler/delivering/conclusion.py",
        '        raise NotConfirmed(f"a delivery job was not sent: {outcome.reason}")\n',
        "        return\n",
        (1,),
        58,
    ),
    Mutation(
        "a failure that is not reported",
        "scheduler/delivering/retry.py",
        "    conclusion.not_delivered(job, record, report, dependencies, deadline)\n",
        "    del report\n",
        (1,),
        92,
    ),
    Mutation(
        "a failure target that is never notified",
        "scheduler/delivering/conclusion.py",
        "    if DeliveryOptions.read(job.schedule.terms).failure_target is not None:\n",
        "    if False:\n",
        (1,),
        92,
    ),
    Mutation(
        "an outcome that cannot be written makes the delivery again",
        "scheduler/delivering/conclusion.py",
        (
            '            log.outcome("not concluded", id=self._job.id, step=step, error=reason(failure))\n'
            "            return False\n"
        ),
        "            raise\n",
        (7,),
        4,
    ),
    Mutation(
        "an outcome that cannot be written is forgotten",
        "scheduler/delivering/conclusion.py",
        "        send_next(job, next_job, self._dependencies, deadline)\n",
        "",
        (1,),
        96,
    ),
    Mutation(
        "a message that carries an outcome, and nothing is done for it",
        "scheduler/delivering/delivery.py",
        "            conclusion.resume(job, job.conclusion, self._dependencies, deadline)\n",
        "            pass\n",
        (1,),
        51,
    ),
    Mutation(
        "an age that counts from the due time of what is overdue",
        "scheduler/delivering/retry.py",
        "    return max(schedule.due_ms, job.begun_ms or 0) + ",
        "    return schedule.due_ms + ",
        (1,),
        81,
    ),
    Mutation(
        "attempts without end",
        "scheduler/delivering/retry.py",
        "job.attempt < DeliveryOptions.read(schedule.terms).attempts_max",
        "True",
        (7,),
        92,
    ),
    Mutation(
        "an attempt that is not counted",
        "scheduler/delivering/retry.py",
        "woken_again(job, self._record, attempt + 1, retry_ms)",
        "woken_again(job, self._record, attempt, retry_ms)",
        (1, 7),
        92,
    ),
    Mutation(
        "an attempt at any age",
        "scheduler/delivering/retry.py",
        "    return retry_ms <= last_ms(job)\n",
        "    return True\n",
        (7,),
        19,
    ),
    Mutation(
        "an expired one delivered",
        "scheduler/delivering/delivery.py",
        "        if schedule.expired(now_ms):\n",
        "        if False:\n",
        (3,),
        40,
    ),
    Mutation(
        "a permanent failure that is tried again",
        "scheduler/delivering/retry.py",
        "        if failure.permanent or not _in_time(job, retry_ms):\n",
        "        if not _in_time(job, retry_ms):\n",
        (7,),
        92,
    ),
    Mutation(
        "a passing failure given up",
        "scheduler/delivering/retry.py",
        "    return goes_straight(schedule.target) or job.attempt <",
        "    return goes_straight(schedule.target) or 1 >",
        (1,),
        92,
    ),
    Mutation(
        "the wait before the moment left out",
        "scheduler/delivering/delivery.py",
        "        if wait_ms > 0:\n            deadline.sleep(wait_ms / 1000)\n        if self._dependencies.next_messages",
        "        if self._dependencies.next_messages",
        (2,),
        196,
    ),
    Mutation(
        "a batch delivered one by one",
        "scheduler/delivering/delivery.py",
        "        done = dependencies.pool.run(lambda each: log.about(each.application, self._is_done, each), tracked)\n",
        "        done = [self._is_done(message) for message in tracked]\n",
        (3,),
        61,
    ),
    Mutation(
        "a received message deleted before it is delivered",
        "scheduler/delivering/delivery.py",
        ("            self._handle(message)\n            self._delete(message)\n"),
        ("            self._delete(message)\n            self._handle(message)\n"),
        (1,),
        40,
    ),
    Mutation(
        "a received message that failed deleted all the same",
        "scheduler/delivering/delivery.py",
        "            return False\n        finally:\n",
        ("            self._delete(message)\n            return False\n        finally:\n"),
        (1,),
        180,
    ),
    Mutation(
        "what is behind one that hangs left there",
        "scheduler/delivering/delivery.py",
        "        if stalled:\n",
        "        if False:\n",
        (3,),
        61,
    ),
    Mutation(
        "a near name accepted without the row that lists it",
        "scheduler/accepting/storing.py",
        "    if not names:\n        return []\n",
        "    if True:\n        return []\n",
        (1,),
        9,
    ),
    Mutation(
        "a far timer deleted before the row that lists it",
        "scheduler/feeding/mover.py",
        "        unlisted = near_names.write(map(near_names.entry_of, sent), self._table, self._short)\n",
        "        unlisted: set[str] = set()\n",
        (1,),
        79,
    ),
    Mutation(
        "a redrive that does not note the new id on the failure",
        "scheduler/managing/redrive.py",
        "        if old.name is not None or self._spread_ms or failure.again is not None:\n",
        "        if False:\n",
        (1,),
        79,
    ),
    Mutation(
        "targets that have not answered given every thread",
        "scheduler/delivering/circuit_breaker.py",
        "        if is_open and sum(map(len, unproven.values())) < self._places(receiver, unproven):\n",
        "        if is_open:\n",
        (3,),
        6,
    ),
    Mutation(
        "a count taken back though a write of the request had no answer",
        "scheduler/accepting/counted.py",
        "        if named is None or named.result == REPLACED or named.unconfirmed:\n",
        "        if named is None or named.result == REPLACED:\n",
        (8,),
        2_000_000_467,
        LEDGER_SEED,
    ),
    Mutation(
        "a target that timed out tried again late in an invocation",
        "scheduler/delivering/circuit_breaker.py",
        "        return receiver not in self._timeouts and len(lost) < LOST_MAX\n",
        "        return len(lost) < LOST_MAX\n",
        (3,),
        1_000_300,
    ),
    Mutation(
        "a feed that forgets an application",
        "scheduler/feeding/trigger.py",
        '    more = {"applications": applications} if applications else {}\n',
        '    more = {"applications": applications[1:]} if applications else {}\n',
        (1, 3, 4),
        FIRST_SEED,
        FIRST_SEED,
    ),
    Mutation(
        "a timer that loses its application",
        "scheduler/aws/queues.py",
        '        entry = {"MessageBody": delivery_job.body(job, self._application), "DelaySeconds": delay_s}\n',
        '        entry = {"MessageBody": delivery_job.body(job), "DelaySeconds": delay_s}\n',
        (1, 7),
        FIRST_SEED,
        FIRST_SEED,
    ),
    Mutation(
        "a delivery that looks for the name of an application among the owner's",
        "scheduler/delivering/delivery.py",
        "        dependencies = self._dependencies.of(job.application)\n",
        "        dependencies = self._dependencies\n",
        (1, 7),
        FIRST_SEED,
        FIRST_SEED,
    ),
    Mutation(
        "an application with much to do left to the next tick",
        "scheduler/feeding/glances.py",
        "                self.hand_over(application)\n",
        "                pass\n",
        (1, 3, 4),
        FIRST_SEED + 5,
        FIRST_SEED,
    ),
    Mutation(
        "an application whose items lie with the owner's",
        "scheduler/aws/isolation/hash_keys.py",
        '    return f"{first}#{application}" if first is not None',
        "    return first if first is not None",
        (1, 4, 7),
        FIRST_SEED,
        FIRST_SEED,
    ),
)


@contextmanager
def applied(mutation: Mutation, functions: Path | None = None) -> Iterator[Path]:
    """Yield the folder of a copy of the functions that contains the fault."""
    functions = functions or stack_file("functions")
    with tempfile.TemporaryDirectory(prefix="punctual-mutation-") as folder:
        copy = Path(folder) / "functions"
        shutil.copytree(functions, copy, ignore=shutil.ignore_patterns("__pycache__"))
        file = copy / mutation.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            raise Stale(f"{mutation.name}: {mutation.old!r} stands {text.count(mutation.old)} times in {mutation.file}")
        changed = text.replace(mutation.old, mutation.new)
        compile(changed, mutation.file, "exec")  # Code that cannot be imported breaks every promise, and shows nothing.
        file.write_text(changed, encoding="utf-8")
        yield copy


def hunt(mutation: Mutation, first: int | None = None, processes: int | None = None) -> Result | None:
    """Return the result of the first seed that shows the fault, or None if no seed does.

    The noted seed runs alone first, so that no time is spent on other seeds if it shows the fault.
    """
    first = mutation.first if first is None else first
    with applied(mutation) as folder:
        if mutation.seed is not None:
            result = simulate(mutation.seed, folder)
            cloud.forget(folder)
            if result.violation is not None:
                return result
        others = [seed for seed in range(first, first + SEEDS_MAX) if seed != mutation.seed][: SEEDS_MAX - 1]
        found = campaign.run(others, folder, processes, violations_max=1).broken
    return found[0] if found else None
