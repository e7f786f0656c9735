"""`punctual export`: write every schedule as a request, so that `import` can schedule it elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from punctual.cli import times
from punctual.cli.bulk.progress import Stopwatch, counting
from punctual.cli.errors import CommandFailed, WrongUsage
from punctual.cli.options import command, resolved_range, time_range
from punctual.cli.run import Run, pass_run

if TYPE_CHECKING:
    from punctual import Schedule

STANDARD_OUTPUT = "-"
SHOW_EVERY = 100
OPTIONAL_FIELDS = ("name", "target", "user", "retry", "failure_target", "expires_after")


@command(
    "export",
    example="""
    punctual export schedules.ndjson
    punctual export --prefix order/ | gzip > orders.ndjson.gz
    punctual export | punctual --stack other import - --journal move.journal
    """,
)
@click.argument("file", default=STANDARD_OUTPUT)
@time_range
@click.option("--prefix", metavar="PREFIX", help="Only names that begin with this.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@pass_run
def export_schedules(
    run: Run,
    *,
    file: str,
    start: str | None,
    end: str | None,
    zone: times.Zone | None,
    prefix: str | None,
    overwrite: bool,
) -> None:
    """Write all pending schedules to FILE, or to standard output: one request a line, complete, for `punctual import`.

    This is no snapshot: a schedule that does not move meanwhile comes exactly once. Unnamed schedules that are already
    in a queue cannot be read, so they are missing. The command says so on standard error.
    """
    if file != STANDARD_OUTPUT:
        _check_place(Path(file), overwrite)
    begin, stop = resolved_range(run, start, end, zone)
    watch = Stopwatch()
    listed = run.scheduler.list(begin, stop, prefix, full=True)
    with _destination(file) as out, counting(run.output) as show:
        count = 0
        for count, schedule in enumerate(listed, 1):
            out.write(json.dumps(request_of(schedule), ensure_ascii=False) + "\n")
            if count % SHOW_EVERY == 0:
                show(count)
    fields = {
        "schedules": count,
        "file": None if file == STANDARD_OUTPUT else file,
        "seconds": round(watch.passed_s, 3),
    }
    done = f"Exported {count:,} schedules in {watch.passed_s:,.1f} s ({watch.rate(count)})."
    if file == STANDARD_OUTPUT:
        run.output.note(done)
    else:
        run.output.result(fields, done)
    _say_what_is_missing(run, listed)


def _check_place(path: Path, overwrite: bool) -> None:
    """Raise WrongUsage if the export may not replace what is there. A device must stay one."""
    if path.exists() and not path.is_file():
        raise WrongUsage(f"{path} is no file; give the name of a file, or leave it out for standard output")
    if path.exists() and not overwrite:
        raise WrongUsage(f"{path} exists; give another name, or replace it with --overwrite")


def request_of(schedule: Schedule) -> dict[str, Any]:
    """Return the request that makes this schedule."""
    request: dict[str, Any] = {"timestamp": times.iso(schedule.due)}
    if schedule.data is not None:
        request["data"] = schedule.data
    for field in OPTIONAL_FIELDS:
        value = getattr(schedule, field)
        if value is not None:
            request[field] = value
    return request


def _say_what_is_missing(run: Run, listed: Any) -> None:
    queued = listed.queued
    if queued is None and listed.note is None:
        return
    counts = []
    if queued is not None:
        for name, count in (("output", queued.output), ("delivery", queued.delivery)):
            counts.append(f"about {count:,} in the {name} queue" if count is not None else f"the {name} queue: unknown")
    shown = f" ({', '.join(counts)}, named ones included)" if counts else ""
    run.output.note(
        f"Not in the export: unnamed schedules that are already in a queue{shown}. They come out of this stack."
    )


@contextlib.contextmanager
def _destination(file: str) -> Iterator[IO[str]]:
    """Yield where to write. A file appears under its name when it is complete, and only its owner may read it."""
    if file == STANDARD_OUTPUT:
        yield sys.stdout
        sys.stdout.flush()
        return
    path = Path(file)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as out:  # noqa: PTH123 - It is open already.
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as fault:
        raise CommandFailed(f"cannot write {file}: {fault.strerror or fault}; nothing was left behind") from None
    finally:
        temporary.unlink(missing_ok=True)
