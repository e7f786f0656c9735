"""Failure targets: queues and topics that get reports of failures, in addition to the failure queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from scheduler import log
from scheduler.aws.calls import CONTENT_CODES, code, confirmed
from scheduler.limits import SNS_MESSAGE_BYTES_MAX, SQS_MESSAGE_BYTES_MAX, SQS_QUEUE_BYTES_MIN
from scheduler.model.targets import SNS, kind, queue_url

if TYPE_CHECKING:
    from scheduler.model.failure_report import Report


CONTENT = CONTENT_CODES | {"InvalidParameter"}
"""Error codes of SQS and SNS for a message that is too long. The owner of a queue sets its limit."""

SIZES_MAX = (SQS_MESSAGE_BYTES_MAX, SNS_MESSAGE_BYTES_MAX, SQS_QUEUE_BYTES_MIN)
"""The sizes to try in turn: the largest message there is, the largest that queues accepted until 2025 and many still
do, and the least limit that an owner may set. The last has room for the facts and the beginning of the schedule."""


class FailureTargets:
    """Sends reports. `client_of` returns the client of a service, and creates it at first use."""

    def __init__(self, client_of: Callable[[str], Any], output_queue_url: str) -> None:
        self._client_of, self._output_queue_url, self._application = client_of, output_queue_url, ""

    def of(self, application: str) -> FailureTargets:
        """Return the same for the reports of an application, which say so."""
        theirs = FailureTargets(self._client_of, self._output_queue_url)
        theirs._application = application
        return theirs

    def notify(self, failure_target: str, report: Report[Any]) -> None:
        """Send the report. Raise NotConfirmed if it is worth another try.

        If the target is missing or denies access for good, log that and return: the failure queue has the report. If
        the target accepts only shorter messages, truncate the report and mark it as truncated.
        """
        reported, refusal = "", None
        report = replace(report, application=self._application)
        for bytes_max in SIZES_MAX[1:] if kind(failure_target) == SNS else SIZES_MAX:
            body = report.body(bytes_max)
            if body == reported:
                continue
            reported, refusal = body, self._refusal(failure_target, body)
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
