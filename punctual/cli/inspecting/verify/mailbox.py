"""Receive the messages of one run of `verify` from its queues, and delete them. Messages of others go back at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from punctual.cli.errors import CommandFailed
from punctual.cli.inspecting.subject import Subject
from punctual.cli.inspecting.verify.idle import Queue
from punctual.receiving.output_queue import BATCH_MAX, OutputQueue

MARK = "punctual-verify"
"""The field of the data that names the run."""
HIDDEN_S = 30
PAUSE_S = 0.1
FOREIGN_MAX = 20
"""This many messages of others end the run, because each receive counts towards the limit of the queue."""


class Number(NamedTuple):
    """The place of a schedule in the run. Its message carries it."""

    way: str
    number: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message of this run, and when SQS first handed it out."""

    id: str
    version: int
    received_s: float


def data(run_id: str, way: str, number: int, version: int = 1) -> dict[str, object]:
    """Return the data of a schedule of this run. A changed schedule has the version 2."""
    return {MARK: run_id, "way": way, "number": number, "version": version}


@dataclass
class Mailbox:
    """The queues that this run reads."""

    subject: Subject
    queues: Sequence[Queue]
    run_id: str
    arrivals: dict[Number, list[Arrival]] = field(default_factory=dict)
    foreign: int = 0
    _taken: dict[str, dict[str, bool]] = field(default_factory=dict)
    """The messages that were received and are still hidden, by queue and receipt, and whether they are of `verify`.

    Ctrl-C may come before they are deleted.
    """

    def look(self, wait_s: int) -> None:
        """Receive what is there. Without a message it takes up to `wait_s`, or a short pause if that is 0."""
        found = 0
        for queue in self.queues:
            found += self._receive(queue, wait_s // len(self.queues))
        if not found and wait_s < len(self.queues):
            self.subject.run.backend.sleep(PAUSE_S)

    def _receive(self, queue: Queue, wait_s: int) -> int:
        received = self.subject.ask(
            "sqs:ReceiveMessage",
            "sqs",
            "receive_message",
            QueueUrl=queue.url,
            MaxNumberOfMessages=BATCH_MAX,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=HIDDEN_S,
            MessageAttributeNames=["All"],
            AttributeNames=["ApproximateFirstReceiveTimestamp"],
        ).get("Messages", [])
        now_s = self.subject.run.backend.now()
        for message in received:
            self._taken.setdefault(queue.url, {})[message["ReceiptHandle"]] = _content(message["Body"]) is not None
        found = sum(self._noted(message, now_s) for message in received)
        self.settle()
        if found < len(received):
            self._refuse_more_of(len(received) - found, queue)
        return found

    def settle(self) -> None:
        """Delete the messages of this run that were taken, and give those of others back."""
        for url, taken in self._taken.items():
            sqs = OutputQueue(self.subject.run.backend, url)
            ours, others = ([receipt for receipt, its in taken.items() if its is kind] for kind in (True, False))
            for start in range(0, len(ours), BATCH_MAX):
                sqs.delete_many(ours[start : start + BATCH_MAX])
            for start in range(0, len(others), BATCH_MAX):
                sqs.hide(dict.fromkeys(others[start : start + BATCH_MAX], 0))
            taken.clear()

    def _refuse_more_of(self, count: int, queue: Queue) -> None:
        self.foreign += count
        if self.foreign > FOREIGN_MAX:
            raise CommandFailed(
                f"others send messages to {queue.label} meanwhile: try at a quiet time, or name a queue with --via",
                code="QueueInUse",
            )

    def _noted(self, message: Mapping[str, Any], now_s: float) -> bool:
        """Note a message of this run. Return whether it is of this or an earlier run, and may be deleted."""
        content = _content(message["Body"])
        if content is None:
            return False
        if content.get(MARK) == self.run_id:
            first_ms = message.get("Attributes", {}).get("ApproximateFirstReceiveTimestamp")
            attributes = message.get("MessageAttributes", {})
            arrival = Arrival(
                id=attributes.get("id", {}).get("StringValue", ""),
                version=int(content["version"]),
                received_s=int(first_ms) / 1000 if first_ms else now_s,
            )
            self.arrivals.setdefault(Number(content["way"], content["number"]), []).append(arrival)
        return True


def _content(body: str) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and MARK in content else None
