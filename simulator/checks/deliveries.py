"""The promises about deliveries to targets other than queues.

Each target receives what was accepted for it, or the failure is reported (1). The failure appears in the failure queue,
under `failed#` and at the failure target of the schedule. No target receives anything early by the clock of the sender
(2). Without faults nothing is late, even if other targets hang (3, 7). Attempts follow the retry settings of the
schedule.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from botocore.exceptions import ClientError

from punctual.testing.calls import Call, Delivery
from punctual.testing.services.environments import Invocation
from punctual.testing.services.queues import Message
from punctual.testing.timeline import US
from simulator.checks.decoding import opened, value
from simulator.checks.names import Names, invocation_of
from simulator.event_log import TAG, EventLog
from simulator.faults.external_targets import FINE, ExternalTargets
from simulator.faults.faults import FLOAT_US, SKEW_US_MAX, Faults
from simulator.workload.expected import ExpectedSchedule, Sent

OPERATIONS = ("publish", "invoke", "put_events", "start_execution", "request")
PERMANENT_CODES = ("NotFound",)
ATTEMPTS_DEFAULT, AGE_S_DEFAULT = 12, 86_400
PAUSE_S_MAX = 900
EXPIRY_SLACK_US = US


@dataclass(eq=False)
class Attempt:
    """One call of a target."""

    call: Call
    invocation: Invocation | None
    number: int
    permanent: bool


@dataclass(eq=False)
class Deliveries:
    event_log: EventLog
    report_violation: Callable[[int, str, str], None]
    names: Names
    expected_schedules: Mapping[str, ExpectedSchedule] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)
    """The ids of the failures that a failure target has received."""
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    unsent: set[Invocation] = field(default_factory=set)
    """Invocations in which the delivery queue did not confirm a message."""
    external_targets: ExternalTargets | None = None
    interval_s: int = 600
    late_s_max: float = 0.0
    _ids: dict[int, str] = field(default_factory=dict)
    """The ids of deliveries to targets that do not receive them, by call. `attempts` keeps all calls."""
    _begun_ms: dict[str, dict[str, int]] = field(default_factory=dict)
    """The time from which the age of a retried delivery counts, by schedule and message. Consecutive messages share one
    age. Two independent messages of one schedule have separate ages.
    """

    def attach(self, timeline: Any, faults: Faults) -> None:
        self._timeline, self._faults = timeline, faults

    # ---------------------------------------------------------------------------------------------------- delivery jobs

    def sent(self, call: Call, message: Message) -> None:
        """Record a delivery job that was sent to the delivery queue."""
        job = json.loads(message.body)
        expected, attempt = self._expected(job), job.get("attempt", 1)
        if expected is not None and expected.target is None and "failure_target" in expected.request:
            # The schedule may have expired. The deliver function reports the expiry.
            expected.on_its_way.add(job["id"])
        if expected is None or expected.target is None:
            return
        schedule_id = job["id"]
        expected.on_its_way.add(schedule_id)
        if schedule_id in expected.reported_withdrawn:
            self.report_violation(
                6, expected.tag, f"{schedule_id} is on its way after a caller was told that it will not come out"
            )
        if "conclusion" in job:
            left = ", ".join(job["conclusion"]["left"])
            what = f"concludes {schedule_id} later: {left}"
            self.event_log.add(self._timeline.now_us, call.process.name, what, [expected.tag])
            return
        what = f"sends the delivery job of {schedule_id}, attempt {attempt}"
        self.event_log.add(self._timeline.now_us, call.process.name, what, [expected.tag])
        if attempt > _attempts_max(expected):
            self.report_violation(7, expected.tag, f"{schedule_id} is to be tried for the {attempt}th time")
        if "retry" in job:
            begun_ms = self._begun(expected, job, call)
            self._begun_ms.setdefault(schedule_id, {})[message.id] = begun_ms
            if attempt > 1 and job["retry"] > max(expected.due_of(schedule_id), begun_ms) + _age_ms_max(expected):
                self.report_violation(7, expected.tag, f"{schedule_id} is to be tried again when it is too old")
        last = self._last(schedule_id, call)
        if last is not None and last.permanent and not self._has_two_timers(schedule_id):
            self.report_violation(
                7, expected.tag, f"{schedule_id} is to be tried again, and its target said no for good"
            )

    def _has_two_timers(self, schedule_id: str) -> bool:
        """Return whether a name has two first timers. The second may come before the record of the first is closed."""
        return sum(each.is_first for each in self.names.timer_messages.get(schedule_id, [])) > 1

    def _begun(self, expected: ExpectedSchedule, job: dict[str, Any], call: Call) -> int:
        """Return the time from which the age of this retry counts.

        The message that the retry follows sets this time. The invocation received that message. If the invocation
        received several, the latest time counts.
        """
        schedule_id, attempt, now_us = job["id"], job.get("attempt", 1), self._timeline.now_us
        now_ms, invocation = (now_us + call.process.skew_us) // 1000, invocation_of(call)
        known = self._begun_ms.get(schedule_id, {})
        # AWS carried out this call after the client had stopped waiting for it.
        if invocation is None:
            return max([*known.values(), self._first_ms(schedule_id, None, now_ms)])
        found = []
        for message_id, body in self.names.given(invocation):
            followed = json.loads(body)
            if followed.get("id") != schedule_id or attempt - followed.get("attempt", 1) not in (0, 1):
                continue
            begun_ms = known.get(message_id)
            if begun_ms is None:
                begun_ms = self._first_ms(schedule_id, invocation, now_ms)
            # A pause adds nothing to the age.
            elif job.get("faults", 0) > followed.get("faults", 0):
                begun_ms += job["retry"] - now_ms
            found.append(begun_ms)
        return max(found, default=expected.due_of(schedule_id))

    def _first_ms(self, schedule_id: str, invocation: Invocation | None, now_ms: int) -> int:
        """Return when this invocation, or any invocation if None, last called the target.

        Without such a call the delivery was postponed. Its age then counts from `now_ms`.
        """
        made = [
            (each.call.begun_us + each.call.process.skew_us) // 1000
            for each in self.attempts.get(schedule_id, [])
            if invocation is None or each.invocation is invocation
        ]
        return max(made, default=now_ms)

    def _last_ms(self, expected: ExpectedSchedule, schedule_id: str) -> int:
        """Return the latest time of an attempt, counted from the first message that a function handled."""
        made = [each.call.begun_us + each.call.process.skew_us for each in self.attempts.get(schedule_id, [])]
        taken_up_ms = [us // 1000 for us in made] + list(self._begun_ms.get(schedule_id, {}).values())
        first_ms = min(taken_up_ms, default=self._timeline.now_us // 1000)
        return max(expected.due_of(schedule_id), first_ms) + _age_ms_max(expected)

    def _expected(self, job: dict[str, Any]) -> ExpectedSchedule | None:
        if "name" not in job:
            found = TAG.search(job.get("data", ""))
            return self.expected_schedules.get(found.group()) if found else None
        generations = self.names.generations.get(job["name"], [])
        return next((generation.expected for generation in generations if generation.id == job["id"]), None)

    def _last(self, schedule_id: str, call: Call) -> Attempt | None:
        """Return the last attempt of the invocation that makes this call, or None if that is ambiguous.

        If one message came twice, the invocation may try it twice in parallel and get two different answers. The
        checker then does not know which of the two attempts the function repeats.
        """
        invocation = invocation_of(call)
        # AWS carried out this call after the client had stopped waiting for it.
        if invocation is None:
            return None
        mine = [each for each in self.attempts.get(schedule_id, []) if each.invocation is invocation]
        return mine[-1] if mine and len({each.permanent for each in mine}) == 1 else None

    # -------------------------------------------------------------------------------------------------------- calls

    def received(self, call: Call, delivery: Delivery) -> None:
        """Check a delivery that a target or a failure target received."""
        if self.external_targets is not None and delivery.target in self.external_targets.failure_targets:
            self.failure_reported(delivery.body)
            return
        expected = self._expected_of(delivery.body)
        if expected is None or expected.target is None:
            self.report_violation(5, "", f"a delivery that nobody asked for: {delivery.body[:60]!r}")
            return
        schedule_id = self._id(call, expected)
        now_us = self._timeline.now_us
        sent = Sent(now_us, now_us, call, invocation_of(call))
        expected.sends.setdefault(schedule_id, []).append(sent)
        self.event_log.add(now_us, call.process.name, f"delivers {schedule_id} to {delivery.target}", [expected.tag])
        if delivery.target != _address(expected):
            self.report_violation(1, expected.tag, f"it is at {delivery.target} instead of {_address(expected)}")
        self._check_content(expected, schedule_id, delivery)
        self._check_moment(expected, schedule_id, call)
        if expected.name is not None:
            self.names.delivered(expected, schedule_id, sent)

    def _expected_of(self, body: str) -> ExpectedSchedule | None:
        found = TAG.search(body)
        return self.expected_schedules.get(found.group()) if found else None

    def _id(self, call: Call, expected: ExpectedSchedule) -> str:
        """Return the id from the call, or else from a message that the invocation received."""
        parameters = call.parameters
        if call.operation == "publish":
            return str(parameters["MessageAttributes"]["id"]["StringValue"])
        if call.operation in ("start_execution", "request"):
            return str(parameters["name" if call.operation == "start_execution" else "id"])
        if expected.enveloped:
            return str(opened(_body(call)).get("id", ""))
        if id(call) not in self._ids:
            ids = [each["id"] for each in self._jobs(call) if self._expected(each) is expected]
            # A request that was repeated may be stored under two ids, and both may be in one invocation.
            self._ids[id(call)] = next((each for each in ids if each not in expected.sends), ids[0] if ids else "")
        return self._ids[id(call)]

    def _jobs(self, call: Call) -> list[dict[str, Any]]:
        invocation = invocation_of(call)
        given = self.names.given(invocation) if invocation is not None else []
        return [json.loads(body) for _, body in given]

    def _check_content(self, expected: ExpectedSchedule, schedule_id: str, delivery: Delivery) -> None:
        self.check_body(expected, schedule_id, delivery.body)
        self._check_application(expected, delivery)
        if "due_ms" in delivery.facts and delivery.facts["due_ms"] != expected.due_of(schedule_id):
            self.report_violation(2, expected.tag, f"it says that it is due at {delivery.facts['due_ms']}")

    def _check_application(self, expected: ExpectedSchedule, delivery: Delivery) -> None:
        """Check whose delivery a webhook or a topic is told that it is. Other targets learn it from an envelope."""
        facts = delivery.facts
        if "id" not in facts:
            return
        found = facts.get("application", "")
        application = found.get("StringValue") if isinstance(found, dict) else found
        if application != expected.application:
            self.report_violation(
                7, expected.tag, f"the application is {application!r} instead of {expected.application!r}"
            )

    def check_body(self, expected: ExpectedSchedule, schedule_id: str, body: str) -> None:
        """Check the body that a target received. Queues are targets too."""
        wanted = _wanted(expected)
        if expected.enveloped:
            content = opened(body)
            if (
                round(content.pop("due", 0) * 1000) != expected.due_of(schedule_id)
                or content.pop("id", "") != schedule_id
            ):
                self.report_violation(1, expected.tag, f"its envelope is of another: {body[:80]}")
            facts = {
                "name": expected.name,
                "user": expected.user,
                "application": expected.application or None,
                "data": value(expected.text),
            }
            body, wanted = (
                json.dumps(content),
                json.dumps({key: fact for key, fact in facts.items() if fact is not None}),
            )
        if body != wanted:
            self.report_violation(1, expected.tag, f"the body is {body[:80]!r} instead of {wanted[:80]!r}")

    def _check_moment(self, expected: ExpectedSchedule, schedule_id: str, call: Call) -> None:
        """Check by the clock of the function that the delivery is not early and has not expired."""
        begun_us = call.begun_us + call.process.skew_us
        due_us = expected.due_of(schedule_id) * 1000
        if begun_us < due_us - FLOAT_US:
            self.report_violation(2, expected.tag, f"{schedule_id} is delivered {(due_us - begun_us) / US:.3f} s early")
        expires_ms = expected.expires_of(schedule_id)
        if expires_ms is not None and begun_us > expires_ms * 1000 + EXPIRY_SLACK_US:
            self.report_violation(3, expected.tag, f"{schedule_id} is delivered though it had expired")

    def called(self, call: Call) -> list[str]:
        """Record what the process knows about a call that has ended. Return its tags."""
        if call.operation not in OPERATIONS or "DeliverFunction" not in call.process.name:
            return []
        expected = self._expected_of(_body(call))
        if expected is None or _is_report(call):
            return []
        schedule_id = self._id(call, expected)
        known = call.error is None and call.answer is not None and _well(call.answer)
        for sent in expected.sends.get(schedule_id, []):
            if sent.call is call:
                sent.confirmed = known
        number = max((each.get("attempt", 1) for each in self._jobs(call) if each["id"] == schedule_id), default=1)
        if number > 1 and call.begun_us + call.process.skew_us < expected.due_of(schedule_id) * 1000:
            self.report_violation(2, expected.tag, f"{schedule_id} is tried early")
        self.names.times.tried(schedule_id, call)
        tried = self.attempts.setdefault(schedule_id, [])
        tried.append(Attempt(call, invocation_of(call), number, _is_permanent(call)))
        # A function that receives no envelope does not see the id.
        if schedule_id and len(tried) > _attempts_max(expected):
            self._check_count(expected, schedule_id, tried)
        return [expected.tag]

    def ended(self, invocation: Invocation) -> None:
        """Check that no message of a delivery with a known result comes again. A retry uses a new message."""
        if invocation.outcome != "returned" or invocation in self.unsent:
            return
        failures = (json.loads(invocation.answer) or {}).get("batchItemFailures", [])
        again = {failure["itemIdentifier"] for failure in failures}
        ids = [(message_id, _id_in(body)) for message_id, body in self.names.given(invocation)]
        alone = Counter(schedule_id for _, schedule_id in ids)
        for message_id, schedule_id in ids:
            made = [each for each in self.attempts.get(schedule_id, []) if each.invocation is invocation]
            if message_id in again and made and alone[schedule_id] == 1:
                self.report_violation(7, "", f"{schedule_id} was tried, and its message is to come again")

    # ------------------------------------------------------------------------------------------------------ failures

    def failure_reported(self, body: str) -> None:
        """Record a failure report that a failure target received."""
        content = json.loads(body)
        if content["reason"] == "refused":
            found = TAG.search(body)
            if found:
                self.expected_schedules[found.group()].reported.add("target")
            return
        self.reported.add(content["schedule"]["id"])

    def failed(self, expected: ExpectedSchedule, schedule_id: str, error: str) -> None:
        """Check that the target refused a failed delivery for good, or that the retry settings are exhausted."""
        tried = self.attempts.get(schedule_id, [])
        if "answers nobody" in error and expected.target_host != FINE:
            return
        if not tried:
            self.report_violation(1, expected.tag, f"{schedule_id} is given up, and was never tried: {error}")
            return
        over_ms = self._last_ms(expected, schedule_id) - PAUSE_S_MAX * 1000
        if any(each.permanent for each in tried) or self._timeline.now_us // 1000 >= over_ms:
            return
        if max(each.number for each in tried) < _attempts_max(expected):
            self.report_violation(1, expected.tag, f"{schedule_id} is given up before its terms are exhausted: {error}")

    # --------------------------------------------------------------------------------------------------- at the end

    def check(self, expected: ExpectedSchedule, troubles: list[tuple[int, int]]) -> None:
        for schedule_id, told_us in [*expected.failed.items(), *expected.expired.items()]:
            sends = expected.sends.get(schedule_id, [])
            # A repeat delivered it after the report.
            delivered = any(sent.at_us > told_us for sent in sends)
            # Step Functions has the execution once and says so.
            delivered = delivered or (":states:" in _address(expected) and bool(sends))
            # After a crash between two reports, the function may find a record that was cancelled or replaced since.
            settled = delivered or self.names.was_withdrawn(expected.name, schedule_id)
            if "failure_target" in expected.request and schedule_id not in self.reported and not settled:
                self.report_violation(1, expected.tag, f"its failure target got no report that {schedule_id} failed")
            if schedule_id in expected.failed and schedule_id not in self.names.kept:
                self.report_violation(1, expected.tag, f"{schedule_id} failed, and it is not kept")
        for schedule_id in sorted(expected.on_its_way):
            self._check_attempts(expected, schedule_id)
            if expected.name is None and schedule_id in self.attempts:
                self._check_lateness(expected, schedule_id, self.attempts[schedule_id][0], troubles)

    def _check_attempts(self, expected: ExpectedSchedule, schedule_id: str) -> None:
        """Check that each attempt is made once, or again only after an unknown outcome or a repeated message."""
        made = sorted(self.attempts.get(schedule_id, []), key=lambda attempt: attempt.call.begun_us)
        for number in {each.number for each in made}:
            for first, second in pairwise(each for each in made if each.number == number):
                if expected.asked <= 1 and not self.names.explains(
                    expected, schedule_id, first.invocation, second.invocation
                ):
                    self.report_violation(
                        7, expected.tag, f"attempt {number} of {schedule_id} is made twice, and nothing went wrong"
                    )
                    return

    def _check_count(self, expected: ExpectedSchedule, schedule_id: str, tried: list[Attempt]) -> None:
        """Check the number of attempts against the retry settings.

        A crash, an unknown outcome or a repeated message of SQS explains additional attempts.
        """
        timer_messages = self.names.timer_messages.get(schedule_id, [])
        receives = sum(
            timer_message.message.receives - 1 for timer_message in timer_messages if timer_message.message.receives > 1
        )
        first = sum(
            not {"attempt", "retry"} & json.loads(timer_message.body).keys() for timer_message in timer_messages
        )
        unsure = sum(not timer_message.confirmed for timer_message in timer_messages)
        excused = receives + max(0, first - 1) + unsure + max(0, expected.asked - 1)
        if len(tried) > _attempts_max(expected) * (1 + excused):
            self.report_violation(7, expected.tag, f"{schedule_id} was tried {len(tried)} times")

    def _check_lateness(
        self, expected: ExpectedSchedule, schedule_id: str, first: Attempt, troubles: list[tuple[int, int]]
    ) -> None:
        """Check the first attempt. It must not wait for the attempts of other deliveries."""
        due_us = expected.due_of(schedule_id) * 1000
        begun_us = first.call.begun_us + first.call.process.skew_us
        known_us = max(expected.accepted.get(schedule_id, 0), expected.requested_us)
        from_us = min(known_us, due_us) - (self.names.reach_s + 2 * self.interval_s) * US
        if expected.target_host not in (None, FINE) or schedule_id not in expected.accepted:
            return
        if any(begin_us <= begun_us and end_us >= max(from_us, expected.requested_us) for begin_us, end_us in troubles):
            return
        late_s = (begun_us - max(due_us, known_us + SKEW_US_MAX)) / US
        self.late_s_max = max(self.late_s_max, late_s)
        if late_s > self.names.late_s_allowed(due_us, begun_us) + 3 * self._faults.pace_s:
            self.report_violation(
                3, expected.tag, f"{schedule_id} is delivered {late_s:.3f} s late, and nothing went wrong"
            )


def _id_in(body: str) -> str:
    return str(json.loads(body).get("id", ""))


def _attempts_max(expected: ExpectedSchedule) -> int:
    return int(expected.request.get("retry", {}).get("attempts", ATTEMPTS_DEFAULT))


def _age_ms_max(expected: ExpectedSchedule) -> int:
    return int(expected.request.get("retry", {}).get("max_age_s", AGE_S_DEFAULT)) * 1000


def _address(expected: ExpectedSchedule) -> str:
    """Return the address of the target, or an empty string for a queue."""
    target = expected.target or ""
    return str(target if isinstance(target, str) else target.get("arn") or target["url"])


def _wanted(expected: ExpectedSchedule) -> str:
    """Return the body that the target must receive. It depends on the kind of target."""
    address, data = _address(expected), value(expected.text)
    if ":lambda:" in address or ":states:" in address:
        return json.dumps(expected.text, ensure_ascii=False) if isinstance(data, str) else expected.text
    if ":events:" in address and not isinstance(data, dict):
        return '{"data":' + (json.dumps(data, ensure_ascii=False) if isinstance(data, str) else expected.text) + "}"
    return expected.text


def _body(call: Call) -> str:
    parameters = call.parameters
    if call.operation == "invoke":
        payload = parameters.get("Payload", b"")
        return str(payload.decode())
    if call.operation == "put_events":
        return str(parameters["Entries"][0]["Detail"])
    field_of = {"publish": "Message", "start_execution": "input", "request": "body"}
    return str(parameters[field_of[call.operation]])


def _is_report(call: Call) -> bool:
    return call.operation == "publish" and "MessageAttributes" not in call.parameters


def _well(answer: dict[str, Any]) -> bool:
    return not answer.get("FailedEntryCount") and answer.get("status", 200) < 300


def _is_permanent(call: Call) -> bool:
    if isinstance(call.error, ClientError):
        return call.error.response["Error"]["Code"] in PERMANENT_CODES
    return call.answer is not None and call.answer.get("status") == 404
