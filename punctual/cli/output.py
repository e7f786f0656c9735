"""Print results on standard output, and everything else on standard error.

With `--json` a result is one object, or one object a line for a list. Otherwise it is lines and tables for people that
fit the terminal, or 80 columns. Text of others, such as names and data, never reaches the terminal with control
characters. Colours are for terminals only, and `NO_COLOR` turns them off.
"""

import contextlib
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from punctual.cli.errors import Declined, WrongUsage, one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

WIDTH_DEFAULT = 80
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"
ROWS_AT_ONCE = 200
"""Rows that are laid out together. A longer list continues with columns of their own width, so memory is bounded."""


@dataclass(frozen=True)
class Row:
    """One member of a list: its cells in a table, a text below them, and its object with `--json`."""

    cells: Sequence[str]
    fields: Mapping[str, Any]
    below: str = ""


class Output:
    """Writes to the standard streams, or to others in tests."""

    def __init__(self, *, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out, self._err = out, err

    @property
    def out(self) -> TextIO:
        return self._out or sys.stdout

    @property
    def err(self) -> TextIO:
        return self._err or sys.stderr

    # --------------------------------------------------------------------------------------------------- standard out

    def say(self, text: str = "") -> None:
        """Print a line of the result for people. With `--json` it is left out, because the object says it."""
        if not self.as_json:
            self._print(self.out, text)

    def result(self, fields: Mapping[str, Any], *lines: str) -> None:
        """Print one result: the object with `--json`, otherwise the lines."""
        if self.as_json:
            self.json(fields)
        for line in lines:
            self.say(line)

    def details(self, fields: Mapping[str, Any], shown: Mapping[str, str]) -> None:
        """Print one result with many fields: the object with `--json`, otherwise a name and a value per line."""
        if self.as_json:
            self.json(fields)
        else:
            self._table([(name, value) for name, value in shown.items()])

    def list(self, headings: Sequence[str], rows: Iterable[Row], *, empty: str) -> int:
        """Print a list, and return the number of its rows. Without any, standard error gets the text `empty`."""
        count = 0
        remaining = iter(rows)
        while page := list(itertools.islice(remaining, 1 if self.as_json else ROWS_AT_ONCE)):
            if self.as_json:
                self.json(page[0].fields)
            else:
                below = [printable(row.below) for row in page]
                self._table([row.cells for row in page], below, headings=() if count else headings)
            count += len(page)
        if not count:
            self.note(empty)
        return count

    def json(self, fields: Mapping[str, Any]) -> None:
        """Print one object on a line of its own."""
        self._print(self.out, json.dumps(fields, ensure_ascii=False, separators=(", ", ": ")))

    def raw(self, text: str) -> None:
        """Print a text as it is, without a line break of its own."""
        self.out.write(text)
        self.out.flush()

    # ------------------------------------------------------------------------------------------------- standard error

    def note(self, text: str) -> None:
        """Print a line that belongs to no result on standard error."""
        self._print(self.err, text)

    def error(self, fields: Mapping[str, Any], text: str | None = None) -> None:
        """Print an error: one line, or one object with `--json`."""
        line = json.dumps(fields, ensure_ascii=False) if self.as_json else f"error: {text or fields['message']}"
        with contextlib.suppress(OSError, ValueError):  # Standard error is closed. The exit status remains.
            self._print(self.err, line)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something dangerous. Return if the user says yes, here or before with `--yes`."""
        if yes:
            return
        if not self.can_ask():
            raise WrongUsage(f"there is no terminal to ask: {one_line(question)} Add --yes if you mean it")
        self.err.write(f"{question} [y/N] ")
        self.err.flush()
        answer = sys.stdin.readline()
        if not answer:  # The end of input has no line break.
            self.note("")
        if answer.strip().lower() not in ("y", "yes"):
            raise Declined("nothing was done, because the answer was not yes")

    def can_ask(self) -> bool:
        """Tell whether a person sees the question and can answer."""
        return all(stream is not None and stream.isatty() for stream in (sys.stdin, self.err))

    @contextlib.contextmanager
    def progress(self) -> Iterator["Progress"]:
        """Yield rich's progress display on standard error. It shows nothing without a terminal."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = self._console(self.err)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            yield progress

    # ---------------------------------------------------------------------------------------------------------- parts

    def width(self) -> int:
        """Return the columns that are free for a line."""
        return self._console(self.out).width

    def coloured(self) -> bool:
        """Tell whether standard output takes colours."""
        return self._console(self.out).color_system is not None

    def _table(self, rows: Sequence[Sequence[str]], below: Sequence[str] = (), *, headings: Sequence[str] = ()) -> None:
        from punctual.cli.layout import columns

        cells = [[printable(cell) for cell in row] for row in rows]
        table = [headings, *cells] if headings else cells
        lines = columns(table, self.width(), ["", *below] if headings else below)
        if headings and self.coloured():
            lines[0] = f"{BOLD}{lines[0]}{PLAIN}"
        self._print(self.out, "\n".join(lines))

    def _console(self, stream: TextIO) -> "Console":
        from rich.console import Console

        terminal = stream.isatty()
        plain = not terminal or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        width = None if terminal or os.environ.get("COLUMNS", "").isdigit() else WIDTH_DEFAULT
        return Console(
            file=stream,
            highlight=False,
            markup=False,
            emoji=False,
            width=width,
            force_terminal=terminal,
            color_system=None if plain else "auto",
        )

    def _print(self, stream: TextIO, text: str) -> None:
        stream.write(text + "\n")
        stream.flush()


def printable(text: str) -> str:
    """Return a text of others without what would steer a terminal. Line breaks and tabs are shown as escapes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def counted(count: int, what: str) -> str:
    """Return a count with its noun, such as `1 schedule` or `1,200 schedules`."""
    plural = f"{what[:-1]}ies" if what.endswith("y") and not what.endswith("ay") else f"{what}s"
    return f"{count:,} {what if count == 1 else plural}"


def shortened(text: str, length: int) -> str:
    """Return a text of at most this length. An ellipsis stands for the rest."""
    return text if len(text) <= length else f"{text[: max(length - 3, 0)]}..."
