"""`punctual adopt`: take over one-time schedules of EventBridge Scheduler. The plan comes first."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from punctual.cli import times
from punctual.cli.bulk.importing import Settings, imported
from punctual.cli.bulk.reading import sources
from punctual.cli.errors import DONE, FAILED, WrongUsage
from punctual.cli.options import command
from punctual.cli.output import Row, shortened
from punctual.cli.run import Run, pass_run

if TYPE_CHECKING:
    from punctual.cli.bulk.adoption.conversion import Conversion, Taken
    from punctual.cli.bulk.adoption.originals import Original

DISABLE_MARGIN_S = 60
"""An original that is due sooner stays enabled, because it may have begun already."""
REASON_CHARACTERS_MAX = 120
DIGEST_BYTES = 16
"""Enough for a million lines. The lines themselves would not fit into memory."""


@dataclass
class Plan:
    """Counts of the originals so far."""

    taken: int = 0
    skipped: int = 0


@command(
    "adopt",
    example="""
    punctual adopt --group reminders
    punctual adopt --group reminders --apply
    punctual adopt --group reminders --apply --disable-originals
    """,
)
@click.option("--group", metavar="GROUP", help="Only schedules of this group. Default: of all groups.")
@click.option("--prefix", metavar="PREFIX", help="Only schedules whose names begin with this.")
@click.option("--apply", "apply_", is_flag=True, help="Carry the plan out.")
@click.option("--disable-originals", is_flag=True, help="Then disable what Punctual has taken over. Needs --apply.")
@click.option("--file", "file", metavar="FILE", help="The file for the plan. Default: adopt-STACK.ndjson.")
@pass_run
def adopt(
    run: Run, *, group: str | None, prefix: str | None, apply_: bool, disable_originals: bool, file: str | None
) -> int:
    """Take over one-time schedules of EventBridge Scheduler.

    Without --apply this shows the plan: what Punctual would take, and why it leaves the rest. A schedule gets the name
    GROUP/NAME. If Punctual has a schedule of that name already, it keeps that one.

    With --apply it is an import: the plan becomes a file with a journal beside it. A second run sends the rest.
    The originals stay enabled, and both fire, until you add --disable-originals. That disables an original only if
    Punctual has its schedule, at its time.
    """
    if disable_originals and not apply_:
        raise WrongUsage("--disable-originals needs --apply: it disables what Punctual has taken over")
    plan, path = Plan(), Path(file or f"adopt-{run.stack}.ndjson")
    if apply_:
        _forget_unsent(path)
    planned = _planned(run, group, prefix, plan, path if apply_ else None)
    run.output.list(["NAME", "DUE", "PLAN"], planned, empty="there are no such schedules")
    status = _apply(run, path) if apply_ else _advise(run, plan)
    if disable_originals:
        return _disable(run, group, prefix) or status
    return status


def _forget_unsent(path: Path) -> None:
    """Cut off the lines that earlier runs have planned and not sent. The plan of this run has those that still count.

    Meanwhile an original may have fired, or somebody may have deleted it.
    """
    from punctual.cli.bulk.adoption.conversion import is_planned
    from punctual.cli.bulk.sending.journal import Journal

    if not path.exists():
        return
    journal, end = sources.journal_path(str(path), None), 0
    if journal.exists():
        with Journal(journal) as opened:
            end = max((each.end for each in opened.ranges), default=0)
    with path.open("r+b") as file:
        file.seek(end)
        if not all(map(is_planned, file)):
            raise WrongUsage(f"{path} has lines that are no plan of adopt; name another file with --file")
        if file.tell() > end:
            file.truncate(end)


def _conversion(run: Run, soon_s: float) -> Conversion:
    from punctual.cli.bulk.adoption.conversion import Conversion
    from punctual.cli.bulk.function_rules import rules_of

    return Conversion(rules_of(run), run.outputs.get("OutputQueueArn"), run.now(), soon_s)


def _planned(run: Run, group: str | None, prefix: str | None, plan: Plan, path: Path | None) -> Iterator[Row]:
    """Yield a row for each original. With a path, add the lines of those that are taken to that file."""
    from punctual.cli.bulk.adoption.conversion import SOON_S, Skipped
    from punctual.cli.bulk.adoption.originals import each_original

    conversion = _conversion(run, SOON_S)
    known = _lines_of(path)
    for original in each_original(run, group, prefix):
        reason, taken = None, None
        try:
            taken = conversion.taken(original)
        except Skipped as skipped:
            reason = str(skipped)
        plan.taken += taken is not None
        plan.skipped += taken is None
        if taken is not None and path is not None and _digest(taken.line()) not in known:
            _append(path, taken.line())
        yield _row(original, taken, reason)


def _row(original: Original, taken: Taken | None, reason: str | None) -> Row:
    name, target = f"{original['GroupName']}/{original['Name']}", original["Target"]["Arn"]
    expression = original["ScheduleExpression"]
    verdict = f"take, for {target.rpartition(':')[2]}" if reason is None else f"leave: {reason}"
    fields = {
        "name": name,
        "expression": expression,
        "due": times.iso(taken.due) if taken else None,
        "timestamp": int(taken.due.timestamp()) if taken else None,
        "target": target,
        "taken": reason is None,
        "reason": reason,
    }
    return Row([name, fields["due"] or expression, shortened(verdict, REASON_CHARACTERS_MAX)], fields)


def _lines_of(path: Path | None) -> set[bytes]:
    """Return the digests of the lines that earlier runs have put into the file. A torn last line is completed."""
    found: set[bytes] = set()
    if path is None or not path.exists():
        return found
    line = b"\n"
    with path.open("rb") as file:
        for line in file:
            found.add(_digest(line))
    if not line.endswith(b"\n"):
        _append(path, b"\n")
    return found


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=DIGEST_BYTES).digest()


def _append(path: Path, line: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(file, "wb") as opened:  # noqa: PTH123 - The file is open already.
        opened.write(line)


def _advise(run: Run, plan: Plan) -> int:
    would = "Add --apply to take them over." if plan.taken else "There is nothing to take over."
    run.output.say(f"Punctual would take {plan.taken:,} and leave {plan.skipped:,}. {would}")
    return DONE


def _apply(run: Run, path: Path) -> int:
    if not path.exists():
        run.output.say("There is nothing to take over.")
        return DONE
    with sources.opened(str(path), "ndjson") as source:
        journal = sources.journal_path(str(path), None)
        return imported(run, source, Settings(journal, sources.rejected_path(str(path), journal)))


def _disable(run: Run, group: str | None, prefix: str | None) -> int:
    """Disable the originals that Punctual has taken over. Return the exit status."""
    from punctual.cli.bulk.adoption.conversion import Skipped
    from punctual.cli.bulk.adoption.originals import disable, each_original

    conversion = _conversion(run, DISABLE_MARGIN_S)
    disabled, left = 0, 0
    for original in each_original(run, group, prefix):
        try:
            taken = conversion.taken(original)
        except Skipped:
            continue
        if _has(run, taken) and disable(run, original):
            disabled += 1
        else:
            left += 1
            run.output.note(f"{taken.name} stays enabled: Punctual has no schedule of that name at that time")
    run.output.result(
        {"disabled": disabled, "left_enabled": left},
        f"Disabled {disabled:,} originals." + (f" {left:,} stay enabled." if left else ""),
    )
    return FAILED if left else DONE


def _has(run: Run, taken: Taken) -> bool:
    """Return whether Punctual has this schedule: pending, and at the time of the original."""
    from punctual.client.errors import NotFound

    try:
        found = run.scheduler.get(name=taken.name)
    except NotFound:
        return False
    return found.state in ("stored", "queued") and taken.due <= found.due <= taken.latest
