"""The promises about input messages: messages of the input queue and of the topic that feeds it.

No caller receives an answer to an input message. A message that the function reports to SQS as done therefore counts as
accepted. A refused request must be reported (1, 5).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from punctual.testing.calls import Call
from punctual.testing.services.environments import Invocation
from punctual.testing.services.queues import Message
from punctual.testing.timeline import US
from simulator.checks.decoding import REQUEUE_ATTRIBUTE, opened_message
from simulator.checks.names import invocation_of
from simulator.event_log import tag_of
from simulator.workload.expected import ExpectedSchedule

if TYPE_CHECKING:
    from simulator.checks.releases import Checker


SENT_ON_S_MAX = 5
"""A cold start plus the nine other messages of the batch."""
REPORTS_MAX = 8
"""The limit of reports of one refusal, apart from those of crashed invocations, which are repeated. A report also comes
again if its answer was lost, and SQS and SNS may deliver a message twice. A failure target that does not answer adds no
reports.
"""


class InputMessages:
    def __init__(self, checker: Checker) -> None:
        self._its = checker
        self.neighbours: list[ExpectedSchedule] = []
        """Schedules of a caller whose input messages were sent beside harmful messages of other callers."""
        self._reports: dict[str, list[Invocation | None]] = defaultdict(list)
        """The invocations that reported a refusal to the failure queue, by tag."""

    def check_all(self) -> None:
        """Check that harmful input messages of one caller delay no input messages of another (7)."""
        faults = self._its.faults
        fair = not (faults.rates or faults.outages or faults.pace_s)
        for expected in self.neighbours if fair else []:
            sends = [sent for each in expected.sends.values() for sent in each]
            late_us = min((sent.at_us for sent in sends), default=self._its.timeline.now_us) - expected.requested_us
            if late_us > SENT_ON_S_MAX * US:
                self._its.report_violation(7, expected.tag, f"its input message was sent on after {late_us / US:.1f} s")

    def posted(self, message: Message) -> None:
        """Record a message that arrived in the input queue. Its delays count from the time when it was sent."""
        again = message.attributes.get(REQUEUE_ATTRIBUTE, {}).get("StringValue")
        requests, sent_ms = opened_message(message.body, message.sent_us, again)
        for request in requests:
            expected = self._expected_of(request)
            if expected is None:
                continue
            expected.input_messages.add(message.id)
            if "delay" in request and not expected.fault:
                expected.due_ms = sent_ms + round(request["delay"] * 1000)

    def _members(self, invocation: Invocation) -> Iterator[tuple[ExpectedSchedule, str, int]]:
        """Yield the schedules in the invocation's messages, each with the message id and the time of sending."""
        for record in json.loads(invocation.payload)["Records"]:
            again = record["messageAttributes"].get(REQUEUE_ATTRIBUTE, {}).get("stringValue")
            requests, sent_ms = opened_message(record["body"], int(record["attributes"]["SentTimestamp"]) * 1000, again)
            for expected in map(self._expected_of, requests):
                if expected is not None:
                    yield expected, record["messageId"], sent_ms

    def brought(self, invocation: Invocation) -> None:
        """Count one more request for each member, because the invocation may end before it finishes the messages."""
        for expected, _, _ in self._members(invocation):
            expected.asked += 1

    def ended(self, invocation: Invocation) -> None:
        if invocation.outcome == "returned":
            self._taken_in(invocation)
            return
        for reporters in self._reports.values():
            reporters[:] = [each for each in reporters if each is not invocation]

    def _taken_in(self, invocation: Invocation) -> None:
        """Treat input messages that are done as accepted, except for the part that the function put back."""
        failed = {failure["itemIdentifier"] for failure in json.loads(invocation.answer)["batchItemFailures"]}
        for expected, message_id, sent_ms in self._members(invocation):
            if message_id in failed:
                continue
            expected.input_messages.discard(message_id)
            if expected.input_messages:
                continue
            self._note(expected, "input queue", "has its message deleted")
            if expected.fault:
                self._check_reported(expected)
            elif expected.name is not None:
                self._its.names.taken_in(expected, sent_ms)
            elif not expected.reported:
                self._check_taken_in(expected)

    def _check_reported(self, expected: ExpectedSchedule) -> None:
        wanted = {"queue"} | ({"target"} if "failure_target" in expected.request else set())
        if not wanted <= expected.reported:
            what = f"its input message is deleted, and its refusal was reported to {expected.reported} only"
            self._its.report_violation(5, expected.tag, what)

    def _check_taken_in(self, expected: ExpectedSchedule) -> None:
        if not expected.somewhere():
            self._its.report_violation(
                1, expected.tag, "its input message is deleted, and it is neither stored nor sent"
            )
        for schedule_id in sorted(expected.somewhere()):
            expected.accepted.setdefault(schedule_id, self._its.timeline.now_us)

    def refused(self, call: Call | None, queue: str, content: dict[str, Any]) -> None:
        """Check the report of a refused request from an input message. The report has the request as it came."""
        expected = self._expected_of(content["schedule"])
        if expected is None:
            return
        self._note(expected, "failure queue", f"hears no: {content['error'][:120]}")
        external = self._its.deliveries.external_targets
        failure_targets = {*external.failure_targets, external.unreachable} if external is not None else set()
        expected.reported.add("target" if queue in failure_targets else "queue")
        if queue not in failure_targets:
            self._reports[expected.tag].append(invocation_of(call) if call is not None else None)
        if len(self._reports[expected.tag]) > REPORTS_MAX:
            self._its.report_violation(
                7, expected.tag, f"the failure queue gets a report of it for the {REPORTS_MAX + 1}th time"
            )
        if expected.fault and expected.fault not in content["error"]:
            self._its.report_violation(
                5, expected.tag, f"the refusal does not name {expected.fault}: {content['error']}"
            )
        # The expiry may have passed in the meantime.
        may_be = expected.tag in self._its.refused_by_sqs or expected.expires_ms is not None
        may_be = (
            may_be or any(url == expected.queue_url for _, url in self._its.closed) or "given up" in content["error"]
        )
        if not expected.fault and not may_be and not (expected.name is not None and self._its.names.refused(expected)):
            self._its.report_violation(1, expected.tag, f"a good request is refused: {content['error']}")

    def _expected_of(self, request: dict[str, Any]) -> ExpectedSchedule | None:
        """Return the expected schedule of a request in an input message."""
        data = request.get("data")
        return self._its.expected_schedules.get(tag_of(data if isinstance(data, str) else json.dumps(data)))

    def _note(self, expected: ExpectedSchedule, who: str, what: str) -> None:
        self._its.event_log.add(self._its.timeline.now_us, who, what, [expected.tag])
