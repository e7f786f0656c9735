"""`punctual import`: schedule every line of a file, and go on where an earlier run ended."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from punctual.cli.bulk.reading import sources
from punctual.cli.errors import DONE, REJECTED, UNREACHABLE, CommandFailed, described
from punctual.cli.options import command
from punctual.cli.run import Run, pass_run

if TYPE_CHECKING:
    from punctual.cli.bulk.progress import Stopwatch
    from punctual.cli.bulk.reading.lines import LineReader
    from punctual.cli.bulk.reading.sources import Source
    from punctual.cli.bulk.sending.batches import Batch, Batches
    from punctual.cli.bulk.sending.import_run import Tally
    from punctual.cli.bulk.sending.journal import Header, Journal
    from punctual.cli.bulk.stack_facts import StackFacts

BATCH_SIZE_MAX = 1_000
WORKERS_DEFAULT, WORKERS_MAX = 8, 32
GO_ON = "Run the same command again: it sends only what is missing."


@dataclass(frozen=True)
class Settings:
    """The settings of one import."""

    journal: Path
    rejected: Path
    new_run: bool = False
    workers: int = WORKERS_DEFAULT
    batch_size: int = BATCH_SIZE_MAX


@command(
    "import",
    example="""
    punctual import reminders.ndjson --dry-run
    punctual import reminders.csv
    punctual import - --journal reminders.journal < reminders.ndjson
    """,
)
@click.argument("file")
@click.option("--format", "format_", type=click.Choice(sources.FORMATS), help="Default: csv for *.csv, else ndjson.")
@click.option(
    "--journal", metavar="FILE", help="The file that records the batches that were sent. Default: FILE.journal."
)
@click.option("--new-run", is_flag=True, help="Forget the journal, and send every line again.")
@click.option("--dry-run", is_flag=True, help="Check every line, say what the import would cost, and send nothing.")
@click.option(
    "--workers", type=click.IntRange(1, WORKERS_MAX), default=WORKERS_DEFAULT, help="Batches at once. Default: 8."
)
@click.option("--batch-size", type=click.IntRange(1, BATCH_SIZE_MAX), default=BATCH_SIZE_MAX, hidden=True)
@pass_run
def import_schedules(
    run: Run,
    file: str,
    *,
    format_: str | None,
    journal: str | None,
    new_run: bool,
    dry_run: bool,
    workers: int,
    batch_size: int,
) -> int:
    """Schedule every line of FILE, or of standard input for `-`.

    A line of NDJSON is a JSON object with the fields of a schedule. The header of a CSV file names the fields:
    `timestamp,data,name,target.url`, or `data:json` for cells of JSON.

    The journal records what was sent. If the import is interrupted, run the same command again: it sends only what is
    missing. Rejected lines go to FILE.rejected, each with its reason.
    """
    with sources.opened(file, format_) as source:
        if dry_run:
            from punctual.cli.bulk.dry_run import check

            return check(run, source)
        path = sources.journal_path(file, journal)
        rejected = sources.rejected_path(file, path)
        return imported(run, source, Settings(path, rejected, new_run, workers, batch_size))


def imported(run: Run, source: Source, settings: Settings) -> int:
    """Import a source under its journal, print the outcome, and return the exit status."""
    from punctual.cli.bulk.progress import Stopwatch
    from punctual.cli.bulk.sending.journal import Journal
    from punctual.cli.bulk.stack_facts import facts_of

    facts = facts_of(run)
    watch = Stopwatch()
    with Journal(settings.journal, forget=settings.new_run) as journal:
        prepared = _prepare(run, source, facts, settings, journal)
        tally = _send(run, source, settings, journal, prepared)
    _report(run, tally, watch, settings, sent_before=len(journal.done) > 0)
    if tally.unconfirmed or not tally.is_complete:
        return UNREACHABLE
    return REJECTED if tally.rejected else DONE


@dataclass(frozen=True)
class _Prepared:
    reader: LineReader
    batches: Batches
    again: list[Batch]


def _prepare(run: Run, source: Source, facts: StackFacts, settings: Settings, journal: Journal) -> _Prepared:
    """Compare the file with its journal, or begin a new run. Nothing is sent yet."""
    from punctual.cli.bulk.reading.lines import LineReader
    from punctual.cli.bulk.sending.batches import Batches
    from punctual.cli.bulk.sending.journal import Changed, Header

    header = journal.header
    if header is not None:
        _compare(header, facts, source, settings.journal)
    current = header or Header(facts.id, facts.parameters, round(run.now().timestamp() * 1000), source.format)
    reader = LineReader(source.stream)
    batches = Batches(reader, source.rows(reader, current.now_ms), settings.batch_size)
    try:
        again = [] if header is None else batches.again(journal.ranges, journal.done)
    except Changed as fault:
        raise _changed(f"{source.name} was edited or reordered: {fault}", settings.journal) from None
    if header is None:
        if settings.new_run:
            settings.rejected.unlink(missing_ok=True)
        journal.start(current)
    return _Prepared(reader, batches, again)


def _compare(header: Header, facts: StackFacts, source: Source, journal: Path) -> None:
    from punctual.cli.bulk.stack_facts import StackFacts

    if header.stack != facts.id:
        raise _changed(f"the journal belongs to the stack {header.stack}, and this is {facts.id}", journal)
    differences = StackFacts(header.stack, header.parameters, "").differences(facts)
    if differences:
        raise _changed(f"the stack has changed: {', '.join(differences)}", journal)
    if header.format != source.format:
        raise _changed(f"the journal is about a file of {header.format}, and this is {source.format}", journal)


def _changed(what: str, journal: Path) -> CommandFailed:
    return CommandFailed(
        f"{what}; nothing was sent, because lines could be scheduled twice. Restore what changed (new lines may stand "
        f"at the end), or forget {journal} with --new-run, which sends every line again",
        status=REJECTED,
        code="Changed",
    )


def _send(run: Run, source: Source, settings: Settings, journal: Journal, prepared: _Prepared) -> Tally:
    from punctual.cli.bulk.progress import showing
    from punctual.cli.bulk.sending.batch_sender import BatchSender
    from punctual.cli.bulk.sending.import_run import ImportRun
    from punctual.cli.bulk.sending.lanes import lanes
    from punctual.cli.bulk.sending.rejected import RejectedFile

    scheduler = run.scheduler
    repeated = (row.number for batch in prepared.again for row in batch.rows)
    rejected = RejectedFile(settings.rejected, repeated)
    send = BatchSender(scheduler._invoker, scheduler._backend)
    with (
        showing(run.output, source.size) as show,
        contextlib.closing(lanes(settings.workers, scheduler._backend.parallel)) as ways,
    ):
        importer = ImportRun(journal, rejected, send, ways, lambda tally: show(tally, prepared.reader.offset))
        try:
            return importer.run(prepared.again, prepared.batches)
        except KeyboardInterrupt:
            run.output.note(f"{importer.tally.accepted:,} lines were accepted. {GO_ON}")
            raise
        except Exception as fault:
            raise _stopped(fault, importer.tally) from fault


def _stopped(fault: Exception, tally: Tally) -> CommandFailed:
    """Return the error of an import that a fault has ended, with the way to go on."""
    status, fields = described(fault)
    so_far = f"{tally.accepted:,} lines were accepted" + (f" and {tally.rejected:,} rejected" if tally.rejected else "")
    message = f"{fields['message']}; {so_far} before that. Mend it and run the same command again: it sends the rest"
    return CommandFailed(message, status=status, code=fields["error"])


def _report(run: Run, tally: Tally, watch: Stopwatch, settings: Settings, *, sent_before: bool) -> None:
    fields = {
        "lines": tally.lines,
        "accepted": tally.accepted,
        "rejected": tally.rejected,
        "unconfirmed": tally.unconfirmed,
        "complete": tally.is_complete and not tally.unconfirmed,
        "seconds": round(watch.passed_s, 3),
        "journal": str(settings.journal),
        "rejected_file": str(settings.rejected) if tally.rejected > tally.unwritten else None,
    }
    if tally.lines:
        took = f"in {watch.passed_s:,.1f} s ({watch.rate(tally.lines)})"
        line = f"Accepted {tally.accepted:,} of {tally.lines:,} lines {took}."
    elif sent_before:
        line = "Nothing to send: every line was sent before. --new-run would send them all again."
    else:
        line = "Nothing to send: there are no lines."
    run.output.result(fields, line)
    _explain(run, tally, settings)


def _explain(run: Run, tally: Tally, settings: Settings) -> None:
    """Say on standard error what was not accepted, and what to do about it."""
    note = run.output.note
    for each in tally.first_rejections:
        note(f"line {each.row.number}: {each.message}")
    more = tally.rejected - len(tally.first_rejections)
    if more:
        note(f"and {more:,} lines more")
    if tally.rejected > tally.unwritten:
        note(f"Rejected lines are in {settings.rejected}, each with its reason.")
    if tally.unwritten:
        note(
            f"Rejected lines that are not yet in {settings.rejected}: {tally.unwritten:,}. "
            "The next run sends them again, because other lines of their batch are not confirmed."
        )
    if tally.unconfirmed:
        note(f"{tally.unconfirmed:,} lines are not confirmed ({tally.unconfirmed_because}).")
    if tally.unconfirmed or not tally.is_complete:
        note(GO_ON)
