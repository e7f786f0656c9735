"""The guarantees about names (README.md), checked on the history of each record.

The history comes from the writes to the table, the answers to callers and the deliveries. A name has one schedule after
the other, each in its `Generation`. A generation lasts from the write of its record to the next write of a record
under that name.

The last schedule that a caller was promised must have an outcome. A schedule that a caller knows to be replaced or
cancelled is not delivered any more, unless its delivery had begun (6). A delivery begins with the consistent read of
the record, and not before the due time.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

from punctual.testing.calls import Call
from punctual.testing.services.environments import Invocation
from punctual.testing.services.event_sources import POLLERS_IDLE
from punctual.testing.services.queues import Message
from punctual.testing.timeline import US
from simulator.checks.decoding import id_of, is_record, partition_of
from simulator.checks.records import RecordTimes
from simulator.event_log import EventLog, tag_of
from simulator.faults.faults import SKEW_US_MAX, Faults
from simulator.workload.expected import ExpectedSchedule, Sent

PENDING = "pending"
LATE_S_MAX = 1.0
"""The limit without faults, by the clock of the sender, while the deliver function has free capacity."""
ROUNDING_S = 1.0
"""Delays are rounded down to whole seconds. Messages that become visible together may differ this much in due time."""
LEAD_S = 1.0
"""A message becomes visible at least this long before its due time, unless it was late before."""
HANG_S = 0.5
"""The function receives further messages when a delivery is this long past its due time."""
FLIGHT_MESSAGES = POLLERS_IDLE * 10
"""The number of messages that the pollers hold at once, at least."""
EARLY_S = 4.0
"""The function may postpone a timer that comes this much too early, instead of waiting for the due time."""
REQUEST_NUMBERS_PER_MS = 1_000_000
INTERVALS = 2
"""Faults may delay a far timer within the reach and this number of feed intervals before its due time."""

UNCONFIRMED, ASKED_AGAIN, CAME_AGAIN, STOPPED = (
    "send unanswered",
    "asked for again",
    "message came again",
    "function stopped",
)
"""The possible causes between a send and its repeat."""
AGAIN_S = 60
"""An attempt may take this long after its message has become visible."""


@dataclass(eq=False)
class Generation:
    """One schedule under its name."""

    id: str
    expected: ExpectedSchedule
    due_ms: int
    asked: int
    at_us: int
    writer: Invocation | None
    replaces: bool
    """The record held a pending schedule before."""
    state: str = PENDING
    over_us: int | None = None
    """When the next schedule replaced this one in the record."""
    promised_us: int | None = None
    """When a caller received the confirmation of this schedule."""
    own: bool = False
    """Whether that caller had requested this schedule, so its own timer is set. Otherwise the timer may be the second
    one.
    """
    cancelled_us: int | None = None
    """When a caller received the confirmation that it is cancelled."""
    sends: list[Sent] = field(default_factory=list)


@dataclass(eq=False)
class TimerMessage:
    """A timer on its way through the delivery queue."""

    id: str
    body: str
    message: Message
    call: Call
    visible_us: int
    """When it first became visible."""
    invocation: Invocation | None
    confirmed: bool = False

    @property
    def is_first(self) -> bool:
        """Return whether this is neither a retry, nor postponed, nor set again because it came too early."""
        again = {"attempt", "retry"} & json.loads(self.body).keys()
        return not again and "DeliverFunction" not in self.call.process.name

    @property
    def due_us(self) -> int:
        return int(json.loads(self.body)["due"]) * 1000

    def is_second(self, due_ms: int) -> bool:
        """Return whether a timer that found another schedule set this one, for after that schedule's due time."""
        again = {"attempt", "retry"} & json.loads(self.body).keys()
        return not again and "DeliverFunction" in self.call.process.name and self.due_us > due_ms * 1000


@dataclass(eq=False)
class Names:
    event_log: EventLog
    report_violation: Callable[[int, str, str], None]
    expected_schedules: Mapping[str, ExpectedSchedule] = field(default_factory=dict)
    generations: dict[str, list[Generation]] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    """The timers in the table, each with its due time."""
    timer_messages: dict[str, list[TimerMessage]] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    """The ids whose failure is kept in the table."""
    concluding: dict[str, set[str]] = field(default_factory=dict)
    """The steps of an outcome that the function left to later messages, by id."""
    _lying_failures: set[tuple[str, str, str]] = field(default_factory=set)
    """The partition, sort key and id of each failure that is in the table now."""
    failures: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """The keys of these failures in the table, past and present, by id."""
    only_redriven: set[str] = field(default_factory=set)
    """Names that callers change only with redrives."""
    moved_ids: set[str] = field(default_factory=set)
    """Ids that came from a move and not from a request."""
    closed: list[tuple[int, str]] = field(default_factory=list)
    troubled: set[Invocation] = field(default_factory=set)
    """Invocations that do not know the outcome of some call."""
    crashes: list[tuple[int, int]] = field(default_factory=list)
    """Spans from the start of a crashed invocation to its crash."""
    causes: Counter[str] = field(default_factory=Counter)
    """The causes of repeats."""
    interval_s: int = 600
    reach_s: int = 900
    orderly: bool = True
    """Whether the queues deliver messages in the order in which they became visible."""
    late_s_max: float = 0.0
    times: RecordTimes = field(init=False)
    _reads: dict[tuple[str, str], int] = field(default_factory=dict)
    """When a process last read an id as pending."""
    _fetched: dict[Invocation, list[tuple[str, str]]] = field(default_factory=dict)
    """The messages that invocations received themselves, as ids with bodies."""
    _delivering: int = 0
    _jobs_sent: list[Message] = field(default_factory=list)
    """The messages of the delivery queue."""
    _in_sight_us: list[int] = field(default_factory=list)
    """When each of them first became visible, in order."""
    _busy: list[list[int]] = field(default_factory=list)
    """Spans in which every poller may have held a batch: a mapping begins with `POLLERS_IDLE`."""

    def __post_init__(self) -> None:
        self.times = RecordTimes(self.report_violation)

    def attach(self, timeline: Any, faults: Faults) -> None:
        self._timeline, self._faults = timeline, faults

    # ------------------------------------------------------------------------------------------------------ effects

    def wrote(self, call: Call, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """Check a write to a record."""
        if new is None:
            self.report_violation(1, "", f"{call.process.name} deletes the record of a name: {old}")
            return
        expected = self.expected_schedules.get(tag_of(new.get("data", {}).get("S", "")))
        if expected is None or expected.fault:
            self.report_violation(
                5, expected.tag if expected else "", f"a record that nobody may have asked for: {str(new)[:200]}"
            )
        elif call.operation == "put_item":
            self._begin(call, expected, old, new)
        else:
            self._change(call, old or {}, new)

    def _begin(self, call: Call, expected: ExpectedSchedule, old: dict[str, Any] | None, new: dict[str, Any]) -> None:
        name, now_us = new["sort"]["S"], self._timeline.now_us
        generations = self.generations.setdefault(name, [])
        before, writer = generations[-1] if generations and old is not None else None, invocation_of(call)
        generation = Generation(
            new["id"]["S"], expected, int(new["due"]["N"]), int(new["asked"]["N"]), now_us, writer, False
        )
        tags = [expected.tag]
        if before is not None:
            before.over_us, generation.replaces = now_us, before.state == PENDING
            tags += [before.expected.tag] if generation.replaces and before.expected is not expected else []
        generations.append(generation)
        if "ManageFunction" in call.process.name:
            self.moved_ids.add(generation.id)
        expected.dues[generation.id] = generation.due_ms
        if expected.change is not None and before is not None and before.expected is not expected:
            self._check_changed(generation, before, new)
        elif (
            generation.id not in self.moved_ids
            and "timestamp" in expected.request
            and not expected.may_be_due(generation.due_ms)
        ):
            self.report_violation(
                2, expected.tag, f"{generation.id} is due at {generation.due_ms}, and was asked for {expected.due_ms}"
            )
        instead = f" instead of {before.id}" if before is not None and generation.replaces else ""
        self.event_log.add(now_us, call.process.name, f"writes {generation.id} under {name}{instead}", tags)
        self._check_new(generation, before, new)
        self.times.begun(expected.tag, new, now_us)
        if name in self.only_redriven:
            self._check_redriven(generation, generations)

    def _check_new(self, generation: Generation, before: Generation | None, new: dict[str, Any]) -> None:
        tag = generation.expected.tag
        if new["state"]["S"] != PENDING or "ttl" in new:
            self.report_violation(
                1, tag, f"{generation.id} is written afresh as {new['state']['S']}, ttl {new.get('ttl')}"
            )
        if before is not None and generation.asked <= before.asked:
            self.report_violation(
                6, tag, f"{generation.id} was asked for at {generation.asked}, and {before.id} at {before.asked}"
            )
        if (
            generation.replaces
            and before is not None
            and before.expected is not generation.expected
            and generation.expected.if_exists != "replace"
        ):
            self.report_violation(
                5, tag, f"{generation.id} replaces {before.id}, and if_exists is {generation.expected.if_exists}"
            )

    def _check_changed(self, generation: Generation, before: Generation, new: dict[str, Any]) -> None:
        """Check that a change kept every field that it did not give."""
        expected, given = generation.expected, generation.expected.change or {}
        expected.take_over(before.expected)
        if not {"timestamp", "delay"} & set(given) and generation.due_ms != before.due_ms:
            self.report_violation(
                1,
                expected.tag,
                f"{generation.id} is due at {generation.due_ms}, and {before.id} was at {before.due_ms}",
            )
        kept = new.get("user", {}).get("S"), int(new.get("expires_after", {}).get("N", -1))
        after_s = expected.request.get("expires_after")
        wanted = expected.user, -1 if after_s is None else round(after_s * 1000)
        if kept != wanted:
            self.report_violation(1, expected.tag, f"{generation.id} has {kept} instead of {wanted} after a change")

    def _check_redriven(self, generation: Generation, generations: list[Generation]) -> None:
        """Check that one failure is scheduled again under one id only, however many calls the redrive takes."""
        ids = {each.id for each in generations}
        redriven = len(ids & self.moved_ids)
        failures = sum(len(self.failures.get(each, ())) for each in ids)
        if redriven > failures:
            name = generation.expected.name
            what = f"{generation.id} is the {redriven}th id under {name} from a redrive of {failures} failures"
            self.report_violation(1, generation.expected.tag, what)

    def noted_failure(self, item: dict[str, Any], lies: bool) -> None:
        """Remember a failure item that was written, changed or deleted."""
        schedule_id, key = item["id"]["S"], (partition_of(item), item["sort"]["S"])
        self.kept.add(schedule_id)
        self.failures.setdefault(schedule_id, set()).add(key)
        (self._lying_failures.add if lies else self._lying_failures.discard)((*key, schedule_id))

    def lying_failures(self, from_ms: int) -> set[str]:
        """Return the ids of the failures in the table since this time."""
        return {schedule_id for _, sort, schedule_id in self._lying_failures if int(sort.split("#")[0]) >= from_ms}

    def failures_listed(self, seen: list[str], owed: set[str]) -> None:
        """Check that the operation `failures` has shown every failure that was in the table all the time."""
        for schedule_id in sorted(owed - set(seen)):
            self.report_violation(1, "", f"the failure of {schedule_id} is in the table, and failures does not show it")

    def _change(self, call: Call, old: dict[str, Any], new: dict[str, Any]) -> None:
        generation, state = self.generations[new["sort"]["S"]][-1], new["state"]["S"]
        tag, was = generation.expected.tag, old.get("state", {}).get("S")
        self.event_log.add(self._timeline.now_us, call.process.name, f"notes {generation.id} as {state}", [tag])
        generation.state, generation.asked = state, int(new["asked"]["N"])
        self.times.changed(tag, old, new)
        if was != PENDING:
            self.report_violation(6, tag, f"{generation.id} was {was}, and is {state} now")
        elif state != PENDING and "ttl" not in new:
            self.report_violation(4, tag, f"{generation.id} is {state}, and stays for ever")
        elif state == PENDING and "ttl" in new:
            self.report_violation(1, tag, f"{generation.id} is pending, and is to go away by itself")
        elif not self._came_to(generation, state, call):
            self.report_violation(1, tag, f"{generation.id} is noted as {state}, and it is not")

    def _came_to(self, generation: Generation, state: str, call: Call) -> bool:
        # A message on its way must do the steps that are left.
        if state in ("expired", "failed"):
            return self._unreported(generation) <= self.concluding.get(generation.id, set())
        if state == "cancelled":
            return "ManageFunction" in call.process.name
        return state == PENDING or generation.id in generation.expected.sends

    def _unreported(self, generation: Generation) -> set[str]:
        """Return the missing steps of a failure, with the names that a message uses for them."""
        ids = generation.expected.expired if generation.state == "expired" else generation.expected.failed
        steps = {"report": generation.id in ids, "keep": generation.id in self.kept}
        return {step for step, done in steps.items() if not done}

    def timer(self, call: Call, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """Record that a timer was written to the table or deleted from it."""
        item = new or old or {}
        timer_id, name = id_of(item), item["name"]["S"]
        generation = next((each for each in reversed(self.generations.get(name, [])) if each.id == timer_id), None)
        tags = [generation.expected.tag] if generation is not None else []
        verb = "sets" if new is not None else "removes"
        self.event_log.add(self._timeline.now_us, call.process.name, f"{verb} the timer of {timer_id}", tags)
        if new is not None:
            self.timers[timer_id] = int(timer_id.split("-")[1])
            return
        self.timers.pop(timer_id, None)
        if call.operation == "batch_write_item" and timer_id not in self.timer_messages:
            self.report_violation(1, "".join(tags), f"the timer of {timer_id} is deleted, and was not sent")

    def sent(self, call: Call, message: Message) -> None:
        """Record a timer that was sent to the delivery queue."""
        job = json.loads(message.body)
        name, schedule_id = job.get("name", ""), job["id"]
        timer_message = TimerMessage(schedule_id, message.body, message, call, message.visible_us, invocation_of(call))
        self.timer_messages.setdefault(schedule_id, []).append(timer_message)
        self.concluding.setdefault(schedule_id, set()).update(job.get("conclusion", {}).get("left", []))
        insort(self._in_sight_us, timer_message.visible_us)
        self._jobs_sent.append(message)
        tags = {
            generation.expected.tag for generation in self.generations.get(name, []) if generation.id == schedule_id
        }
        wake_s = (message.visible_us - self._timeline.now_us) // US
        self.event_log.add(
            self._timeline.now_us, call.process.name, f"sends the timer of {schedule_id} with {wake_s} s to go", tags
        )

    def confirm(self, call: Call, entries: Iterable[str]) -> None:
        """Mark the timers whose send the process knows to be done, by their bodies."""
        bodies = set(entries)
        for body in bodies:
            for timer_message in self.timer_messages.get(json.loads(body)["id"], []):
                timer_message.confirmed = timer_message.confirmed or (
                    timer_message.call is call and timer_message.body in bodies
                )

    def read(self, call: Call) -> None:
        """Remember when a process read a record as pending."""
        item = (call.answer or {}).get("Item")
        if item is not None and item["state"]["S"] == PENDING and call.effect_us is not None:
            self._reads[call.process.name, item["id"]["S"]] = call.effect_us

    def released(self, expected: ExpectedSchedule, schedule_id: str, sent: Sent, message: Message) -> None:
        """Check that a released message has the name of its schedule, and check promise 6."""
        if message.attributes.get("name", {}).get("StringValue") != expected.name:
            self.report_violation(
                1, expected.tag, f"its name is {message.attributes.get('name')} instead of {expected.name}"
            )
        self.delivered(expected, schedule_id, sent)

    def delivered(self, expected: ExpectedSchedule, schedule_id: str, sent: Sent) -> None:
        """Check promise 6 for a delivery to any target."""
        generations = self.generations.get(expected.name or "", [])
        read_us = self._reads.get((sent.call.process.name, schedule_id))
        due_us = expected.due_of(schedule_id) * 1000 - sent.call.process.skew_us
        places = [place for place, generation in enumerate(generations) if generation.id == schedule_id]
        if read_us is None or not places:
            self.report_violation(6, expected.tag, f"{schedule_id} is delivered without a look at its record")
            return
        begun_us = max(read_us, due_us)
        place = max((place for place in places if generations[place].at_us <= begun_us), default=places[0])
        generations[place].sends.append(sent)
        told_us = [each.promised_us for each in generations[place + 1 :]] + [generations[place].cancelled_us]
        if any(at_us is not None and at_us < begun_us for at_us in told_us):
            self.report_violation(
                6, expected.tag, f"{schedule_id} is delivered after a caller was told that it will not be"
            )

    def gone(self, item: dict[str, Any]) -> None:
        """Check a record that its `ttl` deleted."""
        if is_record(item) and item["state"]["S"] == PENDING:
            generation = self.generations[item["sort"]["S"]][-1]
            self.report_violation(
                1, generation.expected.tag, f"the record of {generation.id} goes away though it is pending"
            )

    # ------------------------------------------------------------------------------------------------------ answers

    def accepted(self, expected: ExpectedSchedule, result: dict[str, Any]) -> None:
        generation = self._current(expected.name or "", result["id"])
        if generation is None:
            self.report_violation(
                1, expected.tag, f"accepted as {result['id']}, which never stood under {expected.name}"
            )
            return
        generation.promised_us = generation.promised_us or self._timeline.now_us
        generations = self.generations[expected.name or ""]
        seen = next(
            (
                each
                for each in generations
                if each.id == generation.id and not _over_before(each, expected.requested_us)
            ),
            generation,
        )
        # Another caller may have replaced the schedule and then written it again.
        since = generations[generations.index(seen) :]
        # Otherwise the last request is not finished yet.
        pending = all(each.state == PENDING for each in since)
        if pending and not any(each.id in self.timer_messages or each.id in self.timers for each in since):
            self.report_violation(1, expected.tag, f"{generation.id} is accepted, and no timer will wake its name")
        if round(result["timestamp"] * 1000) != generation.due_ms:
            self.report_violation(
                2,
                expected.tag,
                f"{generation.id} is said to be due at {result['timestamp']}, and is at {generation.due_ms}",
            )
        if generation.expected is expected:
            generation.own = generation.own or result["result"] != "kept"
        elif result["result"] != "kept" or expected.if_exists != "keep":
            self.report_violation(
                5, expected.tag, f"{result['result']} {generation.id} of another, and if_exists is {expected.if_exists}"
            )
        elif _over_before(generation, expected.requested_us):
            self.report_violation(
                1, expected.tag, f"{generation.id} is said to be kept, and was replaced before that was asked"
            )
        if result["result"] == "replaced" and not generation.replaces:
            self.report_violation(
                6, expected.tag, f"{generation.id} is said to replace something, and nothing stood there"
            )

    def refused(self, expected: ExpectedSchedule) -> bool:
        """Return whether the record of the name allows the refusal of a good request.

        A refused request leaves nothing behind.
        """
        generations = self.generations.get(expected.name or "", [])
        # A schedule that was replaced since is no fault.
        if expected.asked == 1 and any(
            generation.expected is expected and (generation.over_us is None or generation.sends)
            for generation in generations
        ):
            self.report_violation(5, expected.tag, "it is refused, and stands under its name all the same")
        return expected.if_exists == "fail" and any(
            generation.expected is not expected or expected.asked > 1
            for generation in generations
            if not _over_before(generation, expected.requested_us)
        )

    def taken_in(self, expected: ExpectedSchedule, sent_ms: int) -> None:
        """Check a named schedule whose input message is done. It is or was in the record, or it came too late."""
        generations = self.generations.get(expected.name or "", [])
        generation = next((generation for generation in reversed(generations) if generation.expected is expected), None)
        if generation is not None:
            first = generation.promised_us is None and expected.asked == 1
            generation.own = generation.own or first
            generation.promised_us = generation.promised_us or self._timeline.now_us
            return
        may_be_late = any(generation.asked >= sent_ms * REQUEST_NUMBERS_PER_MS for generation in generations)
        if (
            expected.if_exists == "replace"
            and expected.expires_ms is None
            and not expected.reported
            and not may_be_late
        ):
            self.report_violation(
                1, expected.tag, f"its input message is deleted, and it never stood under {expected.name}"
            )

    def cancelled(self, name: str, schedule_id: str) -> None:
        """Check the answer that a schedule is cancelled."""
        generation = self._current(name, schedule_id)
        if generation is None or generation.state != "cancelled":
            self.report_violation(
                6, generation.expected.tag if generation else "", f"{schedule_id} is said to be cancelled, and is not"
            )
        else:
            generation.cancelled_us = generation.cancelled_us or self._timeline.now_us

    def moved(self, name: str, result: dict[str, Any]) -> None:
        """Check the answer that a schedule has another due time now."""
        generation = self._current(name, result["id"])
        if generation is None or generation.due_ms != round(result["timestamp"] * 1000):
            self.report_violation(
                1,
                generation.expected.tag if generation else "",
                f"{result['id']} is said to stand under {name}: {result}",
            )
        else:
            generation.promised_us, generation.own = generation.promised_us or self._timeline.now_us, True

    def swept(self, prefix: str, from_ms: int, to_ms: int, requested_us: int) -> None:
        """Check the answer that all schedules with this prefix and a due time in this span are cancelled.

        The answer says nothing about schedules that came in the meantime.
        """
        for name, generations in self.generations.items():
            generation = generations[-1]
            if not name.startswith(prefix) or not from_ms <= generation.due_ms < to_ms:
                continue
            if generation.state == "cancelled":
                generation.cancelled_us = generation.cancelled_us or self._timeline.now_us
            elif generation.state == PENDING and generation.at_us < requested_us:
                self.report_violation(
                    6,
                    generation.expected.tag,
                    f"{generation.id} is pending, and all of {prefix!r} are said to be cancelled",
                )

    def listed(self, seen: list[str], from_ms: int, to_ms: int, requested_us: int) -> None:
        """Check the answer that lists the schedules due in a span.

        A schedule that was promised before and is still pending appears exactly once. A schedule that a caller knew to
        be cancelled before does not appear.
        """
        counted = Counter(seen)
        for generations in self.generations.values():
            for generation in generations:
                count, in_time = counted[generation.id], from_ms <= generation.due_ms < to_ms
                promised = generation.promised_us is not None and generation.promised_us < requested_us
                waits = (
                    generation.over_us is None
                    and generation.state == PENDING
                    and generation.due_ms * 1000 > self._timeline.now_us
                )
                if waits and promised and in_time and count != 1:
                    self.report_violation(
                        1, generation.expected.tag, f"{generation.id} is pending, and is listed {count} times"
                    )
                if count and generation.cancelled_us is not None and generation.cancelled_us < requested_us:
                    self.report_violation(6, generation.expected.tag, f"{generation.id} is cancelled, and is listed")

    def denied(self, name: str, error: str, requested_us: int) -> None:
        """Check the answer that there is nothing to change. It is wrong if a promised schedule is still pending."""
        generations = self.generations.get(name, [])
        if not generations or error not in ("NotFound", "OnItsWay"):
            return
        generation = generations[-1]
        if generation.promised_us is not None and generation.promised_us < requested_us and generation.state == PENDING:
            self.report_violation(
                6,
                generation.expected.tag,
                f"{generation.id} is pending, and a caller who would change it gets {error}",
            )

    def _current(self, name: str, schedule_id: str) -> Generation | None:
        return next(
            (generation for generation in reversed(self.generations.get(name, [])) if generation.id == schedule_id),
            None,
        )

    # ---------------------------------------------------------------------------------------- the deliver function

    def began(self) -> None:
        self._delivering += 1
        if self._delivering == POLLERS_IDLE:
            self._busy.append([self._timeline.now_us])

    def ended(self) -> None:
        if self._delivering == POLLERS_IDLE:
            self._busy[-1].append(self._timeline.now_us)
        self._delivering -= 1

    def fetched(self, call: Call) -> int:
        """Record the messages that an invocation received itself, and return their number."""
        invocation = getattr(call.process, "invocation", None)
        found = (call.answer or {}).get("Messages", [])
        if invocation is not None and found:
            what = f"takes {len(found)} in beside its batch"
            self.event_log.add(self._timeline.now_us, call.process.name, what)
            messages = self._fetched.setdefault(invocation, [])
            messages += [(each["MessageId"], each["Body"]) for each in found]
        return len(found)

    def given(self, invocation: Invocation) -> list[tuple[str, str]]:
        """Return the ids and bodies of the messages that an invocation was given or received itself."""
        records = json.loads(invocation.payload)["Records"]
        return [(record["messageId"], record["body"]) for record in records] + self._fetched.get(invocation, [])

    # --------------------------------------------------------------------------------------------------- at the end

    def pending_ms(self) -> Iterator[int]:
        """Yield the due times of promised schedules that are still pending, and of timers."""
        yield from self.timers.values()
        for generations in self.generations.values():
            if generations[-1].state == PENDING and generations[-1].promised_us is not None:
                yield generations[-1].due_ms

    def check_drained(self, until_ms: int) -> None:
        for timer_id, due_ms in self.timers.items():
            if due_ms <= until_ms:
                self.report_violation(
                    4, "", f"the timer of {timer_id} is still in the table, though the faults have stopped"
                )
        for generations in self.generations.values():
            generation = generations[-1]
            owed = generation.state == PENDING and generation.due_ms <= until_ms and self._owed(generations, until_ms)
            if owed and not self.is_to_be_tried_again(generation.id):
                self.report_violation(
                    1, generation.expected.tag, f"{generation.id} has no outcome, though the faults have stopped"
                )
            self._check_reported(generations)

    def _check_reported(self, generations: list[Generation]) -> None:
        """Check that each failed or expired schedule is kept and reported, unless a message for that is on its way."""
        for generation in generations:
            left = self._unreported(generation) if generation.state in ("failed", "expired") else set()
            if left and not self.is_to_be_tried_again(generation.id):
                rest = ", ".join(sorted(left))
                what = f"{generation.id} is noted as {generation.state}, and nobody did the rest: {rest}"
                self.report_violation(1, generation.expected.tag, what)

    def _owed(self, generations: list[Generation], until_ms: int) -> bool:
        """Return whether the last generation must have an outcome.

        It must if a caller was promised it. It also must if it replaced a promised generation, whose timer has to wake
        it.
        """
        if generations[-1].promised_us is not None or generations[-1].sends:
            return True
        for generation in reversed(generations[:-1]):
            if (
                generation.state != PENDING
                or generation.sends
                or generation.expected.settled(generation.id)
                or generation.due_ms > until_ms
            ):
                return False
            if generation.own:
                return True
        return False

    def is_to_be_tried_again(self, schedule_id: str) -> bool:
        """Return whether a message in the delivery queue still waits for its next attempt.

        Pauses last up to 15 minutes.
        """
        now_us = self._timeline.now_us
        timer_messages = self.timer_messages.get(schedule_id, [])
        return any(each.visible_us + AGAIN_S * US > now_us for each in timer_messages if not each.is_first)

    def check_all(self, troubles: Iterable[tuple[int, int]]) -> None:
        spans = [*troubles, *self.crashes, *self._faults.spans()]
        for generations in self.generations.values():
            for generation in generations:
                if generation.sends and generation.own and generation.expected.target is None:
                    self._check_lateness(generation, spans)
            for generation in {generation.id: generation for generation in generations}.values():
                self._check_repeats(generation)
            self._check_reported(generations)
            self._check_second_timers(generations)

    def _check_second_timers(self, generations: list[Generation]) -> None:
        """Check that each schedule has at most one backup timer, however many timers find it pending.

        Without this limit the timers would never end. A repeated message may set one more, and so may a send without an
        answer. A timer that came early was set again.
        """
        dues_us = {generation.id: generation.due_ms * 1000 for generation in generations}
        timer_messages = [
            timer_message for schedule_id in dues_us for timer_message in self.timer_messages.get(schedule_id, [])
        ]
        seconds = sum(timer_message.is_second(dues_us[timer_message.id] // 1000) for timer_message in timer_messages)
        again = sum(
            timer_message.message.receives - 1 for timer_message in timer_messages if timer_message.message.receives > 1
        )
        unconfirmed = sum(not timer_message.confirmed for timer_message in timer_messages)
        early = sum(timer_message.visible_us < timer_message.due_us - EARLY_S * US for timer_message in timer_messages)
        if seconds > len(dues_us) + again + unconfirmed + early:
            what = f"{len(dues_us)} schedules under {generations[0].expected.name} have {seconds} second timers"
            self.report_violation(7, generations[-1].expected.tag, what)

    def _check_lateness(self, generation: Generation, spans: list[tuple[int, int]]) -> None:
        """Check lateness by the clock of the sender, from the due time or the answer on."""
        sent, due_us = generation.sends[0], generation.due_ms * 1000
        promised_us = generation.promised_us or generation.at_us
        begun_us = sent.call.begun_us + sent.call.process.skew_us
        late_us = begun_us - max(due_us, promised_us + SKEW_US_MAX)
        from_us = max(generation.at_us, due_us - (self.reach_s + INTERVALS * self.interval_s) * US)
        excused = any(begin_us <= begun_us and end_us >= from_us for begin_us, end_us in spans)
        if excused or self._was_closed(generation, from_us, begun_us):
            return
        self.late_s_max = max(self.late_s_max, late_us / US)
        if late_us > self.late_s_allowed(due_us, begun_us) * US + 3 * self._faults.pace_s * US:
            self.report_violation(
                3,
                generation.expected.tag,
                f"{generation.id} is delivered {late_us / US:.3f} s late, and nothing went wrong",
            )

    def late_s_allowed(self, due_us: int, begun_us: int) -> float:
        """Return the lateness that is allowed when nothing went wrong.

        While every poller holds a batch, a message waits for the batches before it. Messages in those batches became
        visible no later, so they wait for their own due times at most `ROUNDING_S` longer. The messages between them
        and this one are past their due times. Each of them holds a poller until the function takes its delivery to
        hang. In an unordered queue they may also be due later. Messages that were in sight before the pollers became
        busy count if the pollers received them while this one waited.
        """
        spans = [(begin_us, ended[0] if ended else self._timeline.now_us) for begin_us, *ended in self._busy]
        busy_us = [begin_us for begin_us, end_us in spans if begin_us <= begun_us and end_us >= due_us]
        if not busy_us:
            return LATE_S_MAX
        from_us = min(busy_us) - round((LEAD_S + ROUNDING_S) * US)
        in_sight = bisect_right(self._in_sight_us, begun_us) - bisect_left(self._in_sight_us, from_us)
        received = bisect_right(self._received_us, begun_us) - bisect_left(self._received_us, due_us)
        rounds = max(0, in_sight, received) // FLIGHT_MESSAGES
        round_s = HANG_S if self.orderly else LEAD_S + ROUNDING_S + HANG_S
        return LATE_S_MAX + ROUNDING_S + rounds * round_s

    @cached_property
    def _received_us(self) -> list[int]:
        """When the messages were first received. It is complete at the end of a run."""
        return sorted(each.first_received_us for each in self._jobs_sent if each.first_received_us is not None)

    def was_withdrawn(self, name: str | None, schedule_id: str) -> bool:
        """Return whether a cancel or a later schedule of the name ended this one while it was pending."""
        found = [each for each in self.generations.get(name or "", []) if each.id == schedule_id]
        return any(each.state == "cancelled" or (each.state == PENDING and each.over_us is not None) for each in found)

    def _was_closed(self, generation: Generation, from_us: int, to_us: int) -> bool:
        return any(from_us <= at_us <= to_us for at_us, url in self.closed if url == generation.expected.queue_url)

    def _check_repeats(self, generation: Generation) -> None:
        tried = sorted(generation.expected.sends.get(generation.id, []), key=lambda sent: sent.call.begun_us)
        for first, second in pairwise(tried):
            cause = self._cause(generation, first, second)
            if cause is None:
                self.report_violation(
                    1, generation.expected.tag, f"{generation.id} is delivered twice, and nothing went wrong in between"
                )
                return
            self.causes[cause] += 1

    def cause(self, expected: ExpectedSchedule, schedule_id: str, first: Sent, second: Sent) -> str | None:
        """Return the cause of a second delivery of an unnamed schedule, or None.

        An outcome is unknown, the message came again, or the schedule had two messages. Two messages must have a cause
        of their own.
        """
        if not first.confirmed or first.invocation is None or second.invocation is None:
            return UNCONFIRMED
        if expected.asked > 1:
            return ASKED_AGAIN
        if first.invocation.outcome != "returned":
            return STOPPED
        return self._cause_in_messages(schedule_id)

    def _cause_in_messages(self, schedule_id: str) -> str | None:
        timer_messages = self.timer_messages.get(schedule_id, [])
        if any(timer_message.message.receives > 1 for timer_message in timer_messages):
            return CAME_AGAIN
        unsure = not all(timer_message.confirmed for timer_message in timer_messages)
        return "second job" if unsure or sum(timer_message.is_first for timer_message in timer_messages) > 1 else None

    def _cause(self, generation: Generation, first: Sent, second: Sent) -> str | None:
        """Return the cause of a second delivery of a named schedule, or None.

        An outcome is unknown, a message came again, or a second timer found no outcome because an answer was missing. A
        second timer alone is no cause. It comes late enough to find the outcome of the first. The first timer may be
        missing, because the process that wrote the record could not set it. Two second timers may then come together.
        """
        if not first.confirmed or first.invocation is None or second.invocation is None:
            return UNCONFIRMED
        if generation.expected.asked > 1:
            return ASKED_AGAIN
        if first.invocation.outcome != "returned" or first.invocation is second.invocation:
            return STOPPED
        if self._messages(first.invocation, generation.id) & self._messages(second.invocation, generation.id):
            return CAME_AGAIN
        return (
            "second timer"
            if self._is_troubled(generation.expected, generation.id, [first.invocation, second.invocation])
            else None
        )

    def _is_troubled(self, expected: ExpectedSchedule, schedule_id: str, hands: Iterable[Invocation | None]) -> bool:
        """Return whether an involved invocation does not know the outcome of a call.

        These invocations are `hands`, the writers of the record and the senders of the timers.
        """
        timer_messages = self.timer_messages.get(schedule_id, [])
        writers = [each.writer for each in self.generations.get(expected.name or "", []) if each.id == schedule_id]
        every = [*hands, *writers, *(timer_message.invocation for timer_message in timer_messages)]
        return not all(timer_message.confirmed for timer_message in timer_messages) or any(
            hand in self.troubled for hand in every
        )

    def explains(
        self, expected: ExpectedSchedule, schedule_id: str, first: Invocation | None, second: Invocation | None
    ) -> bool:
        """Return whether something explains that these two invocations made the same attempt."""
        hands = [first, second]
        stopped = any(hand is None or hand.outcome != "returned" for hand in hands)
        if stopped or self._cause_in_messages(schedule_id) == CAME_AGAIN:
            return True
        if expected.name is None:
            return self._cause_in_messages(schedule_id) is not None or any(hand in self.troubled for hand in hands)
        return self._is_troubled(expected, schedule_id, hands)

    def _messages(self, invocation: Invocation, schedule_id: str) -> set[str]:
        """Return the ids of the messages given to the invocation that are timers of this schedule."""
        return {message_id for message_id, body in self.given(invocation) if json.loads(body).get("id") == schedule_id}


def invocation_of(call: Call) -> Invocation | None:
    """Return the invocation that made the call, or None if the caller is no function.

    It may be over by the time AWS carries the call out, and its environment may be at work on the next one.
    """
    return call.invocation if isinstance(call.invocation, Invocation) else None


def _over_before(generation: Generation, moment_us: int) -> bool:
    return generation.over_us is not None and generation.over_us < moment_us
