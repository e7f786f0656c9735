"""The command against the virtual AWS."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

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


@dataclass
class World:
    """The virtual stack with event source mappings, of which it knows nothing itself."""

    stack: Stack
    mappings: list[dict[str, Any]] = field(default_factory=list)
    refused: str | None = None

    def backend(self) -> Any:
        return _Backend(self)

    def outputs(self) -> dict[str, str]:
        return self.stack.outputs()


class _Backend:
    def __init__(self, world: World) -> None:
        self._world, self._virtual = world, world.stack.backend()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._virtual, name)

    def client(self, service: str) -> Any:
        client = self._virtual.client(service)
        return _Lambda(self._world, client) if service == "lambda" else client


class _Lambda:
    def __init__(self, world: World, virtual: Any) -> None:
        self._world, self.invoke = world, virtual.invoke

    def list_event_source_mappings(self, *, EventSourceArn: str, **more: str) -> dict[str, Any]:  # noqa: N803
        assert EventSourceArn == self._world.stack.output("OutputQueueArn")
        if self._world.refused:
            raise ClientError({"Error": {"Code": self._world.refused, "Message": "no"}}, "ListEventSourceMappings")
        return {"EventSourceMappings": self._world.mappings}


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
