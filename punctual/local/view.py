"""Show a demonstration: live on a terminal, and as plain lines otherwise.

Neither view shows the data of a schedule, because the demonstration is about time.
"""

import contextlib
import statistics
import time
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from punctual.local.demo import BURST, EARLIER, Accepted, Arrival, Part, Progress, View

PLAIN_EVERY_S = 5.0
REFRESHES_PER_S = 10
QUIET_S = 3.0
"""How long after its time a cancelled schedule is shown as not released."""


@contextlib.contextmanager
def view() -> Iterator[View]:
    """Yield the view that suits standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        yield PlainView()
        return
    with Live(console=console, refresh_per_second=REFRESHES_PER_S) as live:
        yield LiveView(live)


class PlainView:
    """Prints a line for each arrival, one for a burst, and now and then one about the schedules still to come."""

    def __init__(self) -> None:
        self._shown: set[str] = set()
        self._quiet_since_s = time.time()

    def update(self, progress: Progress, now_s: float) -> None:
        for part in progress.parts():
            ways = {accepted.id: accepted.way for accepted in part.accepted}
            if part.name != BURST:
                for arrival in part.arrivals:
                    self._show_arrival(arrival, ways[arrival.id])
            elif not part.pending_count and part.name not in self._shown:
                self._shown.add(part.name)
                say(f"came  {part.name} of {len(part.accepted)}, {way_of(part)}: {spread(part.latenesses_s)}", now_s)
        for cancelled, came in progress.cancelled():
            if came or cancelled.due_s < now_s - QUIET_S:
                self._show_cancelled(cancelled, came, now_s)
        for arrival in progress.strangers():
            self._show_arrival(arrival, EARLIER)
        if now_s >= self._quiet_since_s + PLAIN_EVERY_S:
            self._quiet_since_s = now_s
            say(pending_line(progress.pending(), now_s), now_s)

    def _show_cancelled(self, cancelled: Accepted, came: bool, now_s: float) -> None:
        if cancelled.id not in self._shown:
            self._shown.add(cancelled.id)
            say(f"{'CAME' if came else 'quiet'} {cancelled.id}  {cancelled.way}", now_s)

    def _show_arrival(self, arrival: Arrival, way: str) -> None:
        if arrival.id not in self._shown:
            self._shown.add(arrival.id)
            say(f"came  {arrival.id}  {way}  {lateness(arrival.lateness_s)}", arrival.received_s)


class LiveView:
    """A table of all arrivals, with the burst in one row, below a line about the next schedules."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def update(self, progress: Progress, now_s: float) -> None:
        self._live.update(picture(progress, now_s))


def picture(progress: Progress, now_s: float) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("due", "schedule", "way", "lateness"):
        table.add_column(title, no_wrap=True)
    for arrival in progress.strangers():
        table.add_row(clock(arrival.due_s), arrival.id, EARLIER, lateness(arrival.lateness_s))
    for part in progress.parts():
        if part.name == BURST:
            add_burst(table, part, now_s)
        else:
            add_each(table, part, now_s)
    for cancelled, came in progress.cancelled():
        add_cancelled(table, cancelled, came, now_s)
    # The pending line is on top, because a low terminal cuts off the bottom.
    return Group(Text(pending_line(progress.pending(), now_s), style="bold"), Text(), table)


def add_burst(table: Table, part: Part, now_s: float) -> None:
    due_s = part.accepted[0].due_s
    came = countdown(due_s, now_s)
    if part.arrivals:
        came = f"{len(part.arrivals)} of {len(part.accepted)}: {spread(part.latenesses_s)}"
    table.add_row(clock(due_s), f"{part.name} of {len(part.accepted)}", way_of(part), came, style=row_style(part))


def add_each(table: Table, part: Part, now_s: float) -> None:
    arrivals = {arrival.id: arrival for arrival in part.arrivals}
    for accepted in part.accepted:
        arrival = arrivals.get(accepted.id)
        came = lateness(arrival.lateness_s) if arrival else countdown(accepted.due_s, now_s)
        table.add_row(clock(accepted.due_s), accepted.id, accepted.way, came, style="green" if arrival else "dim")


def add_cancelled(table: Table, cancelled: Accepted, came: bool, now_s: float) -> None:
    is_over = now_s > cancelled.due_s + QUIET_S
    said = "CAME" if came else "did not come" if is_over else countdown(cancelled.due_s, now_s)
    style = "red" if came else "green" if is_over else "dim"
    table.add_row(clock(cancelled.due_s), cancelled.id, cancelled.way, said, style=style)


def row_style(part: Part) -> str:
    return "dim" if part.pending_count else "green"


def way_of(part: Part) -> str:
    """Return the way of the part's schedules, or several ways if the part crosses the reach."""
    return " and ".join(sorted({accepted.way for accepted in part.accepted}))


def pending_line(pending: list[Accepted], now_s: float) -> str:
    if not pending:
        return "nothing pending"
    ways = [accepted.way for accepted in pending]
    counts = ", ".join(f"{ways.count(way)} {way}" for way in sorted(set(ways)))
    return f"pending {len(pending)} ({counts}), next {countdown(pending[0].due_s, now_s)}"


def countdown(due_s: float, now_s: float) -> str:
    return f"due in {due_s - now_s:.1f} s" if due_s > now_s else f"due {now_s - due_s:.1f} s ago"


def lateness(lateness_s: float) -> str:
    return f"{lateness_s:.3f} s late" if lateness_s >= 0 else f"{-lateness_s:.3f} s EARLY"


def spread(latenesses_s: list[float]) -> str:
    median_s, worst_s = statistics.median(latenesses_s), max(latenesses_s)
    return f"median {median_s:.3f} s, worst {worst_s:.3f} s late"


def clock(moment_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment_s))


def say(line: str, moment_s: float) -> None:
    print(f"{clock(moment_s)}  {line}", flush=True)
