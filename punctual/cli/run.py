"""One run of the command: the global options, the way to AWS, and the output. Every subcommand receives it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import click

from punctual.cli.output import Output

if TYPE_CHECKING:
    import boto3

STACK_DEFAULT = "punctual"


class World(Protocol):
    """What a test puts in the place of AWS: `punctual.testing.Stack`."""

    @property
    def now(self) -> float: ...

    def client(self, service: str) -> Any: ...


@dataclass
class Run:
    """The global options, and what follows from them. `world` replaces AWS in tests."""

    stack: str = STACK_DEFAULT
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    output: Output = field(default_factory=Output)
    world: World | None = None

    def now(self) -> datetime:
        """Return the time. All times of one run that are relative count from their own call."""
        return datetime.fromtimestamp(self.world.now if self.world else time.time(), UTC)

    def session(self) -> boto3.Session:
        """Return a boto3 session with the profile and the region of the command line."""
        import boto3

        return boto3.Session(profile_name=self.profile, region_name=self.region)

    def client(self, service: str) -> Any:
        """Return a boto3 client for a service of AWS, with the endpoint of the command line."""
        if self.world is not None:
            return self.world.client(service)
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self.endpoint_url)  # type: ignore[call-overload]
        return self._clients[service]

    @functools.cached_property
    def _session(self) -> boto3.Session:
        return self.session()

    @functools.cached_property
    def _clients(self) -> dict[str, Any]:
        return {}


pass_run: Callable[[Callable[..., Any]], Callable[..., Any]] = click.make_pass_decorator(Run, ensure=True)
"""Decorates a subcommand, which receives the Run as its first argument."""
