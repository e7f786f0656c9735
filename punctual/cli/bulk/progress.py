"""Show how far an import or export is, on standard error and only on a terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from punctual.cli.output import Output

if TYPE_CHECKING:
    from punctual.cli.bulk.sending.import_run import Tally

RATE_S_MIN = 0.5
"""A rate over a shorter time says nothing."""


class Stopwatch:
    """Measures how long a run takes, on this machine."""

    def __init__(self) -> None:
        self._begun_s = time.monotonic()

    @property
    def passed_s(self) -> float:
        return time.monotonic() - self._begun_s

    def rate(self, count: int) -> str:
        """Return a rate for people, such as `1,204 a second`."""
        return f"{count / max(self.passed_s, 0.001):,.0f} a second"


@contextlib.contextmanager
def showing(output: Output, bytes_total: int | None) -> Iterator[Callable[[Tally, int], None]]:
    """Yield a function that shows a tally and the position in the file. Without a size it shows no time left."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = output._console(output.err)
    text = TextColumn("{task.description}")
    columns = (text, BarColumn(), TaskProgressColumn(), TimeRemainingColumn()) if bytes_total else (text,)
    watch = Stopwatch()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("0 lines", total=bytes_total or None)

        def show(tally: Tally, offset: int) -> None:
            progress.update(task, description=described(tally, watch), completed=offset)

        yield show


def described(tally: Tally, watch: Stopwatch) -> str:
    parts = [f"{tally.lines:,} lines"]
    if watch.passed_s >= RATE_S_MIN:
        parts.append(watch.rate(tally.lines))
    parts += [f"{count:,} {word}" for word, count in _bad(tally) if count]
    return ", ".join(parts)


def _bad(tally: Tally) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("rejected", tally.rejected), ("not confirmed", tally.unconfirmed)


@contextlib.contextmanager
def counting(output: Output) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows how many schedules there are so far."""
    from rich.progress import Progress, TextColumn

    console = output._console(output.err)
    watch = Stopwatch()
    column = TextColumn("{task.description}")
    with Progress(column, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("0 schedules", total=None)

        def show(count: int) -> None:
            progress.update(task, description=f"{count:,} schedules, {watch.rate(count)}")

        yield show
