"""Cut the rows of a file into batches, in the order of the file.

A batch covers a range of bytes that follows the range before it. Read again from the same bytes, it has the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from punctual.cli.bulk.reading.lines import LineReader
from punctual.cli.bulk.reading.rows import ROW_BYTES_MAX, Row, Rows
from punctual.cli.bulk.sending.journal import Changed, Range

BATCH_BYTES_MAX = 5_000_000
"""The requests of a batch. Lambda takes 6 MB in one invocation."""


@dataclass(frozen=True)
class Batch:
    """Rows that are sent together, and the bytes that they come from."""

    range: Range
    rows: list[Row] = field(repr=False)

    @property
    def sendable(self) -> list[Row]:
        return [row for row in self.rows if row.fault is None]

    @property
    def names(self) -> set[str]:
        return {row.name for row in self.rows if row.name is not None}

    def payload(self, token: str) -> bytes:
        """Return the event for the schedule function."""
        schedules = b",".join(row.encoded for row in self.sendable)
        return b'{"token":"%s","schedules":[%s]}' % (token.encode(), schedules)


class Batches:
    """Reads batches from the rows of one stream."""

    def __init__(self, reader: LineReader, rows: Rows, batch_size: int) -> None:
        self._reader, self._rows, self._batch_size = reader, rows, batch_size
        self._count = 0

    def again(self, ranges: list[Range], done: set[int]) -> list[Batch]:
        """Read what the journal has recorded, compare all of it, and return the batches that are not done.

        Raise Changed if the bytes are not those of the journal.
        """
        found = []
        for recorded in ranges:
            is_done = recorded.number in done
            rows = [] if is_done else self._rows_up_to(recorded.end)
            self._reader.skip(recorded.end)
            if self._reader.mark() != (recorded.start, recorded.end, recorded.sha256):
                raise Changed(f"bytes {recorded.start:,} to {recorded.end:,} are not those that were sent before")
            if not is_done:
                found.append(Batch(recorded, rows))
        self._count = len(ranges)
        return found

    def _rows_up_to(self, end: int) -> list[Row]:
        self._reader.limit = end
        rows = []
        while (row := self._rows.next()) is not None:
            rows.append(row)
        self._reader.limit = None
        return rows

    def next(self) -> Batch | None:
        """Return the next batch, or None at the end."""
        rows: list[Row] = []
        size_bytes = 0
        while len(rows) < self._batch_size and size_bytes <= BATCH_BYTES_MAX - ROW_BYTES_MAX:
            row = self._rows.next()
            if row is None:
                break
            rows.append(row)
            size_bytes += len(row.encoded) + 1
        if not rows:
            return None
        self._count += 1
        return Batch(Range(self._count, *self._reader.mark()), rows)
