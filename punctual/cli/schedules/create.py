"""`punctual schedule`: schedule data for a time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from punctual.cli import times
from punctual.cli.options import command
from punctual.cli.run import Run, pass_run
from punctual.cli.schedules import shown
from punctual.cli.schedules.fields import (
    delivery_fields,
    delivery_options,
    read_data,
    spread_option,
    time_options,
    when,
)


@command(
    "schedule",
    example="""
    punctual schedule 'call back' --in 90m --name reminder/1
    punctual schedule '{"order": 7}' --at '2030-06-01 09:00' --tz Europe/Berlin
    punctual schedule - --in 10s --target https://api.example.com/hook < data
    """,
)
@click.argument("data", required=False)
@time_options
@click.option("--name", metavar="NAME", help="Your own handle, to find, move and cancel it.")
@click.option(
    "--if-exists", type=click.Choice(["replace", "keep", "fail"]), help="If the name is pending. Default: replace."
)
@click.option(
    "--data-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    help="Read it from a file.",
)
@delivery_options
@spread_option
@click.option("--token", metavar="TEXT", help="Lets you repeat this command without a second schedule. Only with --at.")
@pass_run
def schedule(
    run: Run,
    data: str | None,
    at: str | None,
    zone: times.Zone | None,
    delay: timedelta | None,
    name: str | None,
    if_exists: Any,
    data_file: Path | None,
    spread: timedelta | None,
    token: str | None,
    **delivery: Any,
) -> None:
    """Schedule DATA for a time. It comes out of the output queue, or reaches the target, at that time.

    DATA is sent as it is written. `-` reads it from standard input, without the line break at its end. Only a webhook
    may do without it.
    """
    from punctual import UNSET

    time = when(at, zone, delay)
    content = read_data(data, data_file)
    scheduled = run.scheduler.schedule(
        UNSET if content is None else content,
        **time,
        **delivery_fields(delivery),
        name=name,
        if_exists=if_exists,
        spread=spread,
        token=token,
    )
    line = shown.accepted_line(scheduled, run.now(), zone or times.HERE)
    run.output.result(shown.accepted_fields(scheduled), line)
