"""Run the command against a stack that appends what it accepts to a file: `python recording_stack.py FILE ARGUMENT…`.

A schedule is in the file before its caller gets the answer, as in AWS. So a process that is killed leaves it there.
PAUSE_AT makes the stack hang once it has so many schedules, until there is a file with the ending `.go`.
"""

import io
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from punctual.cli import group
from punctual.cli.run import Run

PAUSE_AT = int(os.environ.get("PAUSE_AT", sys.maxsize))
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:schedule"


class RecordingStack:
    """A world for the command. It stores a line `<token> <place> <data>` for each schedule."""

    parallel = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def backend(self) -> "RecordingStack":
        return self

    def outputs(self) -> dict[str, str]:
        return {"ScheduleFunction": FUNCTION, "ManageFunction": FUNCTION}

    def client(self, service: str) -> Any:
        return self

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def new_token(self) -> str:
        return os.urandom(8).hex()

    def close(self) -> None:
        """Nothing is open."""

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - As boto3 names them.
        event = json.loads(Payload)
        while len(self._path.read_bytes().splitlines()) >= PAUSE_AT and not self._path.with_suffix(".go").exists():
            time.sleep(0.01)
        lines = [f"{event['token']} {place} {each['data']}\n" for place, each in enumerate(event["schedules"])]
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, "".join(lines).encode())
        os.close(file)
        results = [{"id": str(place), "timestamp": 1, "state": "stored"} for place in range(len(lines))]
        answer = {"accepted": len(lines), "rejected": 0, "results": results}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


if __name__ == "__main__":
    # A shell in the background ignores Ctrl-C for its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    world: Any = RecordingStack(Path(sys.argv[1]))
    sys.exit(group.run(sys.argv[2:], Run(world=world)))
