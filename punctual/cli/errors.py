"""The errors of the command itself, and the exit status and one line of every other error."""

import os
from typing import Any

from punctual.client.errors import (
    InvalidRequest,
    InvalidSchedule,
    NotConfirmed,
    NotFound,
    OnItsWay,
    PunctualError,
    StackNotFound,
    Unreachable,
)

DONE, FAILED, WRONG_USAGE, NOT_FOUND, REJECTED, UNREACHABLE, TOO_LATE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130

STATUS: tuple[tuple[type[PunctualError], int], ...] = (
    (InvalidSchedule, REJECTED),
    (InvalidRequest, REJECTED),
    (NotFound, NOT_FOUND),
    (StackNotFound, NOT_FOUND),
    (OnItsWay, TOO_LATE),
    (NotConfirmed, UNREACHABLE),
    (Unreachable, UNREACHABLE),
)
"""The exit status of each error of the client. Every other error is 1."""
HINTS = {
    "or pass a session": "or add --profile",
    "set AWS_DEFAULT_REGION or add --profile": "set AWS_DEFAULT_REGION or add --region",
    "give another name or region, or use Scheduler.from_outputs": "give another name with --stack or another --region",
    ", use Scheduler.from_outputs, or set": " or set",
    ": make a new Scheduler": ": check --stack and --region",
}
"""Advice of the client for Python, and the same advice for the command line."""
DEBUG_VARIABLE = "PUNCTUAL_DEBUG"


class CommandFailed(Exception):
    """Ends the command with one line. `code` names the error with `--json`."""

    status = FAILED
    code = "Failed"

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = self.status if status is None else status
        self.code = self.code if code is None else code


class WrongUsage(CommandFailed):
    """The command line makes no sense. The message says what to write instead."""

    status = WRONG_USAGE
    code = "WrongUsage"


class Declined(CommandFailed):
    """The user was asked and did not say yes."""

    code = "Declined"


def described(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return the exit status of an error, and what `--json` shows of it: `error`, `message` and what else is known."""
    if isinstance(error, CommandFailed):
        return error.status, {"error": error.code, "message": one_line(error)}
    if isinstance(error, PunctualError):
        return next((status for kind, status in STATUS if isinstance(error, kind)), FAILED), _of_client(error)
    if isinstance(error, OSError):
        return FAILED, {"error": "Failed", "message": one_line(error.strerror or error) + _path(error)}
    message = f"{type(error).__name__}: {one_line(error)} (this is a fault of punctual; {DEBUG_VARIABLE}=1 shows where)"
    return FAILED, {"error": "Fault", "message": message}


def _of_client(error: PunctualError) -> dict[str, Any]:
    """Return what an error of the client says. `field` and `request_id` are there if they are known."""
    optional = {"field": error.field, "request_id": error.request_id}
    known = {name: value for name, value in optional.items() if value is not None}
    return {"error": error.code, "message": _advice(error), "retryable": error.retryable, **known}


def _advice(error: PunctualError) -> str:
    message = one_line(error)
    for in_python, here in HINTS.items():
        message = message.replace(in_python, here)
    return message


def _path(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""


def one_line(text: object) -> str:
    """Return a message without line breaks and control characters."""
    return " ".join("".join(each if each.isprintable() or each.isspace() else "?" for each in str(text)).split())


def debugging() -> bool:
    """Tell whether the user wants to see tracebacks."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
