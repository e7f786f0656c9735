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
