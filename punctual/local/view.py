"""Show a demonstration: live on a terminal, and as plain lines otherwise.

The live view fits a terminal of 80 columns and 24 rows, below the lines that the command printed first. Neither view
shows the data of a schedule, because the demonstration is about time.
"""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from punctual.local.progress import BURST, EARLIER, Accepted, Arrival, Part, Progress, View, figures, spread

PLAIN_EVERY_S = 5.0
REFRESHES_PER_S = 10
LATEST_SHOWN_MAX = 3
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
        for arrival in progress.external_arrivals():
            self._show_arrival(arrival, EARLIER)
        if now_s >= self._quiet_since_s + PLAIN_EVERY_S:
            self._quiet_since_s = now_s
            say(pending_line(progress, now_s), now_s)

    def _show_cancelled(self, cancelled: Accepted, came: bool, now_s: float) -> None:
        if cancelled.id not in self._shown:
            self._shown.add(cancelled.id)
            say(f"{'CAME' if came else 'quiet'} {cancelled.id}  {cancelled.way}", now_s)

    def _show_arrival(self, arrival: Arrival, way: str) -> None:
        if arrival.id not in self._shown:
            self._shown.add(arrival.id)
            say(f"came  {arrival.id}  {way}  {arrived(arrival)}", arrival.received_s + arrival.retried_s)


class LiveView:
    """A table of all arrivals, with the burst in one row, below a line about the next schedules."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def update(self, progress: Progress, now_s: float) -> None:
        self._live.update(picture(progress, now_s))


def picture(progress: Progress, now_s: float) -> RenderableType:
    if not progress.parts():
        return Text("waiting for the first answer", style="bold")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("due", "schedules", "came", "lateness"):
        table.add_column(title, no_wrap=True)
    external, refused = progress.external_arrivals(), progress.refused()
    if external:
        worst_s = max(arrival.lateness_s for arrival in external)
        table.add_row(clock(external[0].due_s), EARLIER, str(len(external)), f"up to {lateness(worst_s)}")
    for part in progress.parts():
        for way in part.by_way():
            add_part(table, way, refused.get(way.accepted[0].id), now_s)
    for cancelled, came in progress.cancelled():
        add_cancelled(table, cancelled, came, now_s)
    # The pending line is on top, because a low terminal cuts off the bottom.
    return Group(Text(pending_line(progress, now_s), style="bold"), Text(), table, Text(), *latest(progress))


def add_part(table: Table, part: Part, refused: Arrival | None, now_s: float) -> None:
    due_s = part.accepted[0].due_s
    came = figure(part) if part.arrivals else countdown(due_s, now_s)
    if refused:
        came = f"{lateness(refused.lateness_s)}; comes again"
    counted = f"{len(part.arrivals)} of {len(part.accepted)}"
    table.add_row(clock(due_s), title(part), counted, came, style=row_style(part))


def title(part: Part) -> str:
    """Return the part and its way. `queued`, `stored` and a webhook say enough about the others."""
    way = part.accepted[0].way
    return part.name if way == "queued" else f"{part.name}, {way}" if way == "stored" else way


def figure(part: Part) -> str:
    if len(part.accepted) == 1:
        return arrived(part.arrivals[0])
    return figures(part.latenesses_s)


def latest(progress: Progress) -> list[Text]:
    """Return the last single arrivals, with their ids."""
    arrivals = [arrival for part in progress.parts() if part.name != BURST for arrival in part.arrivals]
    arrivals.sort(key=lambda arrival: arrival.received_s + arrival.retried_s)
    return [Text(f"{arrival.id}  {arrived(arrival)}") for arrival in arrivals[-LATEST_SHOWN_MAX:]]


def add_cancelled(table: Table, cancelled: Accepted, came: bool, now_s: float) -> None:
    is_over = now_s > cancelled.due_s + QUIET_S
    said = "CAME" if came else "did not come" if is_over else countdown(cancelled.due_s, now_s)
    style = "red" if came else "green" if is_over else "dim"
    table.add_row(clock(cancelled.due_s), cancelled.way, "", said, style=style)


def row_style(part: Part) -> str:
    return "dim" if part.pending_count else "green"


def way_of(part: Part) -> str:
    """Return the way of the part's schedules, or several ways if the part crosses the reach."""
    return " and ".join(sorted({accepted.way for accepted in part.accepted}))


def pending_line(progress: Progress, now_s: float) -> str:
    pending, refused = progress.pending(), progress.refused()
    if not pending:
        return "nothing pending"
    ways = [accepted.way for accepted in pending]
    # `webhook, refused twice` is one word too many here.
    kinds = [way.split(",")[0] for way in ways]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    waiting = [accepted.due_s for accepted in pending if accepted.id not in refused]
    following = f", next {countdown(waiting[0], now_s)}" if waiting else ""
    return f"pending {len(pending)} ({counts}){following}"


def countdown(due_s: float, now_s: float) -> str:
    return f"due in {due_s - now_s:.1f} s" if due_s > now_s else f"due {now_s - due_s:.1f} s ago"


def lateness(lateness_s: float) -> str:
    return f"{lateness_s:.3f} s late" if lateness_s >= 0 else f"{-lateness_s:.3f} s EARLY"


def arrived(arrival: Arrival) -> str:
    """Return how late a schedule came. A retry after a refusal is not lateness."""
    retried = f"; {arrival.requests} tries in {arrival.retried_s:.0f} s" if arrival.requests > 1 else ""
    return f"{lateness(arrival.lateness_s)}{retried}"


def clock(moment_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment_s))


def say(line: str, moment_s: float) -> None:
    print(f"{clock(moment_s)}  {line}", flush=True)
