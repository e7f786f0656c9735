"""One run of the command: the global options, the way to AWS, and the output. Every subcommand receives it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from punctual.cli.output import Output

if TYPE_CHECKING:
    import boto3

    from punctual import Scheduler
    from punctual.client.backend import Backend, Simulated
    from punctual.client.outputs import Outputs

STACK_DEFAULT = "punctual"


@dataclass
class Run:
    """The global options, and what follows from them. In tests `world` replaces AWS: `punctual.testing.Stack`."""

    stack: str = STACK_DEFAULT
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    output: Output = field(default_factory=Output)
    world: Simulated | None = None

    @functools.cached_property
    def scheduler(self) -> Scheduler:
        """The client for the stack of the command line."""
        from punctual import Scheduler

        if self.world is not None:
            return Scheduler(self.world)
        return Scheduler(self.stack, session=self.session, endpoint_url=self.endpoint_url)

    @functools.cached_property
    def session(self) -> boto3.Session:
        """A boto3 session with the profile and the region of the command line."""
        import boto3

        from punctual.client.calling import aws_errors

        with aws_errors.translated("credentials"):
            return boto3.Session(profile_name=self.profile or None, region_name=self.region or None)

    @functools.cached_property
    def backend(self) -> Backend:
        """Clients of AWS, a clock and a pause: the world of this run."""
        if self.world is not None:
            return self.world.backend()
        from punctual.client.backend import AwsBackend

        return AwsBackend(self.session, self.endpoint_url)

    @functools.cached_property
    def outputs(self) -> Outputs:
        """The outputs of the stack: `run.outputs.get("OutputQueueUrl")`."""
        from punctual.client.outputs import Outputs

        return Outputs(self.stack, self.backend, self.world.outputs() if self.world is not None else None)

    def client(self, service: str) -> Any:
        """Return a boto3 client. Call it within `punctual.client.calling.aws_errors.translated("service:Action")`."""
        return self.backend.client(service)

    def now(self) -> datetime:
        """Return the time by the clock of the world. It needs no connection."""
        if self.world is not None:
            return datetime.fromtimestamp(self.world.backend().now(), UTC)
        return datetime.now(UTC)


pass_run: Callable[[Callable[..., Any]], Callable[..., Any]] = click.make_pass_decorator(Run, ensure=True)
"""Decorates a subcommand, which receives the Run as its first argument."""
