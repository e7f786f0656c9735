"""Failure targets: queues and topics that hear of what was not delivered, beside the failure queue that always does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from scheduler import log
from scheduler.answers import code, confirmed
from scheduler.limits import SNS_MESSAGE_BYTES_MAX
from scheduler.targets import SNS, kind, queue_url

if TYPE_CHECKING:
    from scheduler.failures import Report


class Hearers:
    """`client_of` makes the client of a service, at first use."""

    def __init__(self, client_of: Callable[[str], Any], output_queue_url: str) -> None:
        self._client_of, self._output_queue_url = client_of, output_queue_url

    def tell(self, hearer: str, report: Report[Any]) -> None:
        """NotConfirmed where it is worth trying again. One that is gone or closed for good is not: the failure queue
        has the report, and what waits here waits for nothing."""
        try:
            if kind(hearer) == SNS:
                confirmed(self._client_of("sns").publish, TopicArn=hearer, Message=report.body(SNS_MESSAGE_BYTES_MAX))
            else:
                confirmed(
                    self._client_of("sqs").send_message,
                    QueueUrl=queue_url(hearer, self._output_queue_url),
                    MessageBody=report.body(),
                )
        except ClientError as failure:
            log.outcome("untold", hearer=hearer, error=code(failure))
