"""Show the events of a stack on standard error: a bar on a terminal, otherwise a line for each finished resource."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from punctual.cli.output import printable

if TYPE_CHECKING:
    from punctual.cli.run import Run

STACK_TYPE = "AWS::CloudFormation::Stack"
FINISHED = ("_COMPLETE", "_SKIPPED", "_FAILED")


@contextlib.contextmanager
def shown(run: Run, title: str, count: int) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield a function that shows an event. `count` is the number of resources that change."""
    finished: set[str] = set()
    with run.output.progress() as bar:
        task = bar.add_task(title, total=count)

        def heard(event: Mapping[str, Any]) -> None:
            status, name = event["ResourceStatus"], event["LogicalResourceId"]
            if event["ResourceType"] == STACK_TYPE or not status.endswith(FINISHED):
                return
            if name not in finished:
                finished.add(name)
                bar.update(task, completed=min(len(finished), count), description=printable(name))
            if bar.disable:
                run.output.note(f"{status.lower().replace('_', ' ')}: {printable(name)}")

        try:
            yield heard
        except BaseException:
            run.output.note("CloudFormation goes on by itself; its events show the result")
            raise
