"""`punctual change`: change any field of a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from punctual.cli import times
from punctual.cli.errors import WrongUsage
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
    which,
    which_options,
)

CLEARABLE = ("target", "user", "retry", "failure-target", "expires-after", "data")


@command(
    "change",
    example="""
    punctual change order/7 --data '{"order": 7, "express": true}'
    punctual change order/7 --at 2030-06-01T10:00Z --clear expires-after
    """,
)
@which_options
@time_options
@click.option("--data", metavar="DATA", help="Other data. `-` reads it from standard input.")
@click.option(
    "--data-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    help="Read it from a file.",
)
@delivery_options
@spread_option
@click.option("--clear", type=click.Choice(CLEARABLE), multiple=True, help="Remove a field. Repeatable.")
@pass_run
def change(
    run: Run,
    name: str | None,
    id: str | None,
    at: str | None,
    zone: times.Zone | None,
    delay: timedelta | None,
    data: str | None,
    data_file: Path | None,
    spread: timedelta | None,
    clear: Sequence[str],
    **delivery: Any,
) -> None:
    """Change fields of the schedule NAME. Fields that you do not give stay as they are.

    The schedule gets a new id. --attempts and --max-age are one field: if you give only one of them, the other one
    gets its default. --clear target sends it to the output queue.
    """
    fields: dict[str, Any] = {**which(name, id), **when(at, zone, delay, required=False), **delivery_fields(delivery)}
    if spread is not None:
        fields["spread"] = spread
    content = read_data(data, data_file)
    if content is not None:
        fields["data"] = content
    cleared = [each.replace("-", "_") for each in clear]
    for each in cleared:
        if each in fields:
            raise WrongUsage(f"{each.replace('_', '-')} is both given and cleared: leave one of the two out")
    if len(fields) == 1 and not cleared:
        raise WrongUsage("there is nothing to change: give a field such as --data, --in or --clear user")
    changed = run.scheduler.change(**(fields | dict.fromkeys(cleared)))
    run.output.result(shown.accepted_fields(changed), shown.accepted_line(changed, run.now(), zone or times.HERE))
