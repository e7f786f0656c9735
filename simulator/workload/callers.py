"""Callers: clients with a network of their own that time out, retry, or die after a send.

An answer is a promise only if the caller received it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from punctual.testing.calls import ExternalProcess
from punctual.testing.cloud import Cloud
from punctual.testing.timeline import Crash
from simulator.checks.names import Names
from simulator.event_log import EventLog
from simulator.faults.faults import SKEW_US_MAX
from simulator.workload.expected import ExpectedSchedule
from simulator.workload.sharing import Sharing

CALL, QUEUE, TOPIC = "call", "queue", "topic"
"""The ways in: the schedule function, the input queue and the input topic."""
TRIES_MAX = 4
RETRY_WAIT_S_MAX = 20.0
PAGES_MAX = 50
DUSK_S = 253_402_300_800
"""The end of the year 9999."""


@dataclass(frozen=True)
class Change:
    """One call to the manage function.

    The call changes a name, an unnamed schedule by the id in its answer, or all names with a prefix.
    """

    at_us: int
    operation: str
    name: str = ""
    expected: ExpectedSchedule | None = None
    more: dict[str, Any] = field(default_factory=dict)
    becomes: ExpectedSchedule | None = None
    """The schedule that a change of the data makes."""
    at_ms: int | None = None
    """The time that a change gives. None if it keeps the time."""
    spread_ms: int = 0


@dataclass
class Submission:
    """One call with a schedule or a batch of them. An input message receives no answer and may arrive twice."""

    at_us: int
    expected_schedules: list[ExpectedSchedule]
    batch: bool
    token: str | None
    tries: int
    way: str = CALL
    must: bool = False
    """Nothing fails on this day, so the order must succeed within its tries."""


class Callers:
    """Send the orders and record the answers."""

    def __init__(
        self,
        cloud: Cloud,
        event_log: EventLog,
        randomness: random.Random,
        report_violation: Callable[[int, str, str], None],
        unacceptable: Container[str],
        names: Names,
        *,
        sharing: Sharing,
    ) -> None:
        self._cloud, self._event_log, self._randomness = cloud, event_log, randomness
        self._report_violation, self._unacceptable, self._names = report_violation, unacceptable, names
        self._sharing = sharing
        self._count = 0

    def begin(self, submission: Submission) -> None:
        if self._sharing.on and any(each.name is not None for each in submission.expected_schedules):
            submission.way = CALL  # The input queue is the owner's.
        if submission.way == CALL:
            for expected in submission.expected_schedules:
                expected.application = self._sharing.of(submission.expected_schedules)
        self._at(submission.at_us, lambda: self._ask(submission) if submission.way == CALL else self._post(submission))

    def change(self, change: Change) -> None:
        expected = change.expected
        if expected is not None and change.operation == "redrive":
            self._at(change.at_us, lambda: self._redrive(expected))
        elif expected is not None:
            self._at(change.at_us, lambda: self._change_by_id(change, expected))
        elif change.operation == "cancel_where":
            self._at(change.at_us, lambda: self._sweep(change))
        elif change.operation == "list":
            self._at(change.at_us, lambda: self._list(change))
        elif change.operation == "failures":
            self._at(change.at_us, lambda: self._list_failures(change))
        else:
            self._at(change.at_us, lambda: self._change(change))

    def _at(self, at_us: int, work: Callable[[], None]) -> None:
        self._cloud.timeline.at(at_us, lambda: self._spawn(work))

    def _spawn(self, work: Callable[[], None]) -> None:
        self._cloud.timeline.spawn(work)

    def _ask(self, submission: Submission) -> None:
        process = self._external_process()
        for _ in range(submission.tries):
            try:
                done = self._try(submission, process)
            except Crash:
                self._note(process, "died before it heard the answer", submission.expected_schedules)
                return
            if done:
                return
            self._cloud.timeline.sleep(self._randomness.uniform(0.1, RETRY_WAIT_S_MAX))
        if submission.must:
            left = next(expected for expected in submission.expected_schedules if not expected.accepted)
            self._report_violation(
                1, left.tag, f"asked for {submission.tries} times on a day without faults, and never accepted"
            )

    def _try(self, submission: Submission, process: ExternalProcess) -> bool:
        requests: list[Any] = [expected.request for expected in submission.expected_schedules]
        event: Any = requests[0]
        if submission.batch:
            event = {"schedules": requests, "token": submission.token} if submission.token else requests
        event = self._for_application(event, submission.expected_schedules[0].application)
        for expected in submission.expected_schedules:
            expected.requested_us = expected.requested_us or self._cloud.timeline.now_us
            expected.asked += 1
            expected.in_doubt += 1
            expected.repeatable = expected.repeatable or submission.token is not None
        self._note(process, "asks", submission.expected_schedules)
        client = self._cloud.client("lambda", process)
        try:
            answer = client.invoke(
                FunctionName=self._cloud.output("ScheduleFunction"), Payload=json.dumps(event).encode()
            )
        except (ClientError, BotoCoreError) as error:
            self._note(process, f"hears nothing: {type(error).__name__}", submission.expected_schedules)
            return False
        content = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            return self._read_error(submission, process, content)
        return self._read_results(submission, process, content)

    def _for_application(self, event: Any, application: str) -> Any:
        """Return the event, which names the application unless it is the owner."""
        if not application:
            return event
        return {**({"schedules": event} if isinstance(event, list) else event), **self._sharing.field(application)}

    def _read_error(self, submission: Submission, process: ExternalProcess, content: dict[str, Any]) -> bool:
        kind, message = content["errorType"], content["errorMessage"]
        if kind != "InvalidSchedule":
            self._note(process, f"hears {kind}: {message[:120]}", submission.expected_schedules)
            return False
        for expected in submission.expected_schedules:
            self._refuse(expected, message, process)
        return True

    def _read_results(self, submission: Submission, process: ExternalProcess, content: dict[str, Any]) -> bool:
        results = content["results"] if submission.batch else [content]
        if len(results) != len(submission.expected_schedules):
            self._report_violation(
                1,
                submission.expected_schedules[0].tag,
                f"{len(results)} answers to {len(submission.expected_schedules)} requests",
            )
        done = True
        for expected, result in zip(submission.expected_schedules, results, strict=False):
            if "id" in result:
                self._accept(expected, result, process)
            elif result["error"] == "InvalidSchedule":
                self._refuse(expected, result["message"], process)
            else:
                self._note(process, f"hears {result['error']}: {result['message'][:120]}", [expected])
                done = False
        return done

    def _accept(self, expected: ExpectedSchedule, result: dict[str, Any], process: ExternalProcess) -> None:
        expected.in_doubt -= 1
        schedule_id = result["id"]
        due_ms = round(result["timestamp"] * 1000)
        self._note(process, f"hears {result['state']} as {schedule_id}", [expected])
        if expected.fault:
            self._report_violation(5, expected.tag, f"a bad request was accepted: {expected.request}")
        if expected.name is not None:
            self._names.accepted(expected, result)
        if result.get("result") == "kept":
            return
        if expected.due_ms is None:
            expected.due_ms = due_ms
        if "delay" in expected.request and not self._plausible(expected, due_ms):
            self._report_violation(
                2, expected.tag, f"accepted for {due_ms}, asked for with {expected.request['delay']} s to go"
            )
        if expected.spread_ms and expected.dues.setdefault(schedule_id, due_ms) != due_ms:
            self._report_violation(
                2, expected.tag, f"accepted for {due_ms}, and it is due at {expected.dues[schedule_id]}"
            )
        if not expected.may_be_due(due_ms) and "timestamp" in expected.request:
            self._report_violation(2, expected.tag, f"accepted for {due_ms}, asked for {expected.due_ms}")
        expected.accepted.setdefault(schedule_id, self._cloud.timeline.now_us)
        if (
            expected.name is None
            and schedule_id not in expected.stored
            and schedule_id not in expected.sends
            and schedule_id not in expected.on_its_way
            and schedule_id not in expected.quarantined
        ):
            self._report_violation(1, expected.tag, "accepted, but neither stored nor sent")

    def _plausible(self, expected: ExpectedSchedule, due_ms: int) -> bool:
        """Return whether a due time fits a delay.

        The delay counts from some time between the first request and the answer. The clock of the function may be
        slightly off.
        """
        delay_ms, now_ms = expected.request["delay"] * 1000, self._cloud.timeline.now_us // 1000
        return bool(expected.requested_us // 1000 + delay_ms - 1000 <= due_ms <= now_ms + delay_ms + 1000)

    def _refuse(self, expected: ExpectedSchedule, message: str, process: ExternalProcess) -> None:
        expected.in_doubt -= 1
        expected.refused += 1
        self._note(process, f"hears no: {message[:120]}", [expected])
        if expected.name is not None and not expected.fault and self._names.refused(expected):
            return
        if not expected.fault and expected.tag not in self._unacceptable:
            self._report_violation(1, expected.tag, f"a good request is refused: {message}")
        if expected.fault and expected.fault not in message:
            self._report_violation(5, expected.tag, f"the refusal does not name {expected.fault}: {message}")

    # --------------------------------------------------------------------------------------------------- input messages

    def _post(self, submission: Submission) -> None:
        process = self._external_process()
        for expected in submission.expected_schedules:
            expected.requested_us, expected.repeatable, expected.by_message = self._cloud.timeline.now_us, True, True
        self._note(process, f"posts to the {submission.way}", submission.expected_schedules)
        requests: Any = [expected.request for expected in submission.expected_schedules]
        if not submission.batch:
            (requests,) = requests
        elif submission.token:
            requests = {"schedules": requests, "token": submission.token}
        text = json.dumps(requests)
        try:
            if submission.way == TOPIC:
                topic = self._cloud.output("InputTopicArn")
                self._cloud.client("sns", process).publish(TopicArn=topic, Message=text)
            else:
                url = self._cloud.output("InputQueueUrl")
                self._cloud.client("sqs", process).send_message(QueueUrl=url, MessageBody=text)
        except (ClientError, BotoCoreError, Crash) as error:
            self._note(process, f"hears nothing: {type(error).__name__}", submission.expected_schedules)

    def post_raw(self, body: str, attributes: dict[str, Any]) -> None:
        """Send an input message whose outcome no checker waits for."""
        process, url = self._external_process(), self._cloud.output("InputQueueUrl")

        def post() -> None:
            client = self._cloud.client("sqs", process)
            with suppress(ClientError, BotoCoreError, Crash):
                client.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)

        self._spawn(post)

    # ------------------------------------------------------------------------------------------------------ changes

    def _change_by_id(self, change: Change, expected: ExpectedSchedule) -> None:
        """Change an unnamed schedule by the id in the caller's answer, if there was an answer."""
        process, schedule_id = self._external_process(), next(iter(expected.accepted), None)
        if schedule_id is None:
            return
        requested_us = self._cloud.timeline.now_us
        expected.withdrawing.setdefault(schedule_id, set()).add(change.operation)
        if change.becomes is not None:
            change.becomes.take_over(expected)
            expected.successors.append(change.becomes)
        kept_ms = expected.due_of(schedule_id)
        event = {"operation": change.operation, "id": schedule_id, **change.more}
        content = self._manage({**event, **self._sharing.field(expected.application)}, process, [expected])
        if content is None or "errorType" in content:
            return
        expected.reported_withdrawn.add(schedule_id)
        if schedule_id not in expected.withdrawn:
            self._report_violation(6, expected.tag, f"{schedule_id} is said to be out of the way, and is not")
        if change.operation != "cancel":
            self._moved(change, change.becomes or expected, content, requested_us, kept_ms)

    def _moved(
        self, change: Change, expected: ExpectedSchedule, content: dict[str, Any], requested_us: int, kept_ms: int
    ) -> None:
        """Check the answer to a move, change or fire: it has another id and a due time."""
        new_id, due_ms = content["id"], round(content["timestamp"] * 1000)
        expected.accepted.setdefault(new_id, self._cloud.timeline.now_us)
        if new_id not in expected.somewhere():
            self._report_violation(
                1, expected.tag, f"it is said to be moved to {new_id}, which is neither stored nor sent"
            )
        if due_ms != expected.due_of(new_id):
            self._report_violation(
                2, expected.tag, f"{new_id} is said to be due at {due_ms}, and is at {expected.due_of(new_id)}"
            )
        from_ms = (requested_us - SKEW_US_MAX) // 1000
        to_ms = (self._cloud.timeline.now_us + SKEW_US_MAX) // 1000
        if change.operation == "move":
            from_ms = to_ms = round(change.more["timestamp"] * 1000)
        elif change.operation == "change":
            from_ms = kept_ms if change.at_ms is None else change.at_ms
            to_ms = from_ms + change.spread_ms
        if not from_ms <= due_ms <= to_ms:
            self._report_violation(2, expected.tag, f"{new_id} is due at {due_ms} by {change.operation} to {from_ms}")

    def _redrive(self, expected: ExpectedSchedule) -> None:
        """Redrive by the id in the caller's answer. Repeat until an answer says that nothing is left."""
        process, schedule_id = self._external_process(), next(iter(expected.accepted), None)
        if schedule_id is None:
            return
        event: dict[str, Any] = {"operation": "redrive", "id": schedule_id}
        event |= self._sharing.field(expected.application)
        for _ in range(TRIES_MAX):
            content = self._manage(event, process, [expected])
            if content is not None and content.get("errorType") != "NotConfirmed":
                if content.get("next") is None:
                    return
                event["next"] = content["next"]
            self._cloud.timeline.sleep(self._randomness.uniform(0.1, RETRY_WAIT_S_MAX))

    def _change(self, change: Change) -> None:
        """Make the change once. A caller without an answer knows nothing about the result."""
        process, requested_us = self._external_process(), self._cloud.timeline.now_us
        event = {"operation": change.operation, "name": change.name, **change.more}
        whose = self._sharing.field(self._sharing.of_names(change.name))
        content = self._manage({**event, **whose}, process, [])
        if content is None:
            return
        if "errorType" in content:
            self._names.denied(change.name, content["errorType"], requested_us)
        elif change.operation == "cancel":
            self._names.cancelled(change.name, content["id"])
        else:
            self._names.moved(change.name, content)
            due_ms, at_ms = round(content["timestamp"] * 1000), change.at_ms
            if at_ms is not None and not at_ms <= due_ms <= at_ms + change.spread_ms:
                self._report_violation(2, "", f"{content['id']} is due at {due_ms} by a change to {at_ms}")

    def _sweep(self, change: Change) -> None:
        """Cancel page by page to the end, unless a call fails."""
        process, requested_us = self._external_process(), self._cloud.timeline.now_us
        events = [
            {"operation": change.operation, **change.more, **self._sharing.field(each)}
            for each in self._sharing.each_of_prefix(change.more["prefix"])
        ]
        event = events.pop()
        for _ in range(PAGES_MAX):
            content = self._manage(event, process, [])
            if content is None or "errorType" in content:
                return
            if content["next"] is None and events:
                event = events.pop()
                continue
            if content["next"] is None:
                from_ms, to_ms = round(change.more.get("from", 0) * 1000), round(change.more.get("to", DUSK_S) * 1000)
                self._names.swept(change.more["prefix"], from_ms, to_ms, requested_us)
                return
            event["next"] = content["next"]
        self._report_violation(4, "", f"a sweep of {change.more} comes to no end")

    def _list(self, change: Change) -> None:
        """List all pages up to `PAGES_MAX`, unless a call fails."""
        process, requested_us = self._external_process(), self._cloud.timeline.now_us
        event, seen = {"operation": change.operation, **change.more, **self._sharing.field_for_all()}, list[str]()
        for _ in range(PAGES_MAX):
            content = self._manage(event, process, [])
            if content is None or "errorType" in content:
                return
            seen += [schedule["id"] for schedule in content["schedules"]]
            if content["next"] is None:
                span_ms = round(change.more["from"] * 1000), round(change.more["to"] * 1000)
                self._names.listed(seen, *span_ms, requested_us)
                return
            event["next"] = content["next"]

    def _list_failures(self, change: Change) -> None:
        """List all pages of failures. What was in the table before and after must be among them."""
        process, from_ms = self._external_process(), round(change.more["from"] * 1000)
        owed, seen = self._names.lying_failures(from_ms), list[str]()
        event = {"operation": change.operation, **change.more, **self._sharing.field_for_all()}
        for _ in range(PAGES_MAX):
            content = self._manage(event, process, [])
            if content is None or "errorType" in content:
                return
            seen += [failure["id"] for failure in content["failures"]]
            if content["next"] is None:
                self._names.failures_listed(seen, owed & self._names.lying_failures(from_ms))
                return
            event["next"] = content["next"]

    def _manage(
        self, event: dict[str, Any], process: ExternalProcess, expected_schedules: list[ExpectedSchedule]
    ) -> dict[str, Any] | None:
        """Return the answer or the error of the function, or None if the caller received no answer."""
        self._note(process, f"wants {json.dumps(event)}", expected_schedules)
        function, payload = self._cloud.output("ManageFunction"), json.dumps(event).encode()
        try:
            answer = self._cloud.client("lambda", process).invoke(FunctionName=function, Payload=payload)
        except (ClientError, BotoCoreError, Crash) as error:
            self._note(process, f"hears nothing: {type(error).__name__}", expected_schedules)
            return None
        content: dict[str, Any] = json.loads(answer["Payload"].read())
        self._note(process, f"hears {str(content)[:160]}", expected_schedules)
        return content

    def _external_process(self) -> ExternalProcess:
        self._count += 1
        return ExternalProcess(f"caller {self._count}")

    def _note(self, process: ExternalProcess, what: str, expected_schedules: list[ExpectedSchedule]) -> None:
        self._event_log.add(
            self._cloud.timeline.now_us, process.name, what, (expected.tag for expected in expected_schedules)
        )
