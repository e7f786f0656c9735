"""`punctual get`, `move` and `fire`: one schedule, by its name or id."""

from __future__ import annotations

from datetime import timedelta

from punctual.cli import times
from punctual.cli.options import command, zone_option
from punctual.cli.run import Run, pass_run
from punctual.cli.schedules import shown
from punctual.cli.schedules.fields import time_options, when, which, which_options


@command("get", example="punctual get order/7")
@which_options
@zone_option("The time zone of the times shown. Default: that of this machine.")
@pass_run
def get(run: Run, name: str | None, id: str | None, zone: times.Zone | None) -> None:
    """Show the schedule NAME: when it is due, where it goes, and what became of it."""
    found = run.scheduler.get(**which(name, id))
    run.output.details(shown.schedule_fields(found), shown.schedule_details(found, run.now(), zone or times.HERE))


@command("move", example="punctual move order/7 --in 2h")
@which_options
@time_options
@pass_run
def move(
    run: Run, name: str | None, id: str | None, at: str | None, zone: times.Zone | None, delay: timedelta | None
) -> None:
    """Give the schedule NAME another time. It gets a new id, and everything else stays."""
    moved = run.scheduler.move(**which(name, id), **when(at, zone, delay))
    run.output.result(shown.accepted_fields(moved), shown.accepted_line(moved, run.now(), zone or times.HERE))


@command("fire", example="punctual fire order/7")
@which_options
@pass_run
def fire(run: Run, name: str | None, id: str | None) -> None:
    """Release the schedule NAME now, instead of at its time."""
    fired = run.scheduler.fire(**which(name, id))
    run.output.result(shown.accepted_fields(fired), shown.accepted_line(fired, run.now(), times.HERE))
