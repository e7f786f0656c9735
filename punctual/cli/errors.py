"""The errors of the command itself, and the exit status and one line of every other error."""

import os
from typing import Any

DONE, FAILED, WRONG_USAGE, NOT_FOUND, REJECTED, UNREACHABLE, TOO_LATE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130

STATUS = {
    "InvalidSchedule": REJECTED,
    "InvalidRequest": REJECTED,
    "NotFound": NOT_FOUND,
    "StackNotFound": NOT_FOUND,
    "OnItsWay": TOO_LATE,
    "NotConfirmed": UNREACHABLE,
    "Unreachable": UNREACHABLE,
    "BotoCoreError": UNREACHABLE,
}
"""The exit status of an error by the name of its class. Names spare the import of boto3."""
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
    for kind in type(error).__mro__:
        if kind.__name__ in STATUS or kind.__name__ == "PunctualError":
            return STATUS.get(kind.__name__, FAILED), _of_client(error)
    if isinstance(error, OSError):
        return FAILED, {"error": "Failed", "message": one_line(error.strerror or error) + _path(error)}
    message = f"{type(error).__name__}: {one_line(error)} (this is a fault of punctual; {DEBUG_VARIABLE}=1 shows where)"
    return FAILED, {"error": "Fault", "message": message}


def _of_client(error: Exception) -> dict[str, Any]:
    """Return the fields that errors of the client have."""
    fields: dict[str, Any] = {"error": getattr(error, "code", None) or type(error).__name__, "message": one_line(error)}
    for name in ("field", "retryable", "request_id"):
        if getattr(error, name, None) is not None:
            fields[name] = getattr(error, name)
    return fields


def _path(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""


def one_line(text: object) -> str:
    """Return a message without line breaks and control characters."""
    return " ".join("".join(each if each.isprintable() or each.isspace() else "?" for each in str(text)).split())


def debugging() -> bool:
    """Tell whether the user wants to see tracebacks."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
