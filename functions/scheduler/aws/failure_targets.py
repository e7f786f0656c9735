"""Failure targets: queues and topics that hear of what was not delivered, beside the failure queue that always does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from scheduler import log
from scheduler.aws.calls import CONTENT_CODES, code, confirmed
from scheduler.limits import SNS_MESSAGE_BYTES_MAX, SQS_MESSAGE_BYTES_MAX, SQS_QUEUE_BYTES_MIN
from scheduler.model.targets import SNS, kind, queue_url

if TYPE_CHECKING:
    from scheduler.model.failure_report import Report


CONTENT = CONTENT_CODES | {"InvalidParameter"}
"""What SQS, and SNS, say of a message that is too long: how long it may be is up to the owner of the queue."""

SIZES_MAX = (SQS_MESSAGE_BYTES_MAX, SNS_MESSAGE_BYTES_MAX, SQS_QUEUE_BYTES_MIN)
"""As much as a message may have; what queues had as their longest until 2025, and have until somebody raises it; and
the least that an owner may set, which holds the facts and the beginning of the schedule."""


class FailureTargets:
    """`client_of` makes the client of a service, at first use."""

    def __init__(self, client_of: Callable[[str], Any], output_queue_url: str) -> None:
        self._client_of, self._output_queue_url = client_of, output_queue_url

    def tell(self, failure_target: str, report: Report[Any]) -> None:
        """NotConfirmed where it is worth trying again. One that is gone or closed for good is not: the failure queue
        has the report, and what waits here waits for nothing. Where it takes less, it hears less, marked as cut."""
        told, refusal = "", None
        for bytes_max in SIZES_MAX[1:] if kind(failure_target) == SNS else SIZES_MAX:
            body = report.body(bytes_max)
            if body == told:
                continue
            told, refusal = body, self._refusal(failure_target, body)
            if refusal is None:
                return
            if refusal not in CONTENT:
                break
        log.outcome("untold", failure_target=failure_target, error=refusal)

    def _refusal(self, failure_target: str, body: str) -> str | None:
        try:
            if kind(failure_target) == SNS:
                confirmed(self._client_of("sns").publish, TopicArn=failure_target, Message=body)
            else:
                url = queue_url(failure_target, self._output_queue_url)
                confirmed(self._client_of("sqs").send_message, QueueUrl=url, MessageBody=body)
        except ClientError as failure:
            return code(failure)
        return None
