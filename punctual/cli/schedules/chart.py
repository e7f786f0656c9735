"""Draw counts over time as bars: in the terminal, and as an SVG file."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from punctual.cli.times import Zone

Buckets = Sequence[tuple[datetime, int]]
EMPTY_SHOWN_MAX = 2
"""More empty buckets in a row are one line."""
BAR_WIDTH_MIN = 10
SVG_WIDTH, SVG_HEIGHT = 960, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 10, 40, 40
INNER_HEIGHT = SVG_HEIGHT - TOP - BOTTOM
GRID_LINES = 4
STYLE = """<style>
svg { font: 12px system-ui, sans-serif; background: #fff; fill: #1f2328; stroke: none }
path { stroke: #8888; } rect { fill: #2f6fde } .count { text-anchor: end }
@media (prefers-color-scheme: dark) { svg { background: #0d1117; fill: #e6edf3 } }
</style>"""
LABELS_MAX = 6


def lines(buckets: Buckets, zone: Zone, width: int, block: str) -> Iterator[str]:
    """Yield a bar for each bucket. A long run without schedules is one line."""
    most = max((count for _, count in buckets), default=0)
    labels = [zone.shown(time) for time, _ in buckets]
    label_width = max(map(len, labels), default=0)
    room = max(width - label_width - len(f"{most:,}") - 4, BAR_WIDTH_MIN)
    empty: list[str] = []
    for label, (_, count) in zip(labels, buckets, strict=True):
        if not count:
            empty.append(f"{label:<{label_width}}  {'0':>{len(f'{most:,}')}}")
            continue
        yield from _shortened(empty)
        empty = []
        yield f"{label:<{label_width}}  {count:>{len(f'{most:,}')},}  {block * max(1, round(count / most * room))}"
    yield from _shortened(empty)


def _shortened(empty: Sequence[str]) -> Iterator[str]:
    if len(empty) <= EMPTY_SHOWN_MAX:
        yield from empty
    else:
        yield f"{empty[0]}  and {len(empty) - 1} more without any"


def svg(buckets: Buckets, bucket: timedelta, zone: Zone, title: str) -> str:
    """Return the chart as an SVG document. A bar shows its time and count under the pointer."""
    top = _rounded_up(max((count for _, count in buckets), default=0))
    step = (SVG_WIDTH - LEFT - RIGHT) / max(len(buckets), 1)
    label_every = max(-(-len(buckets) // LABELS_MAX), 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SVG_WIDTH} {SVG_HEIGHT}" role="img">',
        f"<title>{html.escape(title)}</title>",
        STYLE,
        f'<text x="{LEFT}" y="22">{html.escape(title)}</text>',
        *_grid(top),
    ]
    for index, (time, count) in enumerate(buckets):
        x, shown = LEFT + index * step, html.escape(zone.shown(time))
        if count:
            height = INNER_HEIGHT * count / top
            place = f'x="{x:.2f}" y="{TOP + INNER_HEIGHT - height:.2f}" width="{step * 0.9:.2f}" height="{height:.2f}"'
            parts.append(f"<rect {place}><title>{shown}: {count:,}</title></rect>")
        if index % label_every == 0:
            parts.append(f'<text x="{x:.2f}" y="{SVG_HEIGHT - 14}">{_short(shown, bucket)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _grid(top: int) -> Iterator[str]:
    for line in range(GRID_LINES + 1):
        y = TOP + INNER_HEIGHT * (1 - line / GRID_LINES)
        yield f'<path d="M{LEFT} {y:.1f}H{SVG_WIDTH - RIGHT}"/>'
        yield f'<text class="count" x="{LEFT - 8}" y="{y + 4:.1f}">{top * line // GRID_LINES:,}</text>'


def _short(shown: str, bucket: timedelta) -> str:
    """Return a time without what a bucket of this length does not need."""
    return shown[:10] if bucket >= timedelta(days=1) else shown[:16]


def _rounded_up(most: int) -> int:
    """Return a round number for the top of the axis, a multiple of the grid lines."""
    scale = GRID_LINES
    while scale * 10 < most:
        scale *= 10
    return next(scale * factor for factor in (1, 2, 5, 10) if scale * factor >= most)
