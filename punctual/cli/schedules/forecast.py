"""`punctual forecast`: how many schedules are due when."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from punctual.cli import times
from punctual.cli.errors import CommandFailed
from punctual.cli.options import command, duration_option, resolved_range, time_range
from punctual.cli.output import counted
from punctual.cli.run import Run, pass_run
from punctual.cli.schedules import chart
from punctual.cli.schedules.listing import say_queued
from punctual.cli.schedules.shown import timestamp

if TYPE_CHECKING:
    from punctual import Forecast

SPAN_DEFAULT = timedelta(days=1)
DAY = timedelta(days=1)
BUCKETS = [timedelta(minutes=each) for each in (1, 5, 15, 60, 360)] + [timedelta(days=each) for each in (1, 7, 28)]
"""The lengths that a bucket has by default: the first one that needs at most so many rows."""
ROWS_MAX = 48


@command(
    "forecast",
    example="""
    punctual forecast
    punctual forecast --from now --to +30d --bucket 1d --svg forecast.svg
    """,
)
@time_range
@duration_option("--bucket", help="The time of one bar. Default: 1h for a day, and so on.")
@click.option(
    "--svg", type=click.Path(path_type=Path, dir_okay=False, writable=True), help="Also draw it into this file."
)
@pass_run
def forecast(
    run: Run,
    start: str | None,
    end: str | None,
    zone: times.Zone | None,
    bucket: timedelta | None,
    svg: Path | None,
) -> None:
    """Count the schedules that are due from --from to --to, as a bar chart. Default: the next 24 hours.

    Unnamed schedules that are due within the reach of the stack, by default 15 minutes, are in a queue and are not
    counted.
    """
    shown_in = zone or times.HERE
    first, last = _span(run.now(), *resolved_range(run, start, end, zone))
    usual = next((each for each in BUCKETS if (last - first) / each <= ROWS_MAX), BUCKETS[-1])
    size = usual if bucket is None else bucket
    if start is None:
        first = _begun(first, size, shown_in)
    found = run.scheduler.forecast(first, last, size)
    if svg is not None:
        title = f"{counted(found.total, 'schedule')} from {shown_in.shown(first)} to {shown_in.shown(last)}"
        try:
            svg.write_text(chart.svg(found.buckets, size, shown_in, title), encoding="utf-8")
        except OSError as fault:
            raise CommandFailed(f"cannot write {svg}: {fault.strerror or fault}; name another file") from None
    _show(run, found, size, shown_in)
    if svg is not None:
        run.output.note(f"drawn into {svg}")


def _span(now: datetime, first: datetime | None, last: datetime | None) -> tuple[datetime, datetime]:
    if first is None:
        first = now if last is None or last > now else last - SPAN_DEFAULT
    return first, last or first + SPAN_DEFAULT


def _begun(time: datetime, bucket: timedelta, zone: times.Zone) -> datetime:
    """Return when the bucket began that has this time, as a clock in the zone shows it. At most a day is one step."""
    local = time.astimezone(zone.info).replace(tzinfo=None)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    step = min(bucket, DAY)
    return zone.place(midnight + (local - midnight) // step * step if step else midnight)


def _show(run: Run, found: Forecast, bucket: timedelta, zone: times.Zone) -> None:
    if run.output.as_json:
        run.output.json(_fields(found, bucket))
        return
    block = "█" if "utf" in (sys.stdout.encoding or "").lower() else "#"
    for line in chart.lines(found.buckets, zone, run.output.width(), block):
        run.output.say(line)
    run.output.say(f"{counted(found.total, 'schedule')}, {times.words(bucket)} a bar")
    say_queued(run, found.queued)


def _fields(found: Forecast, bucket: timedelta) -> dict[str, Any]:
    return {
        "total": found.total,
        "bucket": bucket.total_seconds(),
        "buckets": [
            {"due": times.iso(due), "timestamp": timestamp(due), "count": count} for due, count in found.buckets
        ],
        "note": found.note,
        "queued": None if found.queued is None else {"output": found.queued.output, "delivery": found.queued.delivery},
    }
