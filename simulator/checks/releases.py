"""The checker that sees everything in a run and checks the guarantees of README.md at every step.

No schedule leaves early, or with a wrong delay or content (2, 3). No schedule is deleted before it was sent (1). A
refused request leaves nothing behind (5). `at_the_end` checks the guarantees that need the end of a run.
"""

from __future__ import annotations

import builtins
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from punctual.testing.calls import Call, Delivery, Watcher
from punctual.testing.services.environments import Event, Invocation
from punctual.testing.services.queues import Message
from punctual.testing.timeline import US, Timeline
from simulator.checks.decoding import (
    Lying,
    application_of,
    contents,
    id_of,
    is_near_row,
    is_record,
    is_timer,
    partition_of,
)
from simulator.checks.deliveries import OPERATIONS, Deliveries
from simulator.checks.feed_runs import FeedRuns, is_line
from simulator.checks.input_messages import InputMessages
from simulator.checks.ledger import LedgerCheck, is_count
from simulator.checks.names import Names, invocation_of
from simulator.event_log import FAULT_EVENTS, EventLog, tag_of
from simulator.faults.faults import SKEW_US_MAX, Faults
from simulator.workload.expected import ExpectedSchedule, Sent, due_of

LEASE_IN_DOUBT = "lease in doubt"
"""Two feeds ran at once, because one of them received no answer about its lease. A scenario makes this cause far more
frequent than it is in AWS.
"""

OWN_ERRORS = ("InvalidSchedule", "NotConfirmed", "PartitionBusy", "InvalidRequest", "NotFound", "OnItsWay")
"""The errors that a function may raise. Any other error is a fault of our own."""

FEEDS_MAX = 100
"""The limit of feeds of one partition in one tick. A feed with work takes about 14 s, and Lambda may try each feed
three times. A chain that continues without a pause and without work would reach thousands.
"""
REPORTS_MAX = 10
"""The limit of reports of one expiry to the failure queue. A call or invocation with an unknown outcome may repeat
each.
"""

EXPIRY_SLACK_MS = 30_000
"""A schedule that had not expired at the start of its chunk may still be sent until the end of the chunk."""


@dataclass(frozen=True)
class Violation:
    """A promise that was not kept."""

    promise: int
    tag: str
    what: str


class BrokenPromise(Exception):
    """Ends a run with the violation that the checkers found first."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(f"promise {violation.promise}, {violation.tag or 'nobody in particular'}: {violation.what}")
        self.violation = violation


@dataclass
class RunStats:
    """The statistics of a run, beside its pass or failure."""

    schedules: int = 0
    released: int = 0
    repeats: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    """The causes of the repeats."""
    lateness_s_max: float = 0.0
    lateness_excused_s_max: float = 0.0
    invocations: int = 0
    helped: int = 0
    """Messages that the deliver function received itself while deliveries hung."""
    calls: int = 0
    virtual_s: float = 0.0


FAULTS_LOGGED = ('"not confirmed"', '"not concluded"', '"not noted"')
"""Log outcomes whose error must come from AWS, and not from our own code."""


@dataclass(frozen=True, slots=True)
class FeedBegun:
    """A feed that the trigger started. `quiet`: no faults were to occur at that moment."""

    id: str
    at_us: int
    quiet: bool


@dataclass(eq=False)
class Checker(Watcher):
    event_log: EventLog
    expected_schedules: dict[str, ExpectedSchedule] = field(default_factory=dict)
    stats: RunStats = field(default_factory=RunStats)
    reach_ms: int = 900_000
    refused_by_sqs: set[str] = field(default_factory=set)
    """Payloads that the virtual SQS refuses against all documentation."""
    feeds_begun: dict[str, dict[str, FeedBegun]] = field(default_factory=dict)
    """The first feed, by partition and tick. Doubled invocations end at once."""
    feeds: Counter[tuple[str, float]] = field(default_factory=Counter)
    """The number of feeds that began, by partition and tick."""
    reports: Counter[str] = field(default_factory=Counter)
    """How often the failure queue received the expiry report of an id."""
    troubles: list[tuple[int, int]] = field(default_factory=list)
    """Spans in which a feed could not work: outages, and events that Lambda lost or dropped after its retries."""
    closed: list[tuple[int, str]] = field(default_factory=list)
    """When a queue outside the stack was closed or opened, in turns."""
    doubtful_leases: set[str] = field(default_factory=set)
    """Invocations that received no answer about their lease and continued without it."""
    lease_waits_us: Counter[str] = field(default_factory=Counter)
    """How long each of them waited for that answer."""
    partitions_changed: bool = False
    consumed_from: str = ""
    """The queue that the stack's consumer reads, or an empty string without a consumer."""
    consumed: set[str] = field(default_factory=set)
    delivery_queue: str = ""
    input_queue: str = ""
    input_topic: str = ""
    names: Names = field(init=False)
    deliveries: Deliveries = field(init=False)
    input_messages: InputMessages = field(init=False)
    runs: FeedRuns = field(init=False)
    timeline: Timeline = field(init=False)
    faults: Faults = field(init=False)
    _ids: dict[str, ExpectedSchedule] = field(default_factory=dict)
    _lay_in: dict[str, set[str]] = field(default_factory=dict)
    """The schedules that were ever seen in an item, by item id."""

    def __post_init__(self) -> None:
        self.names = Names(self.event_log, self.report_violation)
        self.deliveries = Deliveries(self.event_log, self.report_violation, self.names)
        self.input_messages = InputMessages(self)
        self.ledger = LedgerCheck(self.report_violation, self.names)
        self.runs = FeedRuns(self.report_violation)

    def attach(self, timeline: Timeline, faults: Faults) -> None:
        self.timeline, self.faults = timeline, faults
        self.names.attach(timeline, faults)
        self.deliveries.attach(timeline, faults)

    def report_violation(self, promise: int, tag: str, what: str) -> None:
        """Log a violation and end the run. `tag` names the schedule, or is empty if there is none."""
        self.event_log.add(self.timeline.now_us, "checker", f"PROMISE {promise} BROKEN: {what}", [tag] if tag else [])
        self.timeline.halt(BrokenPromise(Violation(promise, tag, what)))

    # ------------------------------------------------------------------------------------------------------- calls

    def called(self, call: Call) -> None:
        self.stats.calls += 1
        tags = self._confirm(call)
        # `deliveries` records the outcome of a delivery.
        delivers = call.operation in OPERATIONS and "DeliverFunction" in call.process.name
        if call.answer is None and not delivers and not (call.error is not None and _condition_failed(call.error)):
            hand = invocation_of(call)
            self.names.troubled |= {hand} if hand is not None else set()
        if call.error is None and call.answer is not None and not call.fault.spoilt:
            return
        if call.error is not None and _condition_failed(call.error):
            return
        outcome = "dies at" if call.error is None and call.answer is None else "has part of"
        if call.error is not None:
            outcome = f"has {_name(call.error)} from"
        done = "" if call.effect_us is None else ", though done" if outcome != "has part of" else ""
        self.event_log.add(self.timeline.now_us, call.process.name, f"{outcome} {call.operation}{done}", tags)

    def _confirm(self, call: Call) -> list[str]:
        """Record what the process knows about the call. Return the tags of the schedules in the call."""
        if call.operation in OPERATIONS:
            return self.deliveries.called(call)
        if call.operation == "send_message_batch":
            return self._confirm_sends(call)
        if call.operation == "batch_write_item":
            return self._confirm_writes(call)
        if call.operation == "send_message":
            return self._confirm_send(call)
        if call.operation == "put_item" and not is_line(call.parameters["Item"]):
            return self._confirm_write_back(call)
        if call.operation == "get_item" and is_record(call.parameters["Key"]):
            self.names.read(call)
        if call.operation == "receive_message" and call.parameters["QueueUrl"] == self.delivery_queue:
            self.stats.helped += self.names.fetched(call)
        if call.operation == "update_item" and call.error is not None and not _condition_failed(call.error):
            self.doubtful_leases.add(_invocation_id(call))
            self.lease_waits_us[_invocation_id(call)] += self.timeline.now_us - call.begun_us
        return []

    def _confirm_sends(self, call: Call) -> list[str]:
        numbers = {entry["Id"] for entry in (call.answer or {}).get("Successful", [])} if call.error is None else set()
        tags: list[str] = []
        self.runs.confirmed(call, numbers, call.parameters["QueueUrl"] == self.delivery_queue)
        if call.parameters["QueueUrl"] == self.delivery_queue:
            bodies = [entry["MessageBody"] for entry in call.parameters["Entries"] if entry["Id"] in numbers]
            self.names.confirm(call, bodies)
            hand = invocation_of(call)
            if hand is not None and len(bodies) < len(call.parameters["Entries"]):
                self.deliveries.unsent.add(hand)
            return tags
        for entry in call.parameters["Entries"]:
            expected = self.expected_schedules.get(tag_of(entry["MessageBody"]))
            if expected is None or "MessageAttributes" not in entry:
                continue
            tags.append(expected.tag)
            schedule_id = entry["MessageAttributes"]["id"]["StringValue"]
            for sent in expected.sends.get(schedule_id, []):
                if sent.call is call:
                    sent.confirmed = entry["Id"] in numbers
        return tags

    def _confirm_send(self, call: Call) -> list[str]:
        """Record the confirmation of a delivery, which is one message."""
        expected = self.expected_schedules.get(tag_of(call.parameters["MessageBody"]))
        # The message is a report or an input message.
        if expected is None or "id" not in call.parameters.get("MessageAttributes", {}):
            return []
        schedule_id = call.parameters["MessageAttributes"]["id"]["StringValue"]
        self.names.times.tried(schedule_id, call)
        for sent in expected.sends.get(schedule_id, []):
            if sent.call is call:
                sent.confirmed = call.error is None and call.answer is not None
        return [expected.tag]

    def _confirm_writes(self, call: Call) -> list[str]:
        """Record the deletes that the process knows to be done."""
        tags = []
        for writes in call.parameters["RequestItems"].values():
            for write in writes:
                if "PutRequest" in write:
                    tags += [lying.tag for lying in contents(write["PutRequest"]["Item"]).values()]
                    continue
                key = write["DeleteRequest"]["Key"]
                known = call.error is None and call.answer is not None and not _unprocessed(call, key)
                tags += self._confirm_gone(call, self._lay_in.get(id_of(key), set()), known)
        return tags

    def _confirm_write_back(self, call: Call) -> list[str]:
        """Record the members that a write of a bundle removed from it."""
        item = call.parameters["Item"]
        gone = self._lay_in.get(id_of(item), set()) - set(contents(item))
        return self._confirm_gone(call, gone, call.error is None and call.answer is not None)

    def _confirm_gone(self, call: Call, ids: Iterable[str], known: bool) -> list[str]:
        tags = []
        for schedule_id in sorted(ids):
            expected = self._ids[schedule_id]
            tags.append(expected.tag)
            expected.deleted.setdefault(schedule_id, []).append((self.timeline.now_us, invocation_of(call), known))
        return tags

    # ------------------------------------------------------------------------------------------------------ effects

    def wrote(self, call: Call, table: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        item = new or old or {}
        partition = partition_of(item)
        if is_line(item):
            self.runs.wrote(call, new, self.timeline.now_us)
            return
        if partition == "meta" or self._wrote_of_others(call, item, old, new):
            return
        before, after = contents(old), contents(new)
        for lying in {**before, **after}.values():
            if lying.tag not in self.expected_schedules:
                self.report_violation(5, lying.tag, f"an item that nobody asked for: {item}")
                return
        if partition == "quarantine":
            self._quarantined(call, item, self.expected_schedules[next(iter({**before, **after}.values())).tag])
            return
        for lying in after.values():
            if call.operation == "put_item" and lying.id not in before:
                self.report_violation(1, lying.tag, f"{lying.id} is written back, and had gone")
            self._stored(call, item, lying, self.expected_schedules[lying.tag])
        for lying in before.values():
            if lying.id not in after:
                self._removed(call, lying, self.expected_schedules[lying.tag])

    def _wrote_of_others(
        self, call: Call, item: dict[str, Any], old: dict[str, Any] | None, new: dict[str, Any] | None
    ) -> bool:
        """Handle an item that holds no schedule. Return whether it is one."""
        if is_count(item):
            self.ledger.wrote(new)
        elif is_record(item):
            self.names.wrote(call, old, new)
        elif is_timer(item):
            self.names.timer(call, old, new)
        elif is_near_row(item):
            # Listings check the index, see `Names.listed`.
            pass
        elif partition_of(item).startswith("failed#"):
            self.names.noted_failure(item, new is not None)
        else:
            return False
        return True

    def _stored(self, call: Call, item: dict[str, Any], lying: Lying, expected: ExpectedSchedule) -> None:
        if application_of(item) != expected.application:
            self.report_violation(7, expected.tag, f"{lying.id} lies with {application_of(item) or 'the owner'}")
        self._ids[lying.id] = expected
        self._lay_in.setdefault(id_of(item), set()).add(lying.id)
        self._placed(call, expected, lying.id)
        self._check_spread(expected, lying.id, lying.due_ms)
        expected.dues[lying.id] = lying.due_ms
        if call.operation != "batch_write_item":
            # The item was written back or held, so the schedule was there before.
            return
        expected.stored.setdefault(lying.id, []).append(self.timeline.now_us)
        if expected.asked > 1:
            # The caller has sent the request once more.
            expected.reported_withdrawn.discard(lying.id)
        self.event_log.add(self.timeline.now_us, call.process.name, f"stores {lying.id}", [expected.tag])
        if expected.fault:
            self.report_violation(
                5, expected.tag, f"a bad request left {lying.id} in the table: {str(expected.request)[:200]}"
            )

    def _placed(self, call: Call, expected: ExpectedSchedule, schedule_id: str) -> None:
        """Record a move, if the manage function wrote the schedule to the table or to a queue."""
        if "ManageFunction" in call.process.name and expected.name is None and schedule_id not in expected.accepted:
            expected.moved.add(schedule_id)

    def _check_spread(self, expected: ExpectedSchedule, schedule_id: str, due_ms: int) -> None:
        """Check that the drawn moment lies in the spread, and is the same wherever the schedule appears."""
        if not expected.spread_ms or schedule_id in expected.moved or schedule_id in self.names.moved_ids:
            return
        if not expected.may_be_due(due_ms) or expected.dues.setdefault(schedule_id, due_ms) != due_ms:
            self.report_violation(
                2, expected.tag, f"{schedule_id} is due at {due_ms}, outside its spread or drawn again"
            )

    def _removed(self, call: Call, lying: Lying, expected: ExpectedSchedule) -> None:
        self.event_log.add(self.timeline.now_us, call.process.name, f"deletes {lying.id}", [expected.tag])
        self.runs.acts(call, f"deletes {lying.id}")
        if lying.id in expected.withdrawing and "ManageFunction" in call.process.name:
            expected.withdrawn[lying.id] = self.timeline.now_us
            elsewhere = expected.moved & expected.somewhere()
            elsewhere |= {each.tag for each in expected.successors if each.somewhere()}
            if "cancel" not in expected.withdrawing[lying.id] and not elsewhere:
                self.report_violation(1, expected.tag, f"{lying.id} is taken away to be moved, and is nowhere else")
        elif not expected.settled(lying.id) and lying.id not in expected.on_its_way:
            self.report_violation(1, expected.tag, f"{lying.id} is deleted, and was not sent")
        elif lying.id in expected.expired and not {lying.id} & {
            *self.names.kept,
            *expected.sends,
            *expected.on_its_way,
        }:
            self.report_violation(1, expected.tag, f"{lying.id} is deleted as expired, and its failure is not kept")

    def _quarantined(self, call: Call, item: dict[str, Any], expected: ExpectedSchedule) -> None:
        """Check a quarantined schedule.

        A member of a bundle is in quarantine under its own due time, followed by the rest of its id.
        """
        own_id = f"{item['origin']['S']}-{item['sort']['S'].replace('#', '-')}"
        parts = own_id.split("-")
        known = [
            each for each in expected.stored if [each.split("-")[0], *each.split("-")[2:]] == [parts[0], *parts[2:]]
        ]
        schedule_id = known[0] if known else own_id
        expected.quarantined[schedule_id] = item["reason"]["S"]
        self.event_log.add(
            self.timeline.now_us, call.process.name, f"puts aside {schedule_id}: {item['reason']['S']}", [expected.tag]
        )
        if expected.tag not in self.refused_by_sqs:
            self.report_violation(1, expected.tag, f"{schedule_id} is put aside: {item['reason']['S']}")

    def sent(self, call: Call | None, queue: str, message: Message) -> None:
        if call is not None:
            self.runs.acts(call, f"sends a message to {queue}")
        if call is not None and queue == self.delivery_queue:
            self.names.sent(call, message)
            self.deliveries.sent(call, message)
            return
        if queue == self.input_queue:
            self.input_messages.posted(message)
            return
        if call is None or "id" not in message.attributes:
            self._reported(call, queue, message)
            return
        tag = tag_of(message.body)
        expected = self.expected_schedules.get(tag)
        schedule_id = message.attributes["id"]["StringValue"]
        if expected is None:
            self.report_violation(5, tag, f"a message that nobody asked for: {message.body[:60]!r}")
            return
        self._ids[schedule_id] = expected
        self._placed(call, expected, schedule_id)
        self._check_spread(expected, schedule_id, due_of(message))
        sent = Sent(self.timeline.now_us, message.visible_us, call, invocation_of(call))
        earlier = expected.sends.setdefault(schedule_id, [])
        earlier.append(sent)
        delay_s = (message.visible_us - message.sent_us) // US
        again = f", for the {len(earlier)}th time" if len(earlier) > 1 else ""
        self.event_log.add(
            self.timeline.now_us, call.process.name, f"sends {schedule_id} with {delay_s} s to go{again}", [tag]
        )
        if schedule_id in expected.reported_withdrawn:
            self.report_violation(6, tag, f"{schedule_id} comes out after a caller was told that it is cancelled")
        self._check_content(expected, queue, message)
        self._check_moment(expected, schedule_id, sent, due_of(message))
        if expected.name is not None:
            self.names.released(expected, schedule_id, sent, message)

    def received(self, call: Call, delivery: Delivery) -> None:
        if delivery.target != self.input_topic:
            self.deliveries.received(call, delivery)

    def _check_content(self, expected: ExpectedSchedule, queue: str, message: Message) -> None:
        if expected.fault:
            self.report_violation(5, expected.tag, "a bad request came out")
        schedule_id = message.attributes["id"]["StringValue"]
        self.deliveries.check_body(expected, schedule_id, message.body)
        if queue != expected.queue_url:
            self.report_violation(1, expected.tag, f"it is in {queue} instead of {expected.queue_url}")
        application = message.attributes.get("application", {}).get("StringValue", "")
        if application != expected.application:
            self.report_violation(
                7, expected.tag, f"the application is {application!r} instead of {expected.application!r}"
            )
        user = message.attributes.get("user", {}).get("StringValue")
        if user != expected.user:
            self.report_violation(1, expected.tag, f"the user is {user!r} instead of {expected.user!r}")
        wanted_ms = expected.due_of(schedule_id)
        if expected.fixed_ms is not None and expected.name is None and schedule_id not in expected.moved:
            wanted_ms = expected.fixed_ms
        if due_of(message) != wanted_ms:
            self.report_violation(
                2, expected.tag, f"it says that it is due at {due_of(message)} instead of {wanted_ms}"
            )

    def _check_moment(self, expected: ExpectedSchedule, schedule_id: str, sent: Sent, due_ms: int) -> None:
        """Check by the clock of the sender that the message is not early and has no needless delay.

        The delay must be as short as whole seconds allow.
        """
        skew_us = sent.call.process.skew_us
        due_us = due_ms * 1000
        if sent.visible_us + skew_us < due_us:
            early_s = (due_us - sent.visible_us - skew_us) / US
            self.report_violation(2, expected.tag, f"it comes out {early_s:.3f} s early")
        begun_us = sent.call.begun_us + skew_us
        way_us = sent.at_us - sent.call.begun_us
        over_us = sent.visible_us + skew_us - max(due_us, begun_us) - way_us
        # The clock of the functions has a resolution of milliseconds.
        if over_us > US + 1000:
            self.report_violation(
                3, expected.tag, f"its delay is {over_us / US:.3f} s too long at the time of the call"
            )
        expires_ms = expected.expires_of(schedule_id)
        if expires_ms is not None and begun_us // 1000 > expires_ms + EXPIRY_SLACK_MS:
            self.report_violation(3, expected.tag, "it comes out though it had expired")

    def _reported(self, call: Call | None, queue: str, message: Message) -> None:
        """Check a message to the failure queue, or to the destination of Lambda's own failure records."""
        content = json.loads(message.body)
        if content.get("reason") == "refused":
            self.input_messages.refused(call, queue, content)
            return
        if content.get("reason") not in ("expired", "failed"):
            return
        if self.deliveries.external_targets is not None and queue in self.deliveries.external_targets.failure_targets:
            self.deliveries.failure_reported(message.body)
            return
        schedule = content["schedule"]
        expected = self.expected_schedules.get(tag_of(schedule["data"]))
        if expected is None:
            return
        if content["reason"] == "failed":
            self._failed(expected, schedule["id"], content["error"])
            return
        expected.expired[schedule["id"]] = self.timeline.now_us
        self.reports[schedule["id"]] += 1
        if self.reports[schedule["id"]] > REPORTS_MAX:
            self.report_violation(
                1, expected.tag, f"its expiry is reported for the {self.reports[schedule['id']]}th time"
            )
        self.event_log.add(
            self.timeline.now_us, "failure queue", f"hears that {schedule['id']} expired", [expected.tag]
        )
        expires_ms = expected.expires_of(schedule["id"])
        if expires_ms is None or self.timeline.now_us // 1000 + SKEW_US_MAX // 1000 <= expires_ms:
            self.report_violation(1, expected.tag, "it was dropped as expired, and had not")

    def _failed(self, expected: ExpectedSchedule, schedule_id: str, error: str) -> None:
        """Check a failure. It is allowed only if the queue was closed for a while or SQS refuses the content."""
        expected.failed.setdefault(schedule_id, self.timeline.now_us)
        expected.failures[schedule_id] += 1
        self.event_log.add(
            self.timeline.now_us, "failure queue", f"hears that {schedule_id} failed: {error}", [expected.tag]
        )
        if expected.target is not None:
            self.deliveries.failed(expected, schedule_id, error)
            return
        was_closed = any(url == expected.queue_url for _, url in self.closed)
        if not was_closed and expected.tag not in self.refused_by_sqs:
            self.report_violation(1, expected.tag, f"{schedule_id} is given up: {error}")

    # ----------------------------------------------------------------------------------------------------- other events

    def logged(self, line: str) -> None:
        """Check a line that a function logged."""
        if any(outcome in line for outcome in FAULTS_LOGGED) and _is_a_fault(json.loads(line)["error"]):
            self.report_violation(1, "", f"a delivery raised {line}")
        self.ledger.logged(line)
        if '"consumed"' in line:
            self.consumed.add(json.loads(line)["id"])

    def fell(self, kind: str, **facts: Any) -> None:
        now_us = self.timeline.now_us
        if kind == "began":
            self.stats.invocations += 1
            invocation: Invocation = facts["invocation"]
            if invocation.environment.function.handler == "feed.handler":
                self._fed(json.loads(invocation.payload))
            if invocation.environment.function.handler == "feed.handler" and "TriggerFunction" in invocation.cause:
                partition = json.loads(invocation.payload)["partition"]
                begun = self.feeds_begun.setdefault(partition, {})
                begun.setdefault(invocation.payload, FeedBegun(invocation.id, now_us, self.faults.quiet))
            if invocation.environment.function.handler == "deliver.handler":
                self.names.began()
            elif invocation.cause == self.input_queue:
                self.input_messages.brought(invocation)
        elif kind == "expired":
            self.names.gone(facts["item"])
        elif kind == "ended":
            self._ended(facts["invocation"])
        elif kind in ("lost", "given up"):
            event: Event = facts["event"]
            self.troubles.append((event.accepted_us, now_us))
            self.event_log.add(now_us, "lambda", f"{kind}: {event.function} {event.payload[:100]}")
        elif kind == "tick":
            delays_s = ", ".join(f"{delay_s:.1f} s late" for delay_s in facts["delays_s"]) or "missed"
            self.event_log.add(now_us, FAULT_EVENTS, f"tick {delays_s}")

    def _fed(self, event: dict[str, Any]) -> None:
        tick = event["partition"], event["until"]
        self.feeds[tick] += 1
        # Without a lease, each doubled invocation has a chain of its own.
        if self.feeds[tick] > FEEDS_MAX * (1 + self.faults.doubled):
            self.report_violation(7, "", f"partition {tick[0]} is fed for the {self.feeds[tick]}th time in one tick")

    def _ended(self, invocation: Invocation) -> None:
        if invocation.environment.function.handler == "deliver.handler":
            self.names.ended()
            self.deliveries.ended(invocation)
        elif invocation.cause == self.input_queue:
            self.input_messages.ended(invocation)
        elif invocation.environment.function.handler == "feed.handler":
            self.runs.ended(invocation)
        if invocation.outcome == "returned":
            return
        if invocation.outcome == "crashed":
            self.names.crashes.append((invocation.begun_us, self.timeline.now_us))
        what = invocation.outcome
        if invocation.error is not None:
            what = f"raised {_name(invocation.error)}: {invocation.error}"
        self.event_log.add(self.timeline.now_us, invocation.environment.name, what[:200])
        if invocation.error is not None and type(invocation.error).__name__ not in OWN_ERRORS:
            self.report_violation(1, "", f"{invocation.id} raised {_name(invocation.error)}: {invocation.error}")
        if invocation.outcome == "timed out":
            self.faults.counted["function timed out"] += 1


def _invocation_id(call: Call) -> str:
    invocation = invocation_of(call)
    return invocation.id if invocation is not None else ""


def _unprocessed(call: Call, key: dict[str, Any]) -> bool:
    left = (call.answer or {}).get("UnprocessedItems", {})
    return any(write.get("DeleteRequest", {}).get("Key") == key for writes in left.values() for write in writes)


def _condition_failed(error: BaseException) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _is_a_fault(error: str) -> bool:
    """Return whether the error is a fault of our own code or a permanent error of AWS.

    Temporary errors of AWS have other names.
    """
    return error == "ClientError" or hasattr(builtins, error)


def _name(error: BaseException) -> str:
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return type(error).__name__
