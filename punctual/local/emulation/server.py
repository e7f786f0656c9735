"""Run ministack, and let the errors of functions have the types that Lambda gives them.

Lambda answers with the class of the exception, such as `InvalidSchedule`. ministack 1.5.33 answers with
`Runtime.HandlerError` for every exception of a Python function. It keeps the traceback for the log, and the last line
of a traceback has the class. So this program reads the class there, and hands it to the caller.

The supervisor starts it in place of `python -m ministack`.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

PLACEHOLDER = "Runtime.HandlerError"
EXECUTE = "_execute_function_warm"
"""ministack's function that runs a Python function of ours. The result has `body`, `error` and `log`."""

_CLASS = re.compile(r"([A-Za-z_]\w*\.)*(?P<name>[A-Za-z_]\w*)")

Result = dict[str, Any]


def exception_name(message: str, log: str) -> str | None:
    """Return the name of the exception whose traceback ends the log, or None if the log does not end with one."""
    ending = f": {message}".rstrip() if message else ""
    text = log.rstrip()
    if not text.endswith(ending):
        return None
    line = text.removesuffix(ending).rpartition("\n")[2]
    found = _CLASS.fullmatch(line)
    return found["name"] if found else None


def with_error_type(result: Result) -> Result:
    """Return the result of a function. If it is an error without its type, add the type."""
    body = result.get("body")
    if not result.get("error") or not isinstance(body, dict) or body.get("errorType") != PLACEHOLDER:
        return result
    name = exception_name(str(body.get("errorMessage", "")), str(result.get("log") or ""))
    return result if name is None else result | {"body": body | {"errorType": name}}


def with_error_types(execute: Callable[..., Result]) -> Callable[..., Result]:
    @functools.wraps(execute)
    def typed(*arguments: Any, **named: Any) -> Result:
        return with_error_type(execute(*arguments, **named))

    return typed


def main() -> None:
    from ministack import app  # noqa: PLC0415 - A test of the functions above needs no ministack.
    from ministack.services import lambda_svc  # noqa: PLC0415 - As above.

    # Another version of ministack may lack the function. Its error types then stay as they are.
    if hasattr(lambda_svc, EXECUTE):
        setattr(lambda_svc, EXECUTE, with_error_types(getattr(lambda_svc, EXECUTE)))
    app.main()


if __name__ == "__main__":
    main()
