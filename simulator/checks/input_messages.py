"""What becomes of letters: messages of the input queue, and of the topic that feeds it. Nobody hears an answer, so one
that SQS is told to be done with is as good as accepted, and of what is refused somebody has to be told (1, 5).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from punctual.testing.functions import Invocation
from punctual.testing.sqs import Message
from punctual.testing.timeline import US
from simulator.checks.decoding import REQUEUE_ATTRIBUTE, letter
from simulator.event_log import tag_of
from simulator.workload.expected import ExpectedSchedule

if TYPE_CHECKING:
    from simulator.checks.releases import Checker


LETTER_S = 5
"""A cold start, and nine others in the batch."""
REPORTS_MAX = 8
"""Of one refusal: a crash repeats it, and SQS and SNS may bring a letter twice. A deaf failure target does not."""


class Letters:
    def __init__(self, checker: Checker) -> None:
        self._its = checker
        self.neighbours: list[ExpectedSchedule] = []
        """By the letter of somebody beside whose letters others of all kinds were sent."""
        self._reports: Counter[str] = Counter()

    def check_all(self) -> None:
        """Of one caller's letters none delays another's, or makes the failure queue hear the same for ever (7)."""
        storm = self._its.storm
        fair = not (storm.rates or storm.outages or storm.pace_s)
        for expected in self.neighbours if fair else []:
            sends = [sent for each in expected.sends.values() for sent in each]
            late_us = min((sent.at_us for sent in sends), default=self._its.timeline.now_us) - expected.asked_us
            if late_us > LETTER_S * US:
                self._its.breach(7, expected.tag, f"its letter was sent on after {late_us / US:.1f} s")

    def posted(self, message: Message) -> None:
        """A letter is in the input queue: from when it was sent its delays count."""
        again = message.attributes.get(REQUEUE_ATTRIBUTE, {}).get("StringValue")
        requests, sent_ms = letter(message.body, message.sent_us, again)
        for request in requests:
            expected = self._wished(request)
            if expected is None:
                continue
            expected.letters.add(message.id)
            if "delay" in request and not expected.fault:
                expected.due_ms = sent_ms + round(request["delay"] * 1000)

    def _members(self, invocation: Invocation) -> Iterator[tuple[ExpectedSchedule, str, int]]:
        """Who asked by the letters that it was brought; the message that each was in, and when that was sent."""
        for record in json.loads(invocation.payload)["Records"]:
            again = record["messageAttributes"].get(REQUEUE_ATTRIBUTE, {}).get("stringValue")
            requests, sent_ms = letter(record["body"], int(record["attributes"]["SentTimestamp"]) * 1000, again)
            for expected in map(self._wished, requests):
                if expected is not None:
                    yield expected, record["messageId"], sent_ms

    def brought(self, invocation: Invocation) -> None:
        """Once more each time, for it may end before it is done with them."""
        for expected, _, _ in self._members(invocation):
            expected.asked += 1

    def taken_in(self, invocation: Invocation) -> None:
        """Letters that SQS is told to be done with are as good as accepted, but for what was put back."""
        failed = {failure["itemIdentifier"] for failure in json.loads(invocation.answer)["batchItemFailures"]}
        for expected, message_id, sent_ms in self._members(invocation):
            if message_id in failed:
                continue
            expected.letters.discard(message_id)
            if expected.letters:
                continue
            self._note(expected, "input queue", "has its letter done with")
            if expected.fault:
                self._check_told(expected)
            elif expected.name is not None:
                self._its.names.taken_in(expected, sent_ms)
            elif not expected.told:
                self._check_taken_in(expected)

    def _check_told(self, expected: ExpectedSchedule) -> None:
        wanted = {"queue"} | ({"target"} if "failure_target" in expected.request else set())
        if not wanted <= expected.told:
            self._its.breach(
                5, expected.tag, f"its letter is done with, and of who is to hear why only {expected.told} did"
            )

    def _check_taken_in(self, expected: ExpectedSchedule) -> None:
        if not expected.somewhere():
            self._its.breach(1, expected.tag, "its letter is done with, and it is neither stored nor sent")
        for schedule_id in sorted(expected.somewhere()):
            expected.accepted.setdefault(schedule_id, self._its.timeline.now_us)

    def refused(self, queue: str, content: dict[str, Any]) -> None:
        """Of a letter: what can never be accepted, as it came."""
        expected = self._wished(content["schedule"])
        if expected is None:
            return
        self._note(expected, "failure queue", f"hears no: {content['error'][:120]}")
        others = self._its.deliveries.others
        hearers = {*others.hearers, others.deaf} if others is not None else set()
        expected.told.add("target" if queue in hearers else "queue")
        self._reports[expected.tag] += queue not in hearers
        if self._reports[expected.tag] > REPORTS_MAX:
            self._its.breach(7, expected.tag, f"the failure queue hears of it for the {REPORTS_MAX + 1}th time")
        if expected.fault and expected.fault not in content["error"]:
            self._its.breach(5, expected.tag, f"the refusal does not name {expected.fault}: {content['error']}")
        may_be = (
            expected.tag in self._its.refused_by_sqs or expected.expires_ms is not None
        )  # Which may have passed meanwhile.
        may_be = (
            may_be or any(url == expected.queue_url for _, url in self._its.closed) or "given up" in content["error"]
        )
        if not expected.fault and not may_be and not (expected.name is not None and self._its.names.refused(expected)):
            self._its.breach(1, expected.tag, f"a good request is refused: {content['error']}")

    def _wished(self, request: dict[str, Any]) -> ExpectedSchedule | None:
        """By what stands in a letter."""
        data = request.get("data")
        return self._its.expected_schedules.get(tag_of(data if isinstance(data, str) else json.dumps(data)))

    def _note(self, expected: ExpectedSchedule, who: str, what: str) -> None:
        self._its.event_log.add(self._its.timeline.now_us, who, what, [expected.tag])
