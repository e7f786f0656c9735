"""Open what an import reads: a file or standard input, as NDJSON or CSV."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from punctual.cli.bulk.reading.csv_rows import BadHeader, CsvRows
from punctual.cli.bulk.reading.lines import LineReader
from punctual.cli.bulk.reading.rows import NdjsonRows, Rows
from punctual.cli.errors import REJECTED, CommandFailed, WrongUsage

STANDARD_INPUT = "-"
FORMATS = ("ndjson", "csv")


@dataclass(frozen=True)
class Source:
    """An open file, and the name that messages give it. `size` is None if it is unknown, as for a pipe."""

    name: str
    stream: BinaryIO
    format: str
    size: int | None

    def rows(self, reader: LineReader, now_ms: int) -> Rows:
        """Return the reader of rows. Raise CommandFailed if a header is wrong."""
        if self.format == "ndjson":
            return NdjsonRows(reader, now_ms)
        try:
            return CsvRows(reader, now_ms)
        except BadHeader as fault:
            raise CommandFailed(f"{self.name}, {fault}", status=REJECTED, code="InvalidHeader") from None


@contextlib.contextmanager
def opened(file: str, given_format: str | None) -> Iterator[Source]:
    """Open the file, or standard input for `-`. Without a format the name decides."""
    chosen = given_format or ("csv" if file.lower().endswith(".csv") else "ndjson")
    if file == STANDARD_INPUT:
        yield Source("standard input", sys.stdin.buffer, chosen, None)
        return
    try:
        stream = open(file, "rb")  # noqa: PTH123, SIM115 - Closed below.
    except OSError as fault:
        raise WrongUsage(f"cannot read {file}: {fault.strerror}; name a file of NDJSON or CSV, or -") from None
    with stream:
        facts = os.fstat(stream.fileno())
        yield Source(file, stream, chosen, facts.st_size if stat.S_ISREG(facts.st_mode) else None)


def journal_path(file: str, journal: str | None) -> Path:
    """Return where the journal is: beside the file, unless the command line names another place."""
    if journal is not None:
        return Path(journal)
    if file == STANDARD_INPUT:
        raise WrongUsage("standard input has no place for a journal; name one with --journal FILE, and keep it")
    return Path(f"{file}.journal")


def rejected_path(file: str, journal: Path) -> Path:
    """Return where rejected lines go: beside the file, or beside the journal if the file has no folder to write to."""
    beside = Path(f"{file}.rejected")
    writable = beside.exists() or os.access(beside.absolute().parent, os.W_OK)
    return Path(f"{journal}.rejected") if file == STANDARD_INPUT or not writable else beside
