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
from simulator.checks.decoding import AGAIN, letter
from simulator.event_log import tag_of
from simulator.workload.expected import Wish

if TYPE_CHECKING:
    from simulator.checks.releases import Witness


LETTER_S = 5
"""A cold start, and nine others in the batch."""
REPORTS_MAX = 8
"""Of one refusal: a crash repeats it, and SQS and SNS may bring a letter twice. A deaf failure target does not."""


class Letters:
    def __init__(self, witness: Witness) -> None:
        self._its = witness
        self.neighbours: list[Wish] = []
        """By the letter of somebody beside whose letters others of all kinds were sent."""
        self._reports: Counter[str] = Counter()

    def check_all(self) -> None:
        """Of one caller's letters none delays another's, or makes the failure queue hear the same for ever (7)."""
        storm = self._its.storm
        fair = not (storm.rates or storm.outages or storm.pace_s)
        for wish in self.neighbours if fair else []:
            sends = [sent for each in wish.sends.values() for sent in each]
            late_us = min((sent.at_us for sent in sends), default=self._its.timeline.now_us) - wish.asked_us
            if late_us > LETTER_S * US:
                self._its.breach(7, wish.tag, f"its letter was sent on after {late_us / US:.1f} s")

    def posted(self, message: Message) -> None:
        """A letter is in the input queue: from when it was sent its delays count."""
        again = message.attributes.get(AGAIN, {}).get("StringValue")
        requests, sent_ms = letter(message.body, message.sent_us, again)
        for request in requests:
            wish = self._wished(request)
            if wish is None:
                continue
            wish.letters.add(message.id)
            if "delay" in request and not wish.fault:
                wish.due_ms = sent_ms + round(request["delay"] * 1000)

    def _members(self, invocation: Invocation) -> Iterator[tuple[Wish, str, int]]:
        """Who asked by the letters that it was brought; the message that each was in, and when that was sent."""
        for record in json.loads(invocation.payload)["Records"]:
            again = record["messageAttributes"].get(AGAIN, {}).get("stringValue")
            requests, sent_ms = letter(record["body"], int(record["attributes"]["SentTimestamp"]) * 1000, again)
            for wish in map(self._wished, requests):
                if wish is not None:
                    yield wish, record["messageId"], sent_ms

    def brought(self, invocation: Invocation) -> None:
        """Once more each time, for it may end before it is done with them."""
        for wish, _, _ in self._members(invocation):
            wish.asked += 1

    def taken_in(self, invocation: Invocation) -> None:
        """Letters that SQS is told to be done with are as good as accepted, but for what was put back."""
        failed = {failure["itemIdentifier"] for failure in json.loads(invocation.answer)["batchItemFailures"]}
        for wish, message_id, sent_ms in self._members(invocation):
            if message_id in failed:
                continue
            wish.letters.discard(message_id)
            if wish.letters:
                continue
            self._note(wish, "input queue", "has its letter done with")
            if wish.fault:
                self._check_told(wish)
            elif wish.name is not None:
                self._its.names.taken_in(wish, sent_ms)
            elif not wish.told:
                self._check_taken_in(wish)

    def _check_told(self, wish: Wish) -> None:
        wanted = {"queue"} | ({"target"} if "failure_target" in wish.request else set())
        if not wanted <= wish.told:
            self._its.breach(5, wish.tag, f"its letter is done with, and of who is to hear why only {wish.told} did")

    def _check_taken_in(self, wish: Wish) -> None:
        if not wish.somewhere():
            self._its.breach(1, wish.tag, "its letter is done with, and it is neither stored nor sent")
        for schedule_id in sorted(wish.somewhere()):
            wish.accepted.setdefault(schedule_id, self._its.timeline.now_us)

    def refused(self, queue: str, content: dict[str, Any]) -> None:
        """Of a letter: what can never be accepted, as it came."""
        wish = self._wished(content["schedule"])
        if wish is None:
            return
        self._note(wish, "failure queue", f"hears no: {content['error'][:120]}")
        others = self._its.deliveries.others
        hearers = {*others.hearers, others.deaf} if others is not None else set()
        wish.told.add("target" if queue in hearers else "queue")
        self._reports[wish.tag] += queue not in hearers
        if self._reports[wish.tag] > REPORTS_MAX:
            self._its.breach(7, wish.tag, f"the failure queue hears of it for the {REPORTS_MAX + 1}th time")
        if wish.fault and wish.fault not in content["error"]:
            self._its.breach(5, wish.tag, f"the refusal does not name {wish.fault}: {content['error']}")
        may_be = wish.tag in self._its.refused_by_sqs or wish.expires_ms is not None  # Which may have passed meanwhile.
        may_be = may_be or any(url == wish.queue_url for _, url in self._its.closed) or "given up" in content["error"]
        if not wish.fault and not may_be and not (wish.name is not None and self._its.names.refused(wish)):
            self._its.breach(1, wish.tag, f"a good request is refused: {content['error']}")

    def _wished(self, request: dict[str, Any]) -> Wish | None:
        """By what stands in a letter."""
        data = request.get("data")
        return self._its.wishes.get(tag_of(data if isinstance(data, str) else json.dumps(data)))

    def _note(self, wish: Wish, who: str, what: str) -> None:
        self._its.chronicle.add(self._its.timeline.now_us, who, what, [wish.tag])
