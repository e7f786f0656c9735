"""Turn the exceptions of boto3 into errors of Punctual, and say whether a call may have had an effect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from punctual.client.errors import AccessDenied, PunctualError, StackNotFound, Unreachable

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
THROTTLED = frozenset(
    {
        "EC2ThrottledException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "ResourceConflictException",
        "ResourceNotReadyException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""AWS did not begin the call. A throttled invocation has run no code, and neither has one during an update."""


OTHER_WAYS = {
    "cloudformation:DescribeStacks": ", use Scheduler.from_outputs, or set PUNCTUAL_SCHEDULE_FUNCTION and the others"
}


class Throttled(Unreachable):
    """AWS refused the call for now, without an effect."""


class Interrupted(Unreachable):
    """The call may have had an effect: its answer was lost, or AWS reports a fault of its own."""


class Refused(PunctualError):
    """AWS refused the call as wrong, with an error code that Punctual has no error of its own for."""


@contextmanager
def translated(action: str, advice: str = "") -> Iterator[None]:
    """Raise an error of Punctual for an exception of boto3. `action` is the IAM action, such as `sqs:SendMessage`.

    `advice` ends the error for a caller who may not call the action.
    """
    # Only imported when AWS is called: `import punctual` stays cheap.
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        raise _of_aws(error.response, action, advice) from error
    except BotoCoreError as error:
        raise _of_client(error, action) from error
    except ValueError as error:  # From botocore, for an endpoint that is no URL.
        if "endpoint" not in str(error):
            raise
        raise Unreachable(f"{error}; wanted: a URL such as http://127.0.0.1:4566", retryable=False) from error


def _of_aws(response: object, action: str, advice: str) -> PunctualError:
    facts = response if isinstance(response, dict) else {}
    error, meta = facts.get("Error", {}), facts.get("ResponseMetadata", {})
    code, message, status = error.get("Code", ""), error.get("Message", ""), meta.get("HTTPStatusCode", 0)
    request_id = meta.get("RequestId")
    if code in DENIED:
        other = advice or OTHER_WAYS.get(action, "")
        return AccessDenied(
            f"you may not call {action}: {message or code}; ask for this permission{other}", request_id=request_id
        )
    if code in BAD_CREDENTIALS:
        return Unreachable(
            f"AWS does not accept the credentials ({code}: {message}); renew them, for example with `aws sso login`",
            request_id=request_id,
            retryable=False,
        )
    if code in THROTTLED or status == 429:
        return Throttled(f"AWS cannot take {action} now ({code}: {message}); try later", request_id=request_id)
    if code == "ResourceNotFoundException" and action == "lambda:InvokeFunction":
        return StackNotFound(
            f"{message or 'the function does not exist'}; the stack was removed or replaced: make a new Scheduler",
            request_id=request_id,
        )
    if status >= 500:
        return Interrupted(f"AWS answered {action} with {code or status}: {message}", request_id=request_id)
    return Refused(f"AWS refused {action} with {code}: {message}", request_id=request_id)


def _of_client(error: Exception, action: str) -> PunctualError:
    from botocore import exceptions  # noqa: PLC0415

    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return Unreachable(
            "there are no AWS credentials; set AWS_PROFILE, run `aws configure`, or pass a session", retryable=False
        )
    if isinstance(error, exceptions.NoRegionError):
        return Unreachable("there is no AWS region; set AWS_DEFAULT_REGION or pass a session", retryable=False)
    if isinstance(error, exceptions.ProfileNotFound):
        return Unreachable(f"{error}; `aws configure list-profiles` lists what there is", retryable=False)
    if isinstance(error, exceptions.ConnectionError) and not isinstance(error, exceptions.SSLError):
        return Unreachable(f"{error}; check the network, the region and the endpoint URL")
    if isinstance(error, exceptions.HTTPClientError | exceptions.IncompleteReadError | exceptions.SSLError):
        return Interrupted(f"the answer to {action} was lost ({type(error).__name__}: {error})")
    if isinstance(error, exceptions.SSOError | exceptions.TokenRetrievalError):
        return Unreachable(f"{error}; run `aws sso login`", retryable=False)
    return Unreachable(f"{error}; check the AWS configuration", retryable=False)
