"""One JSON line per outcome. Ids and counts go in; payloads, tokens and secrets do not.

The functions log in Lambda's JSON format, at the level of the stack's parameter `LogLevel`. Lambda takes a printed line
for INFO unless it names a level, and believes the level only beside a timestamp in RFC 3339:
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
"""

import json
import os
import time
import traceback
from types import MappingProxyType

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
INFO = "INFO"
LEVEL_OF = MappingProxyType(
    {
        "quarantined": "ERROR",
        "failed": "ERROR",
        "undelivered": "WARN",
        "untold": "WARN",
        "expired": "WARN",
        "postponed": "WARN",
        "put off": "WARN",
        "not confirmed": "WARN",
        "not deleted": "WARN",
        "not helped": "WARN",
        "not put back": "WARN",
        "secret not read": "WARN",
    }
)
"""Every other outcome is INFO. The alarm counts an ERROR, so that it works at every level that the template allows."""


def _least() -> int:
    """The place of the level that Lambda was told to keep. Lambda names it in the environment of the function."""
    told = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "")
    return LEVELS.index(told) if told in LEVELS else 0


_LEAST = _least()


def outcome(name: str, **facts: object) -> None:
    """In one write with its end: Lambda's stdout passes every write on at once, and those of threads mix."""
    level = LEVEL_OF.get(name, INFO)
    if LEVELS.index(level) < _LEAST:
        return
    marks = {} if level == INFO else {"level": level, "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    print(json.dumps({"outcome": name, **facts, **marks}) + "\n", end="", flush=True)


def where(failure: Exception) -> str:
    """The line that raised it. The message is left out: it may hold what was in the schedule."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
