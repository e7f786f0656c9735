"""How AWS says no, and what each no means to us. Both batch calls and single ones are read by these rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from botocore import exceptions
from botocore.exceptions import ClientError

from scheduler.errors import NotConfirmed

Answer = TypeVar("Answer")

PASSING = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "TooManyRequestsException",
        "LimitExceededException",
        "TransactionInProgressException",
        "RequestTimeout",
        "RequestTimeoutException",
        "PriorRequestNotComplete",
        "KmsThrottled",
        "KMS.ThrottlingException",
    }
)
"""Errors of the 4xx kind that go away by themselves; those of the 5xx kind all do."""


def confirmed(call: Callable[..., Answer], **arguments: Any) -> Answer:
    """The answer; NotConfirmed where it failed for now or nobody knows; AWS's own error where it means something."""
    try:
        return call(**arguments)
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as failure:
        raise NotConfirmed(type(failure).__name__) from failure
    except ClientError as failure:
        if passing(code(failure), failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)):
            raise NotConfirmed(code(failure)) from failure
        raise


def passing(error_code: str, status: int) -> bool:
    return status >= 500 or error_code in PASSING


def code(failure: ClientError) -> str:
    """Without the prefix that the older protocol of SQS has: AWS.SimpleQueueService.NonExistentQueue."""
    return str(failure.response.get("Error", {}).get("Code", "Unknown")).removeprefix("AWS.SimpleQueueService.")
