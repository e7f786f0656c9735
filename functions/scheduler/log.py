"""One JSON line per outcome. Ids and counts go in; payloads, tokens and secrets do not."""

import json
import traceback


def outcome(name: str, **facts: object) -> None:
    """In one write with its end: Lambda's stdout passes every write on at once, and those of threads mix."""
    print(json.dumps({"outcome": name, **facts}) + "\n", end="", flush=True)


def where(failure: Exception) -> str:
    """The line that raised it. The message is left out: it may hold what was in the schedule."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
