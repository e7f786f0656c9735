"""The queues in SQS. Schedules are sent with the delay that is left until they are due, and reports of failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from scheduler.aws.calls import CONTENT_CODES, code, confirmed, is_transient
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.limits import SQS_BATCH_BYTES_MAX, SQS_BATCH_MESSAGES_MAX
from scheduler.model import delivery_job
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.payloads import attributes, body
from scheduler.model.schedule import Schedule
from scheduler.model.targets import goes_straight, group, queue_url

if TYPE_CHECKING:
    from scheduler.model.failure_report import Report

Thing = TypeVar("Thing")
Entry = dict[str, Any]

ATTRIBUTES_BYTES_MAX = 4_096
"""More than the names, types and values of our message attributes can need: id, due, a name of 128 and a user of 256
characters, and an application."""

DELAYED = "ApproximateNumberOfMessagesDelayed"
VISIBLE = "ApproximateNumberOfMessages"
IN_FLIGHT = "ApproximateNumberOfMessagesNotVisible"

QUEUE_CODES = frozenset({"NonExistentQueue", "QueueDoesNotExist", "AccessDenied", "AccessDeniedException"})
"""Error codes about the queue: no message of the batch needs to be tried alone. KMS codes count as such too."""


class Queues:
    def __init__(
        self,
        client: Any,
        output_queue_url: str,
        failure_queue_url: str = "",
        delivery_queue_url: str = "",
        lead_ms: int = 0,
    ) -> None:
        self.output_queue_url = output_queue_url
        self._client, self._failure_queue_url = client, failure_queue_url
        self._delivery_queue_url, self._lead_ms = delivery_queue_url, lead_ms
        self._application = ""

    def of(self, application: str) -> Queues:
        """Return the same queues for an application. Each message that they send carries it."""
        theirs = copy(self)
        theirs._application = application
        return theirs

    def url_of(self, schedule: Schedule) -> str:
        """Return the queue that the schedule goes to next: its own, or the delivery queue."""
        if schedule.name is not None or not goes_straight(schedule.target):
            return self._delivery_queue_url
        return queue_url(schedule.target, self.output_queue_url)

    def is_stack_queue(self, url: str) -> bool:
        """Return whether this is a queue of the stack. Sending to those is never given up."""
        return url in (self.output_queue_url, self._delivery_queue_url)

    def batches(self, queue_url: str, schedules: Iterable[Schedule]) -> Iterator[list[Schedule]]:
        application = self._application
        if queue_url == self._delivery_queue_url:
            return _cut(schedules, lambda schedule: _bytes(delivery_job.body(DeliveryJob(schedule), application)))
        return _cut(schedules, lambda schedule: _bytes(body(schedule, application)))

    def send(self, queue_url: str, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]:
        """Send one batch, each message with the delay that is left at `now_ms`."""
        if queue_url == self._delivery_queue_url:
            return self._send(queue_url, schedules, [self._job_entry(DeliveryJob(each), now_ms) for each in schedules])
        return self._send(queue_url, schedules, [_entry(each, now_ms, self._application) for each in schedules])

    def send_job(self, job: DeliveryJob, now_ms: int) -> BatchResult[DeliveryJob]:
        """Send one delivery job, which becomes visible when its schedule is due."""
        return self._send(self._delivery_queue_url, [job], [self._job_entry(job, now_ms)])

    def report(self, reports: Sequence[Report[Thing]]) -> BatchResult[Report[Thing]]:
        """Send one batch to the failure queue. The rest counts as not attempted."""
        application = self._application
        # Make each body once: it may be large.
        written = ((report, replace(report, application=application).body()) for report in reports)
        batch = next(_cut(written, lambda pair: _bytes(pair[1])))
        entries = [{"MessageBody": body} for _, body in batch]
        outcome = self._send(self._failure_queue_url, [report for report, _ in batch], entries)
        outcome.not_attempted += reports[len(batch) :]
        return outcome

    def send_to_delivery(self, schedules: Sequence[Schedule], now_ms: int) -> BatchResult[Schedule]:
        """Send one batch to the delivery queue, whatever its targets are. The rest counts as not attempted."""
        url = self._delivery_queue_url
        batch = next(self.batches(url, schedules))
        outcome = self.send(url, batch, now_ms)
        outcome.not_attempted += schedules[len(batch) :]
        return outcome

    def approximate_counts(self) -> dict[str, int | None]:
        """Return how many messages are delayed in the output queue, and how many deliveries the delivery queue holds.

        SQS gives approximate numbers. The number is None without the permission to ask, or without the queue.
        """
        return {
            "output": self._approximate_count(self.output_queue_url, DELAYED),
            "delivery": self._approximate_count(self._delivery_queue_url, DELAYED, VISIBLE, IN_FLIGHT),
        }

    def message_counts(self, queue_url: str) -> dict[str, int] | None:
        """Return about how many messages any queue of the stack holds, by their state, or None as above."""
        try:
            answer = confirmed(
                self._client.get_queue_attributes, QueueUrl=queue_url, AttributeNames=[VISIBLE, DELAYED, IN_FLIGHT]
            )
        except ClientError:
            return None
        states = {"visible": VISIBLE, "delayed": DELAYED, "in_flight": IN_FLIGHT}
        return {state: int(answer.get("Attributes", {}).get(name, "0")) for state, name in states.items()}

    def _approximate_count(self, queue_url: str, *attributes: str) -> int | None:
        try:
            answer = confirmed(self._client.get_queue_attributes, QueueUrl=queue_url, AttributeNames=list(attributes))
        except ClientError:
            return None
        return sum(int(answer.get("Attributes", {}).get(each, "0")) for each in attributes)

    def _job_entry(self, job: DeliveryJob, now_ms: int) -> Entry:
        delay_s = delivery_job.delay_s(job, now_ms, self._lead_ms)
        entry = {"MessageBody": delivery_job.body(job, self._application), "DelaySeconds": delay_s}
        shared = group(job.schedule.target, self._application)
        # The group lets SQS share fairly: while messages for one host pile up, it hands out the others first.
        return entry if shared is None else {**entry, "MessageGroupId": shared}

    def _send(self, queue_url: str, things: Sequence[Thing], entries: Sequence[Entry]) -> BatchResult[Thing]:
        """Send one batch. SQS answers with success even if it lists some messages as failed.

        If SQS rejects a whole batch, the content of one message may be the reason. Then each is sent alone, so that one
        message does not block the others, until one is not confirmed.
        """
        numbered = [{"Id": str(index), **entry} for index, entry in enumerate(entries)]
        try:
            answer = confirmed(self._client.send_message_batch, QueueUrl=queue_url, Entries=numbered)
        except NotConfirmed as failure:
            return BatchResult(unconfirmed=list(things), last_error=str(failure))
        except ClientError as failure:
            reason = code(failure)
            if _is_about_the_queue(reason):
                return BatchResult(unavailable=[(thing, reason) for thing in things])
            if len(things) == 1:
                result = [(things[0], reason)]
                return BatchResult(rejected=result) if reason in CONTENT_CODES else BatchResult(unavailable=result)
            total: BatchResult[Thing] = BatchResult()
            for index, (thing, entry) in enumerate(zip(things, entries, strict=True)):
                if total.unconfirmed:
                    total.unconfirmed += things[index:]
                    break
                total.add(self._send(queue_url, [thing], [entry]))
            return total
        return _read(answer, things)


def _read(answer: dict[str, Any], things: Sequence[Thing]) -> BatchResult[Thing]:
    """Read the answer. Only entries under `Successful` are confirmed. An entry in neither list is unconfirmed."""
    if len(answer.get("Successful", [])) == len(things):
        return BatchResult(confirmed=list(things))
    outcome: BatchResult[Thing] = BatchResult()
    done = {int(entry["Id"]) for entry in answer.get("Successful", [])}
    failed = {int(entry["Id"]): entry for entry in answer.get("Failed", [])}
    for index, thing in enumerate(things):
        if index in done:
            outcome.confirmed.append(thing)
            continue
        entry = failed.get(index, {"Code": "NoAnswer", "SenderFault": False})
        reason = entry["Code"].removeprefix("AWS.SimpleQueueService.")
        if not entry["SenderFault"] or is_transient(reason, 400):
            outcome.unconfirmed.append(thing)
            outcome.last_error = reason
        elif reason in CONTENT_CODES:
            outcome.rejected.append((thing, reason))
        else:
            outcome.unavailable.append((thing, reason))
    return outcome


def _is_about_the_queue(reason: str) -> bool:
    return reason in QUEUE_CODES or reason.startswith(("Kms", "KMS"))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _entry(schedule: Schedule, now_ms: int, application: str) -> Entry:
    return {
        "MessageBody": body(schedule, application),
        "DelaySeconds": schedule.delay_s(now_ms),
        "MessageAttributes": attributes(schedule, application),
    }


def _cut(things: Iterable[Thing], bytes_of: Callable[[Thing], int]) -> Iterator[list[Thing]]:
    """Yield batches of at most ten messages and one mebibyte. Ten schedules may have 256 KiB each."""
    batch: list[Thing] = []
    batch_bytes = 0
    for thing in things:
        thing_bytes = bytes_of(thing) + ATTRIBUTES_BYTES_MAX
        if batch and (len(batch) == SQS_BATCH_MESSAGES_MAX or batch_bytes + thing_bytes > SQS_BATCH_BYTES_MAX):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(thing)
        batch_bytes += thing_bytes
    if batch:
        yield batch
