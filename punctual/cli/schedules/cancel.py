"""`punctual cancel`: cancel one schedule, or all whose names begin with a prefix."""

from __future__ import annotations

from datetime import datetime

import click

from punctual.cli import times
from punctual.cli.errors import UNREACHABLE, CommandFailed, WrongUsage
from punctual.cli.options import command, resolved_range, time_range, yes_option
from punctual.cli.output import counted, printable
from punctual.cli.run import Run, pass_run
from punctual.cli.schedules.fields import which, which_options
from punctual.cli.schedules.shown import schedule_row

EXAMPLES_SHOWN = 5


@command(
    "cancel",
    example="""
    punctual cancel order/7
    punctual cancel --prefix order/7/ --dry-run
    """,
)
@which_options
@click.option("--prefix", metavar="TEXT", help="Cancel all schedules whose names begin like this, after a question.")
@time_range
@click.option("--dry-run", is_flag=True, help="Only show what --prefix would cancel.")
@yes_option
@pass_run
def cancel(
    run: Run,
    name: str | None,
    id: str | None,
    prefix: str | None,
    start: str | None,
    end: str | None,
    zone: times.Zone | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Cancel the schedule NAME, or all schedules with a --prefix.

    With a prefix the command shows how many schedules it found, and asks. An unnamed schedule has only its id.
    """
    if prefix is None:
        if start or end or zone or dry_run:
            raise WrongUsage("--from, --to, --tz and --dry-run go with --prefix: give it, or leave them out")
        one = which(name, id)
        cancelled = run.scheduler.cancel(**one)
        run.output.result(
            {"id": cancelled.id, "name": name, "state": cancelled.state}, f"cancelled {name or cancelled.id}"
        )
        return
    if name is not None or id is not None:
        raise WrongUsage("--prefix is given beside a name or --id: give one of them")
    _cancel_all(run, prefix, *resolved_range(run, start, end, zone), zone=zone or times.HERE, dry_run=dry_run, yes=yes)


def _cancel_all(
    run: Run, prefix: str, start: datetime | None, end: datetime | None, *, zone: times.Zone, dry_run: bool, yes: bool
) -> None:
    planned = run.scheduler.cancel_where(prefix, start, end, dry_run=True)
    pending = counted(planned.matched, "pending schedule")
    whose = f"whose names begin with {printable(prefix)!r}" if prefix else "that have a name"
    if dry_run or not planned.matched:
        _show(run, planned.matched, 0, dry_run=dry_run, text=f"found {pending} {whose}")
        return
    if not yes:
        _show_examples(run, prefix, start, end, zone)
    run.output.confirm(f"Cancel {pending} {whose}?", yes=yes)
    done = run.scheduler.cancel_where(prefix, start, end, dry_run=False)
    _show(
        run,
        done.matched,
        done.cancelled,
        dry_run=False,
        text=f"cancelled {done.cancelled:,} of {counted(done.matched, 'schedule')}",
    )
    if done.unconfirmed:
        message = f"AWS did not confirm {done.unconfirmed} of them: run the same command again"
        raise CommandFailed(message, status=UNREACHABLE, code="NotConfirmed")


def _show(run: Run, matched: int, cancelled: int, *, dry_run: bool, text: str) -> None:
    run.output.result({"matched": matched, "cancelled": cancelled, "dry_run": dry_run}, text)


def _show_examples(run: Run, prefix: str, start: datetime | None, end: datetime | None, zone: times.Zone) -> None:
    """Show the first schedules before the question, where a person can see them."""
    if not run.output.can_ask():
        return
    for schedule in run.scheduler.list(start, end, prefix, limit=EXAMPLES_SHOWN):
        run.output.note("  " + "  ".join(map(printable, schedule_row(schedule, zone).cells)))
