"""Call AWS, and classify its errors. Both batch calls and single calls follow these rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from botocore import exceptions
from botocore.exceptions import ClientError

from scheduler.errors import NotConfirmed, Undelivered

Answer = TypeVar("Answer")

SESSION_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
"""The session of our role has just ended. The next call uses a new one."""

TRANSIENT_CODES = frozenset(
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
        # Step Functions, until running executions have ended.
        "ExecutionLimitExceeded",
        # Lambda, while a function is created, updated or activated.
        "ResourceConflictException",
        "SnapStartNotReadyException",
        "CodeArtifactUserPendingException",
    }
)
"""4xx errors that go away by themselves. All 5xx errors do."""

TRANSIENT_STATUSES = frozenset({408, 425, 429})

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
"""Error codes of SQS for a message that it will never accept. Any other code for one message is about the queue."""


def confirmed(call: Callable[..., Answer], **arguments: Any) -> Answer:
    """Return the answer. Raise NotConfirmed if the call failed for now or its result is unknown.

    Every other error of AWS is raised as it is.
    """
    try:
        return call(**arguments)
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as failure:
        raise NotConfirmed(type(failure).__name__) from failure
    except ClientError as failure:
        if is_transient(code(failure), failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)):
            raise NotConfirmed(code(failure)) from failure
        raise


class ConditionFailed(Exception):
    """DynamoDB has written nothing, because the condition of the call does not hold."""

    def __init__(self, item: dict[str, Any]) -> None:
        super().__init__("the condition failed")
        self.item = item
        """The item that is there, if the call asks for it with ReturnValuesOnConditionCheckFailure. Or else empty."""


def conditional(call: Callable[..., Answer], **arguments: Any) -> Answer:
    """Return the answer of a write with a condition, as `confirmed` does. Raise ConditionFailed if it does not hold."""
    try:
        return confirmed(call, **arguments)
    except ClientError as failure:
        if code(failure) != "ConditionalCheckFailedException":
            raise
        response: Any = failure.response  # The type stubs lack the item.
        raise ConditionFailed(response.get("Item", {})) from failure


def query(
    client: Any,
    table_name: str,
    bounds: tuple[str, str, str],
    *,
    names: dict[str, str] | None = None,
    values: dict[str, Any] | None = None,
    **more: Any,
) -> Any:
    """Read the items of a partition from one sort key to another, both included.

    The read is strongly consistent unless `more` says otherwise.
    """
    partition, from_sort, to_sort = bounds
    found = {":partition": {"S": partition}, ":from": {"S": from_sort}, ":to": {"S": to_sort}}
    arguments = {
        "TableName": table_name,
        "KeyConditionExpression": "#partition = :partition AND #sort BETWEEN :from AND :to",
        "ExpressionAttributeNames": {"#partition": "partition", "#sort": "sort", **(names or {})},
        "ExpressionAttributeValues": {**found, **(values or {})},
        "ConsistentRead": True,
    }
    return confirmed(client.query, **{**arguments, **more})


def query_all(
    client: Any, table_name: str, bounds: tuple[str, str, str], pages_max: int, **more: Any
) -> Iterator[dict[str, Any]]:
    """Yield the items of up to `pages_max` pages."""
    for _ in range(pages_max):
        answer = query(client, table_name, bounds, **more)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        more["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def delivered(call: Callable[..., Answer], **arguments: Any) -> Answer:
    """Return the answer of a target, or raise Undelivered. It is permanent if the service rejects the call itself.

    Undelivered holds only the error code, because AWS's messages quote the data that was sent.
    """
    try:
        return confirmed(call, **arguments)
    except NotConfirmed as failure:
        timed_out, ours = isinstance(failure.__cause__, TIMEOUTS), str(failure) in SESSION_CODES
        raise Undelivered(str(failure), timed_out=timed_out, ours=ours) from failure
    except ClientError as failure:
        raise Undelivered(code(failure), permanent=True) from failure


def is_transient(error_code: str, status: int) -> bool:
    return status >= 500 or status in TRANSIENT_STATUSES or error_code in TRANSIENT_CODES


def code(failure: ClientError) -> str:
    """Return the error code without the prefix of SQS's older protocol, `AWS.SimpleQueueService.NonExistentQueue`."""
    return str(failure.response.get("Error", {}).get("Code", "Unknown")).removeprefix("AWS.SimpleQueueService.")
