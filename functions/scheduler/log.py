"""One JSON line per outcome. A line holds ids and counts, but no payloads, tokens or secrets.

The functions log in Lambda's JSON format, at the level of the stack's parameter `LogLevel`. Lambda takes a printed line
for INFO unless the line has a level and also a timestamp in RFC 3339:
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
"""

import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, TypeVar

Result = TypeVar("Result")

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
INFO = "INFO"
LEVEL_OF = MappingProxyType(
    {
        "quarantined": "ERROR",
        "failed": "ERROR",
        "undelivered": "WARN",
        "canary missed": "WARN",
        "canary not accepted": "WARN",
        "untold": "WARN",
        "expired": "WARN",
        "postponed": "WARN",
        "put off": "WARN",
        "run not written": "WARN",
        "not confirmed": "WARN",
        "not corrected yet": "WARN",
        "not counted yet": "WARN",
        "not deleted": "WARN",
        "not helped": "WARN",
        "not measured": "WARN",
        "not put back": "WARN",
        "not read": "WARN",
        "secret not read": "WARN",
    }
)
"""Every other outcome is INFO. The alarm counts ERROR lines, because every `LogLevel` of the template keeps them."""


def _least() -> int:
    """Return the index of the lowest level to log. Lambda names the level in the function's environment."""
    level_name = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "")
    return LEVELS.index(level_name) if level_name in LEVELS else 0


_LEAST = _least()
_KEPT = LEVELS[max(_LEAST, LEVELS.index(INFO))]
"""A level that is logged in any case."""
_APPLICATION: ContextVar[str] = ContextVar("application", default="")


def about(application: str, work: Callable[..., Result], *arguments: Any) -> Result:
    """Call `work`. Meanwhile each log line of this thread names the application. The owner's lines name none."""
    if not application:
        return work(*arguments)
    token = _APPLICATION.set(application)
    try:
        return work(*arguments)
    finally:
        _APPLICATION.reset(token)


def outcome(name: str, **facts: object) -> None:
    """Print the log line of an outcome, unless the stack logs only higher levels."""
    level = LEVEL_OF.get(name, INFO)
    if LEVELS.index(level) < _LEAST:
        return
    _write(_line(name, facts, level))


def always(name: str, **facts: object) -> None:
    """Print the log line of an outcome at every `LogLevel`. Lambda would drop a line below the level of the stack."""
    _write(_line(name, facts, _KEPT))


def at_any_level(name: str, members: str) -> None:
    """Print a log line that every `LogLevel` keeps: it has the lowest level that the stack logs, and INFO at least.

    The members of its JSON object are given as text, because an invocation that is done in a millisecond prints one.
    """
    marks = "" if _KEPT == INFO else f", {json.dumps(_marks(_KEPT))[1:-1]}"
    _write(f'{{"outcome": "{name}", {members}{marks}}}')


def _line(name: str, facts: Mapping[str, object], level: str) -> str:
    application = _APPLICATION.get()
    whose = {"application": application} if application else {}
    return json.dumps({"outcome": name, **whose, **facts, **_marks(level)})


def _marks(level: str) -> dict[str, str]:
    """Return what tells Lambda the level of a line. A line of the level INFO needs nothing."""
    if level == INFO:
        return {}
    return {"level": level, "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def _write(line: str) -> None:
    """Print one log line in a single write.

    Lambda passes on every write to stdout at once. Lines of several threads would mix if a line took two writes.
    """
    print(line + "\n", end="", flush=True)


def where(failure: Exception) -> str:
    """Return the file and line that raised the failure, without its message, which may quote the schedule."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
