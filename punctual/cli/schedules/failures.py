"""`punctual failures` and `redrive`: what could not be delivered, and how to try it again."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import click

from punctual.cli import times
from punctual.cli.errors import WrongUsage
from punctual.cli.options import command, duration_option, resolved_range, time_range, yes_option
from punctual.cli.output import counted
from punctual.cli.run import Run, pass_run
from punctual.cli.schedules.listing import limit_of, limit_option, say_rest
from punctual.cli.schedules.shown import failure_row

KEPT = timedelta(days=90)
"""How long the stack keeps a failure."""
COUNTED_MAX = 10_000
"""How many failures the question of `redrive` counts."""


@command("failures", example="punctual failures --from -1d")
@time_range
@limit_option
@pass_run
def failures(run: Run, start: str | None, end: str | None, zone: times.Zone | None, limit: str) -> None:
    """List failed and expired deliveries of the last 90 days, each with its reason."""
    most = limit_of(limit)
    first, last = resolved_range(run, start, end, zone)
    found = run.scheduler.failures(first, last, limit=None if most is None else most + 1)
    rows = (failure_row(failure, zone or times.HERE) for failure in itertools.islice(found, most))
    run.output.list(["failed", "name or id", "reason"], rows, empty="no failure was found")
    say_rest(run, found, most)


@command(
    "redrive",
    example="""
    punctual redrive 3-001893456000000-0123456789abcdef
    punctual redrive --from -1d --spread 10m
    """,
)
@click.argument("id", required=False)
@time_range
@duration_option("--spread", help="Spread them at random over this time from now, so that no receiver is flooded.")
@yes_option
@pass_run
def redrive(
    run: Run,
    id: str | None,
    start: str | None,
    end: str | None,
    zone: times.Zone | None,
    spread: timedelta | None,
    yes: bool,
) -> None:
    """Schedule failed deliveries again: the one with this ID, or all that failed from --from to --to.

    They are due now, or within --spread. Without an ID the command shows how many there are, and asks.
    """
    if id is not None and (start or end or zone):
        raise WrongUsage("an id and a time are both given: give the id alone, or --from and --to")
    if id is None and not start and not end:
        raise WrongUsage("nothing says which failures: give an id, or a time such as --from -1d")
    first, last = resolved_range(run, start, end, zone)
    if id is None:
        last = last or run.now()
        first = first or last - KEPT
        if not _confirmed(run, first, last, yes=yes):
            return
    done = run.scheduler.redrive(first, last, id=id, spread=spread)
    left = f"; {done.left} cannot be scheduled again, see punctual failures" if done.left else ""
    run.output.result({"redriven": done.redriven, "left": done.left}, f"scheduled {done.redriven:,} again{left}")


def _confirmed(run: Run, first: datetime, last: datetime, *, yes: bool) -> bool:
    """Count the failures and ask. Return False if there is no failure."""
    found = sum(1 for _ in run.scheduler.failures(first, last, limit=COUNTED_MAX + 1))
    if not found:
        run.output.result({"redriven": 0, "left": 0}, "no failure was found, so there is nothing to redrive")
        return False
    count = f"more than {COUNTED_MAX:,} failed deliveries" if found > COUNTED_MAX else counted(found, "failed delivery")
    run.output.confirm(f"Redrive {count}?", yes=yes)
    return True
