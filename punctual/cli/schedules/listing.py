"""`punctual list`: the pending schedules by their time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from punctual.cli import times
from punctual.cli.errors import WrongUsage
from punctual.cli.options import command, resolved_range, time_range
from punctual.cli.run import Run, pass_run
from punctual.cli.schedules.shown import has_room_for_data, schedule_row

if TYPE_CHECKING:
    from punctual import Queued

LIMIT_DEFAULT = 100
ALL = "all"


def limit_of(text: str) -> int | None:
    """Return the number of --limit, or None for `all`."""
    if text == ALL:
        return None
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise WrongUsage(f"--limit is {text!r}: write a number from 1, or --limit all")
    return int(text)


limit_option = click.option(
    "--limit", default=str(LIMIT_DEFAULT), metavar="N", help=f"How many at most, or `{ALL}`. Default: {LIMIT_DEFAULT}."
)


@command(
    "list",
    example="""
    punctual list --from now --to +2d
    punctual list --prefix order/ --limit all --json
    """,
)
@time_range
@click.option("--prefix", metavar="TEXT", help="Only names that begin like this.")
@limit_option
@click.option("--full", is_flag=True, help="With --json: all of the data, and not its first 256 characters.")
@pass_run
def list_schedules(
    run: Run, start: str | None, end: str | None, zone: times.Zone | None, prefix: str | None, limit: str, full: bool
) -> None:
    """List pending schedules by their time.

    Unnamed schedules that are due within the reach of the stack, by default 15 minutes, are in a queue and cannot be
    listed.
    """
    most = limit_of(limit)
    first, last = resolved_range(run, start, end, zone)
    found = run.scheduler.list(first, last, prefix, full=full, limit=None if most is None else most + 1)
    width = 0 if run.output.as_json else run.output.width()
    headings = ["due", "state", "name or id", *(["data"] if has_room_for_data(width) else [])]
    rows = (schedule_row(schedule, zone or times.HERE, width) for schedule in found)
    run.output.list(headings, itertools.islice(rows, most), empty="no pending schedule was found")
    say_rest(run, found, most)
    say_queued(run, found.queued)


def say_rest(run: Run, found: Iterator[object], most: int | None) -> None:
    """Say on standard error that there are more than the limit shows."""
    if most is not None and next(found, None) is not None:
        run.output.note(f"there are more: these are the first {most}; --limit all shows all")


def say_queued(run: Run, queued: Queued | None) -> None:
    """Say on standard error what no list can show, if the stack said it: schedules that are in a queue already."""
    if queued is None or (queued.output == 0 and queued.delivery == 0):
        return
    counts = {"output": queued.output, "delivery": queued.delivery}
    shown = " and ".join(f"about {count:,} in the {name} queue" for name, count in counts.items() if count is not None)
    run.output.note(f"note: unnamed schedules in a queue are not shown{f': {shown}' if shown else ''}")
