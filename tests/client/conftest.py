"""The client against the virtual stack, with faults of single invocations, and against answers that a test writes."""

from __future__ import annotations

import io
import json
import os
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from punctual import Scheduler
from punctual.testing import Stack
from punctual.testing.calls import Call, CallFault
from punctual.testing.services.aws_errors import refusal

START = 1_893_456_000
"""2030-01-01T00:00:00Z"""


class Line:
    """The line between the client and Lambda. It keeps the requests, and breaks as a test plans it."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.plan: deque[CallFault] = deque()
        self.each: Callable[[int], CallFault | None] = lambda number: None
        """Return the fault of the invocation with this number, for calls without a plan."""

    @property
    def last(self) -> Any:
        return self.requests[-1]

    def call_fault(self, call: Call) -> CallFault:
        if call.service != "lambda" or call.process.name != "outside":
            return CallFault(0.0, 0.0)
        self.requests.append(json.loads(call.parameters["Payload"]))
        planned = self.plan.popleft() if self.plan else self.each(len(self.requests))
        return planned or CallFault(0.0, 0.0)


class Faults:
    """Faults of an invocation."""

    @staticmethod
    def fine() -> CallFault:
        return CallFault(0.0, 0.0)

    @staticmethod
    def throttled() -> CallFault:
        return CallFault(0.0, 0.0, error_before=refusal("TooManyRequestsException", "Rate exceeded", 429))

    @staticmethod
    def lost() -> CallFault:
        """The function runs, and its answer never arrives."""
        return CallFault(0.0, 0.0, error_after=ReadTimeoutError(endpoint_url="https://lambda"))

    @staticmethod
    def broken() -> CallFault:
        return CallFault(0.0, 0.0, error_before=refusal("ServiceException", "Service unavailable", 503))

    @staticmethod
    def denied() -> CallFault:
        return CallFault(0.0, 0.0, error_before=refusal("AccessDeniedException", "not authorized to perform", 403))


@pytest.fixture
def stack() -> Stack:
    return Stack(start=START, PartitionCount=2)


@pytest.fixture
def line(stack: Stack) -> Line:
    line = Line()
    stack._cloud.network.faults = line
    return line


@pytest.fixture
def faults() -> type[Faults]:
    return Faults


@pytest.fixture
def scheduler(stack: Stack, line: Line) -> Scheduler:
    return Scheduler(stack)


OUTPUTS = {"ScheduleFunction": "schedule", "ManageFunction": "manage", "OutputQueueUrl": "http://queue"}


class Script:
    """A stack whose Lambda gives the answers of a test, one after the other. The last one repeats.

    Its clock moves while the client pauses.
    """

    parallel = False

    def __init__(self, *answers: Any) -> None:
        self.answers = deque(answers)
        self.requests: list[dict[str, Any]] = []
        self.now_s = float(START)
        self._tokens = count()

    def backend(self) -> Script:
        return self

    def outputs(self) -> dict[str, str]:
        return OUTPUTS

    def now(self) -> float:
        return self.now_s

    def steady(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def new_token(self) -> str:
        return f"token-{next(self._tokens)}"

    def lock(self) -> AbstractContextManager[object]:
        return nullcontext()

    def client(self, service: str) -> Script:
        assert service == "lambda"
        return self

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - As boto3 has it.
        self.requests.append(json.loads(Payload))
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        content = io.BytesIO(json.dumps(answer).encode())
        failed = isinstance(answer, dict) and ("errorType" in answer or "errorMessage" in answer)
        meta = {"ResponseMetadata": {"RequestId": "request-1"}, "Payload": content}
        return {**meta, "FunctionError": "Unhandled"} if failed else meta

    def close(self) -> None:
        """Have nothing to close."""


@pytest.fixture
def scripted() -> Callable[..., tuple[Scheduler, Script]]:
    """Return a scheduler that gets these answers, and what it asked."""

    def make(*answers: Any) -> tuple[Scheduler, Script]:
        script = Script(*answers)
        return Scheduler(script), script

    return make


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """Hide every AWS setting of this machine."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "PUNCTUAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch
