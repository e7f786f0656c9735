"""Send the batches of a file side by side, and record in the journal what was sent and what is done.

A batch is recorded before it is sent, and again after every line of it was accepted or rejected. After a crash in
between, the next run sends it again under the same token. While a name is under way, no later batch with that name
begins. So a batch that is sent again never replaces a later line of the same name.

The next run also repeats a batch with unconfirmed lines. It may accept a line that was rejected, so the rejections of a
batch are written when no line of it is unconfirmed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from punctual.cli.bulk.reading.rows import Row
from punctual.cli.bulk.sending.batches import Batch, Batches
from punctual.cli.bulk.sending.interrupts import interrupts_put_off
from punctual.cli.bulk.sending.journal import Journal
from punctual.cli.bulk.sending.lanes import Lanes
from punctual.cli.bulk.sending.rejected import RejectedFile, Rejection

LEFT_MAX = 16
"""Batches with unconfirmed lines after which an import stops. The next run holds all of them in memory."""
INVALID_LINE = "InvalidLine"
NOT_CONFIRMED = "NotConfirmed"

Result = dict[str, Any]


class Sender(Protocol):
    """Sends one batch, and repeats it under its token until AWS has confirmed it or the time for it is over."""

    def __call__(self, batch: Batch, token: str) -> Sequence[Result]:
        """Return a result for each sendable row. Raise an error of Punctual if there is no answer at all."""
        ...


@dataclass
class Tally:
    """Counts of the lines so far."""

    accepted: int = 0
    rejected: int = 0
    unwritten: int = 0
    """Rejected lines that are not in the file of rejected lines, because other lines of their batch are unconfirmed."""
    unconfirmed: int = 0
    first_rejections: list[Rejection] = field(default_factory=list)
    unconfirmed_because: str = ""
    is_complete: bool = True
    """Whether every line was read. An import that has to stop early is not complete."""

    @property
    def lines(self) -> int:
        return self.accepted + self.rejected + self.unconfirmed


SHOWN_MAX = 10
"""Rejections that are kept for the summary."""


class ImportRun:
    """Imports a file once. A fault may stop it before the end of the file."""

    def __init__(
        self,
        journal: Journal,
        rejected: RejectedFile,
        send: Sender,
        lanes: Lanes,
        progress: Callable[[Tally], None] = lambda tally: None,
    ) -> None:
        self._journal, self._rejected, self._send = journal, rejected, send
        self._lanes, self._progress = lanes, progress
        self._under_way: dict[Future[Sequence[Result]], Batch] = {}
        self._left: list[set[str]] = []
        """The names in each batch with unconfirmed lines."""
        self._fault: BaseException | None = None
        self.tally = Tally()

    def run(self, again: list[Batch], batches: Batches) -> Tally:
        """Send the batches that were begun before, then all others. Raise the fault that stopped it, if any.

        Each batch is removed from `again` when its turn comes, so that it is not held in memory until the end.
        """
        try:
            self._submit_all(again, batches)
            self._await_all()
        except BaseException as fault:  # noqa: BLE001 - It is raised again, after what is under way has ended.
            self._fault = self._fault or fault
            self._await_all()
        if self._fault is not None:
            raise self._fault
        return self.tally

    def _submit_all(self, again: list[Batch], batches: Batches) -> None:
        for batch, is_new in _in_order(again, batches):
            if not self._make_way_for(batch):
                self.tally.is_complete = False
                return
            with interrupts_put_off():
                self._begin(batch, is_new)

    def _begin(self, batch: Batch, is_new: bool) -> None:
        if is_new:
            self._journal.begin(batch.range)
        job = functools.partial(self._send, batch, self._token(batch))
        self._under_way[self._lanes.submit(job)] = batch

    def _token(self, batch: Batch) -> str:
        assert self._journal.header is not None
        return f"import-{self._journal.header.run}-{batch.range.number}"

    def _make_way_for(self, batch: Batch) -> bool:
        """Wait until the batch may begin. Return False if the import has to stop before it."""
        while len(self._under_way) >= self._lanes.width or any(
            not batch.names.isdisjoint(each.names) for each in self._under_way.values()
        ):
            self._await_one()
        if self._fault is not None or len(self._left) >= LEFT_MAX:
            return False
        return all(batch.names.isdisjoint(names) for names in self._left)

    def _await_all(self) -> None:
        while self._under_way:
            self._await_one()

    def _await_one(self) -> None:
        """Wait until a batch has ended, and record what became of it. Keep the first fault, and go on."""
        for future in self._lanes.ended(self._under_way):
            with interrupts_put_off():
                self._end(future)

    def _end(self, future: Future[Sequence[Result]]) -> None:
        batch = self._under_way.pop(future)
        try:
            self._conclude(batch, future.result())
        except Exception as fault:  # noqa: BLE001 - It is raised at the end.
            self._fault = self._fault or fault

    def _conclude(self, batch: Batch, results: Sequence[Result]) -> None:
        rejections = [Rejection(row, INVALID_LINE, row.fault) for row in batch.rows if row.fault is not None]
        waiting = 0
        for row, result in zip(batch.sendable, results, strict=True):
            if result.get("error") == NOT_CONFIRMED:
                waiting += 1
                self.tally.unconfirmed_because = f"line {row.number}: {result['message']}"
            elif "error" in result:
                rejections.append(Rejection(row, result["error"], result["message"]))
        self._count(batch.rows, rejections, waiting)
        if waiting:
            self._left.append(batch.names)
            self.tally.unwritten += len(self._rejected.missing(rejections))
        else:
            self._rejected.write(sorted(rejections, key=lambda each: each.row.number))
            self._journal.finish(batch.range.number)
        self._progress(self.tally)

    def _count(self, rows: Sequence[Row], rejections: list[Rejection], waiting: int) -> None:
        self.tally.rejected += len(rejections)
        self.tally.unconfirmed += waiting
        self.tally.accepted += len(rows) - len(rejections) - waiting
        self.tally.first_rejections = sorted(
            [*self.tally.first_rejections, *rejections], key=lambda each: each.row.number
        )[:SHOWN_MAX]


def _in_order(again: list[Batch], batches: Batches) -> Iterator[tuple[Batch, bool]]:
    """Yield each batch, and whether it is new. Remove it from `again`."""
    while again:
        yield again.pop(0), False
    while (batch := batches.next()) is not None:
        yield batch, True
