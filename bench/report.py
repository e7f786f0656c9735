"""Write the results of the trials as JSON, as Markdown tables and as a plot."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import boto3

from bench.trials import Bound, Figure

WIDTH, HEIGHT, MARGIN = 480, 300, 60
LINES = 4
OURS, REFERENCE = "#0b6e4f", "#9a9a9a"


def machine() -> dict[str, str | int]:
    return {"cores": os.cpu_count() or 1, "python": platform.python_version(), "boto3": boto3.__version__}


def known(folder: Path) -> list[Figure]:
    """Return the figures in a folder, or none if it has no results. Raise ValueError if another machine made them."""
    file = folder / "results.json"
    if not file.exists():
        return []
    results = json.loads(file.read_text())
    if results["machine"] != machine():
        raise ValueError(f"the results in {folder} are those of another machine")
    return [
        Figure(**{**each, "wanted": Bound.read(each["wanted"]) if each["wanted"] else None})
        for each in results["figures"]
    ]


def merged(known: Sequence[Figure], figures: Sequence[Figure]) -> list[Figure]:
    """Return the known figures, with the new ones in place of those of the same sections. New sections come last."""
    sections = list(dict.fromkeys(each.section for each in (*known, *figures)))
    measured = {each.section for each in figures}
    return [
        each for section in sections for each in (figures if section in measured else known) if each.section == section
    ]


def write(figures: Sequence[Figure], folder: Path, how: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{**asdict(figure), "wanted": str(figure.wanted or "")} for figure in figures]
    results = {"machine": machine(), "how": how, "figures": lines}
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "results.md").write_text(markdown(figures, how))
    growing = [figure for figure in figures if figure.section.startswith("Growth")]
    if growing:
        (folder / "growth.svg").write_text(plot(growing))


def markdown(figures: Sequence[Figure], how: str) -> str:
    its = machine()
    lines = [
        "# What it takes",
        "",
        "The real handlers run through boto3 and HTTP against a local server that answers as slowly as AWS.",
        "The reference is a plain boto3 loop that makes the same calls and ignores every answer.",
        "A bound in bold was missed.",
        f"{how} {its['cores']} cores, Python {its['python']}, boto3 {its['boto3']}.",
        "Other load on the machine changes the seconds more than the ratios.",
        "",
    ]
    for section, members in groupby(figures, key=lambda figure: figure.section):
        lines += [f"## {section}", "", "| | wanted | ours | reference | ratio |", "|---|---|---|---|---|"]
        lines += [_line(figure) for figure in members]
        lines.append("")
    return "\n".join(lines)


def _line(figure: Figure) -> str:
    wanted = str(figure.wanted or "")
    if figure.wanted and not figure.wanted.met_by(figure):
        wanted = f"**{wanted}**"  # The figure missed its bound.
    unit = f", {figure.unit}" if figure.unit not in ("", "x") else ""
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
    return f"| {figure.name}{unit} | {wanted} | {_number(figure.ours)} | {_number(figure.reference)} | {ratio} |"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


# --------------------------------------------------------------------------------------------------------------- plot


def plot(figures: Sequence[Figure]) -> str:
    """Plot CPU per schedule over their number, next to schedules per second over partitions, each from zero."""
    costs = [figure for figure in figures if figure.name.endswith("schedules: CPU per 1,000 schedules")]
    rates = [figure for figure in figures if figure.name.endswith(": schedules per second")]
    body = _panel(0, "CPU seconds per 1,000 schedules, by schedules fed", costs)
    body += _panel(WIDTH, "schedules a second, throttled, by partitions", rates)
    style = "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.axis{stroke:#333}.grid{stroke:#ddd}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Growth of cost and rate">\n<style>{style}</style>\n'
        f'<rect width="{2 * WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}</svg>\n'
    )


def _step(least: float) -> float:
    """Return the next number that is easy to read."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * digit for digit in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if power * digit >= least)


def _panel(left: int, title: str, figures: Sequence[Figure]) -> str:
    if not figures:
        return ""
    most = LINES * _step(max(max(figure.ours, figure.reference or 0) for figure in figures) / LINES)
    bottom, top = HEIGHT - MARGIN, MARGIN
    step = (WIDTH - 2 * MARGIN) / max(1, len(figures) - 1)
    xs = [left + MARGIN + step * index for index in range(len(figures))]

    def y(value: float) -> float:
        return bottom - (bottom - top) * value / most

    parts = [f'<text class="title" x="{left + MARGIN}" y="24">{title}</text>']
    for line in range(LINES + 1):
        value = most * line / LINES
        at = f"{y(value):.1f}"
        parts.append(
            f'<line class="grid" x1="{left + MARGIN}" x2="{left + WIDTH - MARGIN}" y1="{at}" y2="{at}"/>'
            f'<text x="{left + MARGIN - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{_number(value)}</text>'
        )
    for x, figure in zip(xs, figures, strict=True):
        label = figure.name.split(":")[0].removesuffix(" schedules")
        parts.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{label}</text>')
    for name, colour, values, row in (
        ("reference", REFERENCE, [figure.reference or 0 for figure in figures], 0),
        ("Punctual", OURS, [figure.ours for figure in figures], 1),
    ):
        points = " ".join(f"{x:.1f},{y(value):.1f}" for x, value in zip(xs, values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"/>'
            for x, value in zip(xs, values, strict=True)
        ]
        start = left + MARGIN + 110 * row
        parts.append(
            f'<rect x="{start}" y="{HEIGHT - 22}" width="12" height="12" fill="{colour}"/>'
            f'<text x="{start + 18}" y="{HEIGHT - 12}">{name}</text>'
        )
    return "\n".join(parts) + "\n"
