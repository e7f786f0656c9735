"""How AWS says no, and what each no means to us. Both batch calls and single ones are read by these rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from botocore import exceptions
from botocore.exceptions import ClientError

from scheduler.errors import NotConfirmed, Undelivered

Answer = TypeVar("Answer")

SESSION_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
"""A session of our role that has just ended: the next call has another."""

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
        "KMSThrottling",
        "KmsThrottlingException",
        *SESSION_CODES,
        # Of Step Functions, until running executions have ended.
        "ExecutionLimitExceeded",
        # Of Lambda, while a function is being made, updated or woken.
        "ResourceConflictException",
        "SnapStartNotReadyException",
        "CodeArtifactUserPendingException",
    }
)
"""Errors of the 4xx kind that go away by themselves; those of the 5xx kind all do."""

PASSING_STATUSES = frozenset({408, 425, 429})

TIMEOUTS = (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError)

CONTENT_CODES = frozenset(
    {
        "InvalidMessageContents",
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "InvalidAttributeValue",
        "MissingParameter",
        "MessageTooLong",
        "BatchRequestTooLong",
    }
)
"""What SQS says of a message that it will never take. What else it says of a message alone is about the queue."""


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


def delivered(call: Callable[..., Answer], **arguments: Any) -> Answer:
    """The answer of a target; Undelivered where there is none, for good where its service says no to this. Of what
    came the code alone is told: messages quote what was sent."""
    try:
        return confirmed(call, **arguments)
    except NotConfirmed as failure:
        timed_out, ours = isinstance(failure.__cause__, TIMEOUTS), str(failure) in SESSION_CODES
        raise Undelivered(str(failure), timed_out=timed_out, ours=ours) from failure
    except ClientError as failure:
        raise Undelivered(code(failure), permanent=True) from failure


def passing(error_code: str, status: int) -> bool:
    return status >= 500 or status in PASSING_STATUSES or error_code in PASSING


def code(failure: ClientError) -> str:
    """Without the prefix that the older protocol of SQS has: AWS.SimpleQueueService.NonExistentQueue."""
    return str(failure.response.get("Error", {}).get("Code", "Unknown")).removeprefix("AWS.SimpleQueueService.")
