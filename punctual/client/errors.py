"""The errors that the client raises. Each message says what is wrong and what to do."""

from __future__ import annotations


class PunctualError(Exception):
    """The base of all errors of Punctual.

    `code` is the name of the error, `field` the field of the request that is at fault, `retryable` whether the same
    call may succeed later, and `request_id` the id of the AWS request.
    """

    code = "PunctualError"
    retryable = False

    def __init_subclass__(cls) -> None:
        """Name the code after the class, if the class is a public one."""
        super().__init_subclass__()
        if cls.__module__ == __name__:
            cls.code = cls.__name__

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        request_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.request_id = request_id
        if retryable is not None:
            self.retryable = retryable


class InvalidSchedule(PunctualError, ValueError):
    """The request breaks a rule, and nothing was stored. Change it before you send it again."""


class InvalidRequest(PunctualError):
    """The manage function cannot carry out the request. Change it before you send it again."""


class NotFound(PunctualError):
    """The schedule never existed, or was cancelled, moved, replaced, failed or expired."""


class OnItsWay(PunctualError):
    """Too late: the schedule is delivered, in its queue, or too close to its time."""


class NotConfirmed(PunctualError):
    """AWS did not confirm the call, so it may or may not have had an effect."""

    retryable = True


class FunctionFailed(NotConfirmed):
    """A function of the stack raised an error that Punctual does not know. Its log says more."""


class StackNotFound(PunctualError):
    """The stack does not exist in this account and region, or lacks an output that the call needs."""


class AccessDenied(PunctualError):
    """The caller has no permission for the AWS action that the message names."""


class Unreachable(PunctualError):
    """AWS cannot be reached: credentials or a region are missing, or the endpoint does not answer."""

    retryable = True


class InvalidSignature(PunctualError):
    """A webhook is not signed with one of the secrets, or is too old."""
