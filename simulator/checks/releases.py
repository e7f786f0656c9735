"""Sees everything that happens in a run, and checks the guarantees of README.md.

At every step: nothing leaves early or with a wrong delay or content (2, 3), nothing is deleted that was not sent
(1), a refused request leaves nothing behind (5). What can only be said at the end is for `reckoning`.
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
from punctual.testing.functions import Event, Invocation
from punctual.testing.sqs import Message
from punctual.testing.timeline import US, Timeline
from simulator.checks.decoding import Lying, contents, id_of, is_near_row, is_record, is_timer
from simulator.checks.deliveries import OPERATIONS, Deliveries
from simulator.checks.input_messages import Letters
from simulator.checks.names import Names, invocation_of
from simulator.event_log import EventLog, tag_of
from simulator.faults.faults import SKEW_US_MAX, Faults
from simulator.workload.expected import ExpectedSchedule, Sent, due_of

LEASE_IN_DOUBT = "lease in doubt"
"""Two feeds at once, of which one could not ask: a scene makes this cause far more frequent than it is."""

OWN_ERRORS = ("InvalidSchedule", "NotConfirmed", "PartitionBusy", "InvalidRequest", "NotFound", "OnItsWay")
"""What a function may raise. Anything else is a fault of ours."""

FEEDS_MAX = 100
"""Of one partition in one tick. A feed that has work takes about 14 s, and every one of them may be tried three times;
a chain that goes on without a pause and without anything to do comes to thousands."""
REPORTS_MAX = 10
"""Of one expiry, to the failure queue. Each may be repeated by a call or an invocation whose outcome is not known."""

EXPIRY_SLACK_MS = 30_000
"""What had not expired when its parcel was begun may go out until the parcel's end."""


@dataclass(frozen=True)
class Breach:
    """A promise that was not kept."""

    promise: int
    tag: str
    what: str


class Violation(Exception):
    """Ends a run."""

    def __init__(self, breach: Breach) -> None:
        super().__init__(f"promise {breach.promise}, {breach.tag or 'nobody in particular'}: {breach.what}")
        self.breach = breach


@dataclass
class Figures:
    """What a run has to tell beside whether it held."""

    schedules: int = 0
    released: int = 0
    repeats: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    """Of the repeats: what lay between one send and the next."""
    lateness_s_max: float = 0.0
    lateness_excused_s_max: float = 0.0
    invocations: int = 0
    helped: int = 0
    """Messages that the deliver function received itself, past what hangs."""
    calls: int = 0
    virtual_s: float = 0.0


FAULTS_LOGGED = ('"not confirmed"', '"not concluded"', '"not noted"')


@dataclass(eq=False)
class Checker(Watcher):
    event_log: EventLog
    expected_schedules: dict[str, ExpectedSchedule] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    reach_ms: int = 900_000
    refused_by_sqs: set[str] = field(default_factory=set)
    """Payloads that the virtual SQS finds unacceptable against all documentation."""
    feeds_begun: dict[str, dict[str, tuple[int, bool]]] = field(default_factory=dict)
    """By partition and tick: when the first feed began, and whether nothing was to go wrong. Doubles end at once."""
    feeds: Counter[tuple[str, float]] = field(default_factory=Counter)
    """How many began, by partition and tick."""
    reports: Counter[str] = field(default_factory=Counter)
    """How often the failure queue was told that a schedule has expired, by its id."""
    troubles: list[tuple[int, int]] = field(default_factory=list)
    """Spans in which a feed could not do its work: outages, events that Lambda lost or gave up."""
    closed: list[tuple[int, str]] = field(default_factory=list)
    """When which queue of others was closed or opened, in turns."""
    doubtful_leases: set[str] = field(default_factory=set)
    """Invocations that had no answer about their lease, and went on without."""
    partitions_changed: bool = False
    consumed_from: str = ""
    """The queue that the stack's consumer reads, where it is there."""
    consumed: set[str] = field(default_factory=set)
    delivery_queue: str = ""
    input_queue: str = ""
    input_topic: str = ""
    names: Names = field(init=False)
    deliveries: Deliveries = field(init=False)
    letters: Letters = field(init=False)
    timeline: Timeline = field(init=False)
    storm: Faults = field(init=False)
    _ids: dict[str, ExpectedSchedule] = field(default_factory=dict)
    _lay_in: dict[str, set[str]] = field(default_factory=dict)
    """Which schedules were ever seen in an item."""

    def __post_init__(self) -> None:
        self.names = Names(self.event_log, self.breach)
        self.deliveries = Deliveries(self.event_log, self.breach, self.names)
        self.letters = Letters(self)

    def attach(self, timeline: Timeline, storm: Faults) -> None:
        self.timeline, self.storm = timeline, storm
        self.names.attach(timeline, storm)
        self.deliveries.attach(timeline, storm)

    def breach(self, promise: int, tag: str, what: str) -> None:
        self.event_log.add(self.timeline.now_us, "witness", f"PROMISE {promise} BROKEN: {what}", [tag] if tag else [])
        self.timeline.halt(Violation(Breach(promise, tag, what)))

    # ------------------------------------------------------------------------------------------------------- calls

    def called(self, call: Call) -> None:
        self.figures.calls += 1
        tags = self._confirm(call)
        delivers = call.operation in OPERATIONS and "DeliverFunction" in call.process.name  # Its own outcome is known.
        if call.answer is None and not delivers and not (call.error is not None and _condition_failed(call.error)):
            hand = invocation_of(call)
            self.names.troubled |= {hand} if hand is not None else set()
        if call.error is None and call.answer is not None and not call.fate.spoilt:
            return
        if call.error is not None and _condition_failed(call.error):
            return
        told = "dies at" if call.error is None and call.answer is None else "has part of"
        if call.error is not None:
            told = f"has {_name(call.error)} from"
        done = "" if call.effect_us is None else ", though done" if told != "has part of" else ""
        self.event_log.add(self.timeline.now_us, call.process.name, f"{told} {call.operation}{done}", tags)

    def _confirm(self, call: Call) -> list[str]:
        """Note what its process knows of the call; the tags that it was about."""
        if call.operation in OPERATIONS:
            return self.deliveries.called(call)
        if call.operation == "send_message_batch":
            return self._confirm_sends(call)
        if call.operation == "batch_write_item":
            return self._confirm_writes(call)
        if call.operation == "send_message":
            return self._confirm_send(call)
        if call.operation == "put_item":
            return self._confirm_write_back(call)
        if call.operation == "get_item" and is_record(call.parameters["Key"]):
            self.names.read(call)
        if call.operation == "receive_message" and call.parameters["QueueUrl"] == self.delivery_queue:
            self.figures.helped += self.names.fetched(call)
        if call.operation == "update_item" and call.error is not None and not _condition_failed(call.error):
            self.doubtful_leases.add(_invocation_id(call))
        return []

    def _confirm_sends(self, call: Call) -> list[str]:
        numbers = {entry["Id"] for entry in (call.answer or {}).get("Successful", [])} if call.error is None else set()
        tags: list[str] = []
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
        """A delivery, which is one message."""
        expected = self.expected_schedules.get(tag_of(call.parameters["MessageBody"]))
        if expected is None or "id" not in call.parameters.get("MessageAttributes", {}):  # A report, or a letter.
            return []
        for sent in expected.sends.get(call.parameters["MessageAttributes"]["id"]["StringValue"], []):
            if sent.call is call:
                sent.confirmed = call.error is None and call.answer is not None
        return [expected.tag]

    def _confirm_writes(self, call: Call) -> list[str]:
        """Deletes: which of them the process knows to be done."""
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
        """Of a bundle: what is not in it any longer was taken out."""
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
        partition = item["partition"]["S"]
        if partition == "meta" or self._wrote_of_names(call, item, old, new):
            return
        before, after = contents(old), contents(new)
        for lying in {**before, **after}.values():
            if lying.tag not in self.expected_schedules:
                self.breach(5, lying.tag, f"an item that nobody asked for: {item}")
                return
        if partition == "quarantine":
            self._quarantined(call, item, self.expected_schedules[next(iter({**before, **after}.values())).tag])
            return
        for lying in after.values():
            if call.operation == "put_item" and lying.id not in before:
                self.breach(1, lying.tag, f"{lying.id} is written back, and had gone")
            self._stored(call, item, lying, self.expected_schedules[lying.tag])
        for lying in before.values():
            if lying.id not in after:
                self._removed(call, lying, self.expected_schedules[lying.tag])

    def _wrote_of_names(
        self, call: Call, item: dict[str, Any], old: dict[str, Any] | None, new: dict[str, Any] | None
    ) -> bool:
        if is_record(item):
            self.names.wrote(call, old, new)
        elif is_timer(item):
            self.names.timer(call, old, new)
        elif is_near_row(item):
            pass  # Whether all are listed is checked where somebody lists them.
        elif item["partition"]["S"].startswith("failed#"):
            self.names.noted_failure(item)
        else:
            return False
        return True

    def _stored(self, call: Call, item: dict[str, Any], lying: Lying, expected: ExpectedSchedule) -> None:
        self._ids[lying.id] = expected
        self._lay_in.setdefault(id_of(item), set()).add(lying.id)
        expected.dues[lying.id] = lying.due_ms
        self._placed(call, expected, lying.id)
        if call.operation != "batch_write_item":
            return  # Written back, or held: it lay there before.
        expected.stored.setdefault(lying.id, []).append(self.timeline.now_us)
        if expected.asked > 1:
            expected.heard_withdrawn.discard(lying.id)  # Its caller has asked for it once more.
        self.event_log.add(self.timeline.now_us, call.process.name, f"stores {lying.id}", [expected.tag])
        if expected.fault:
            self.breach(5, expected.tag, f"a bad request left {lying.id} in the table: {str(expected.request)[:200]}")

    def _placed(self, call: Call, expected: ExpectedSchedule, schedule_id: str) -> None:
        """In the table or in a queue, by whoever wrote it."""
        if "ManageFunction" in call.process.name and expected.name is None and schedule_id not in expected.accepted:
            expected.moved.add(schedule_id)

    def _removed(self, call: Call, lying: Lying, expected: ExpectedSchedule) -> None:
        self.event_log.add(self.timeline.now_us, call.process.name, f"deletes {lying.id}", [expected.tag])
        if lying.id in expected.withdrawing and "ManageFunction" in call.process.name:
            expected.withdrawn[lying.id] = self.timeline.now_us
            if "cancel" not in expected.withdrawing[lying.id] and not expected.moved & expected.somewhere():
                self.breach(1, expected.tag, f"{lying.id} is taken away to be moved, and is nowhere else")
        elif not expected.settled(lying.id) and lying.id not in expected.on_its_way:
            self.breach(1, expected.tag, f"{lying.id} is deleted, and was not sent")

    def _quarantined(self, call: Call, item: dict[str, Any], expected: ExpectedSchedule) -> None:
        """A member of a bundle lies there under its own moment, with the rest of its id behind it."""
        own_id = f"{item['origin']['S']}-{item['sort']['S'].replace('#', '-')}"
        parts = own_id.split("-")
        known = [
            each for each in expected.stored if [each.split("-")[0], *each.split("-")[2:]] == [parts[0], *parts[2:]]
        ]
        schedule_id = known[0] if known else own_id
        expected.aside[schedule_id] = item["reason"]["S"]
        self.event_log.add(
            self.timeline.now_us, call.process.name, f"puts aside {schedule_id}: {item['reason']['S']}", [expected.tag]
        )
        if expected.tag not in self.refused_by_sqs:
            self.breach(1, expected.tag, f"{schedule_id} is put aside: {item['reason']['S']}")

    def sent(self, call: Call | None, queue: str, message: Message) -> None:
        if call is not None and queue == self.delivery_queue:
            self.names.sent(call, message)
            self.deliveries.sent(call, message)
            return
        if queue == self.input_queue:
            self.letters.posted(message)
            return
        if call is None or "id" not in message.attributes:
            self._reported(queue, message)
            return
        tag = tag_of(message.body)
        expected = self.expected_schedules.get(tag)
        schedule_id = message.attributes["id"]["StringValue"]
        if expected is None:
            self.breach(5, tag, f"a message that nobody asked for: {message.body[:60]!r}")
            return
        self._ids[schedule_id] = expected
        self._placed(call, expected, schedule_id)
        sent = Sent(self.timeline.now_us, message.visible_us, call, invocation_of(call))
        earlier = expected.sends.setdefault(schedule_id, [])
        earlier.append(sent)
        delay_s = (message.visible_us - message.sent_us) // US
        again = f", for the {len(earlier)}th time" if len(earlier) > 1 else ""
        self.event_log.add(
            self.timeline.now_us, call.process.name, f"sends {schedule_id} with {delay_s} s to go{again}", [tag]
        )
        if schedule_id in expected.heard_withdrawn:
            self.breach(6, tag, f"{schedule_id} comes out after a caller heard that it is cancelled")
        self._check_content(expected, queue, message)
        self._check_moment(expected, schedule_id, sent, due_of(message))
        if expected.name is not None:
            self.names.released(expected, schedule_id, sent, message)

    def received(self, call: Call, delivery: Delivery) -> None:
        if delivery.target != self.input_topic:
            self.deliveries.received(call, delivery)

    def _check_content(self, expected: ExpectedSchedule, queue: str, message: Message) -> None:
        if expected.fault:
            self.breach(5, expected.tag, "a bad request came out")
        schedule_id = message.attributes["id"]["StringValue"]
        self.deliveries.check_body(expected, schedule_id, message.body)
        if queue != expected.queue_url:
            self.breach(1, expected.tag, f"it is in {queue} instead of {expected.queue_url}")
        user = message.attributes.get("user", {}).get("StringValue")
        if user != expected.user:
            self.breach(1, expected.tag, f"the user is {user!r} instead of {expected.user!r}")
        wanted_ms = expected.due_of(schedule_id)
        if expected.fixed_ms is not None and expected.name is None and schedule_id not in expected.moved:
            wanted_ms = expected.fixed_ms
        if due_of(message) != wanted_ms:
            self.breach(2, expected.tag, f"it says that it is due at {due_of(message)} instead of {wanted_ms}")

    def _check_moment(self, expected: ExpectedSchedule, schedule_id: str, sent: Sent, due_ms: int) -> None:
        """By the clock of the sender: never early, and the delay as short as whole seconds allow."""
        skew_us = sent.call.process.skew_us
        due_us = due_ms * 1000
        if sent.visible_us + skew_us < due_us:
            early_s = (due_us - sent.visible_us - skew_us) / US
            self.breach(2, expected.tag, f"it comes out {early_s:.3f} s early")
        begun_us = sent.call.begun_us + skew_us
        way_us = sent.at_us - sent.call.begun_us
        over_us = sent.visible_us + skew_us - max(due_us, begun_us) - way_us
        if over_us > US + 1000:  # The functions' clock shows whole milliseconds.
            self.breach(3, expected.tag, f"its delay is {over_us / US:.3f} s too long at the time of the call")
        expires_ms = expected.expires_of(schedule_id)
        if expires_ms is not None and begun_us // 1000 > expires_ms + EXPIRY_SLACK_MS:
            self.breach(3, expected.tag, "it comes out though it had expired")

    def _reported(self, queue: str, message: Message) -> None:
        """To the failure queue, or Lambda's own records."""
        content = json.loads(message.body)
        if content.get("reason") == "refused":
            self.letters.refused(queue, content)
            return
        if content.get("reason") not in ("expired", "failed"):
            return
        if self.deliveries.others is not None and queue in self.deliveries.others.hearers:
            self.deliveries.hears(message.body)
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
            self.breach(1, expected.tag, f"its expiry is reported for the {self.reports[schedule['id']]}th time")
        self.event_log.add(
            self.timeline.now_us, "failure queue", f"hears that {schedule['id']} expired", [expected.tag]
        )
        expires_ms = expected.expires_of(schedule["id"])
        if expires_ms is None or self.timeline.now_us // 1000 + SKEW_US_MAX // 1000 <= expires_ms:
            self.breach(1, expected.tag, "it was dropped as expired, and had not")

    def _failed(self, expected: ExpectedSchedule, schedule_id: str, error: str) -> None:
        """For good only where its queue was gone for a while, or does not take its content."""
        expected.failed.setdefault(schedule_id, self.timeline.now_us)
        self.event_log.add(
            self.timeline.now_us, "failure queue", f"hears that {schedule_id} failed: {error}", [expected.tag]
        )
        if expected.target is not None:
            self.deliveries.failed(expected, schedule_id, error)
            return
        was_closed = any(url == expected.queue_url for _, url in self.closed)
        if not was_closed and expected.tag not in self.refused_by_sqs:
            self.breach(1, expected.tag, f"{schedule_id} is given up: {error}")

    # -------------------------------------------------------------------------------------------- what is no call

    def heard(self, line: str) -> None:
        """A line that a function logged."""
        if ('"not confirmed"' in line or '"not concluded"' in line or '"not noted"' in line) and _is_a_fault(
            json.loads(line)["error"]
        ):
            self.breach(1, "", f"a delivery raised {line}")
        if '"consumed"' in line:
            self.consumed.add(json.loads(line)["id"])

    def fell(self, kind: str, **facts: Any) -> None:
        now_us = self.timeline.now_us
        if kind == "began":
            self.figures.invocations += 1
            invocation: Invocation = facts["invocation"]
            if invocation.environment.function.handler == "feed.handler":
                self._fed(json.loads(invocation.payload))
            if invocation.environment.function.handler == "feed.handler" and "TriggerFunction" in invocation.cause:
                partition = json.loads(invocation.payload)["partition"]
                begun = self.feeds_begun.setdefault(partition, {})
                begun.setdefault(invocation.payload, (now_us, self.storm.calm))
            if invocation.environment.function.handler == "deliver.handler":
                self.names.began()
            elif invocation.cause == self.input_queue:
                self.letters.brought(invocation)
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
            self.event_log.add(now_us, "weather", f"tick {delays_s}")

    def _fed(self, event: dict[str, Any]) -> None:
        tick = event["partition"], event["until"]
        self.feeds[tick] += 1
        if self.feeds[tick] > FEEDS_MAX * (1 + self.storm.doubled):  # Without a lease each twin has a chain of its own.
            self.breach(7, "", f"partition {tick[0]} is fed for the {self.feeds[tick]}th time in one tick")

    def _ended(self, invocation: Invocation) -> None:
        if invocation.environment.function.handler == "deliver.handler":
            self.names.ended()
            self.deliveries.ended(invocation)
        elif invocation.cause == self.input_queue and invocation.fate == "returned":
            self.letters.taken_in(invocation)
        if invocation.fate == "returned":
            return
        if invocation.fate == "crashed":
            self.names.crashes.append((invocation.begun_us, self.timeline.now_us))
        what = invocation.fate if invocation.error is None else f"raised {_name(invocation.error)}: {invocation.error}"
        self.event_log.add(self.timeline.now_us, invocation.environment.name, what[:200])
        if invocation.error is not None and type(invocation.error).__name__ not in OWN_ERRORS:
            self.breach(1, "", f"{invocation.id} raised {_name(invocation.error)}: {invocation.error}")
        if invocation.fate == "timed out":
            self.storm.counted["function timed out"] += 1


def _invocation_id(call: Call) -> str:
    invocation = invocation_of(call)
    return invocation.id if invocation is not None else ""


def _unprocessed(call: Call, key: dict[str, Any]) -> bool:
    left = (call.answer or {}).get("UnprocessedItems", {})
    return any(write.get("DeleteRequest", {}).get("Key") == key for writes in left.values() for write in writes)


def _condition_failed(error: BaseException) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _is_a_fault(error: str) -> bool:
    """Of our own code, or something that AWS says for good. What AWS fails with for now has other names."""
    return error == "ClientError" or hasattr(builtins, error)


def _name(error: BaseException) -> str:
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return type(error).__name__
