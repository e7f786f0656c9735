"""The errors of the virtual AWS, with botocore's own exceptions, codes and statuses."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError


def refusal(code: str, message: str = "", status: int = 400, **more: Any) -> ClientError:
    """Return the exception that boto3 raises for this error of AWS."""
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": 0},
        **more,
    }
    return ClientError(response, "Call")


def invalid(message: str) -> ClientError:
    """Return DynamoDB's error for a request that can never succeed."""
    return refusal("ValidationException", message)


def throttled(table: str) -> ClientError:
    return refusal(
        "ThrottlingException", f"Throughput exceeds the current capacity of your table or index: {table}", 400
    )


def only(request: dict[str, Any], known: set[str]) -> None:
    """Raise NotImplementedError if a request to DynamoDB has another parameter than these."""
    for parameter in request:
        if parameter not in known:
            raise NotImplementedError(f"the virtual DynamoDB does not know the parameter {parameter} here")


def returned(request: dict[str, Any], *known: str) -> str:
    wanted = str(request.get("ReturnValues", "NONE"))
    if wanted not in known:
        raise NotImplementedError(f"the virtual DynamoDB returns no {wanted} here")
    return wanted
