"""The command against the virtual AWS."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from punctual.cli import group
from punctual.cli.run import Run
from punctual.testing import Stack


@dataclass
class Ended:
    """What a command line left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on standard output."""
        (found,) = self.objects
        return found

    @property
    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Punctual = Callable[..., Ended]


@pytest.fixture
def stack() -> Stack:
    return Stack(WebhookHosts="api.example.com")


@pytest.fixture
def punctual(stack: Stack, capsys: pytest.CaptureFixture[str]) -> Punctual:
    """Run a command line against the stack: `punctual("get", "order/7")`."""

    def called(*arguments: str) -> Ended:
        status = group.run(arguments, Run(world=stack))
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return called


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Terminal]:
    """Sit at a terminal and type an answer. Return what the terminal shows of standard error."""

    def sit(answer: str) -> Terminal:
        shown = Terminal()
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        monkeypatch.setattr(sys, "stderr", shown)
        return shown

    return sit
