"""Lay out columns for a terminal: short cells beside each other, long ones folded, nothing lost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rich.cells import cell_len

GAP = "  "
WIDTH_MIN = 10
"""A column never gets narrower than this, even if the line then is too long."""
INDENT = "    "


def columns(rows: Sequence[Sequence[str]], width: int, below: Sequence[str] = ()) -> list[str]:
    """Return the lines of a table. `below` has a text for each row, which stands under the row unless it is empty."""
    widths = _fitted([max(map(cell_len, column)) for column in itertools.zip_longest(*rows, fillvalue="")], width)
    lines: list[str] = []
    for row, text in itertools.zip_longest(rows, below, fillvalue=""):
        lines += _row(row, widths)
        lines += [INDENT + part for part in _folded(str(text), max(width - len(INDENT), WIDTH_MIN)) if part]
    return lines


def _fitted(widths: list[int], width: int) -> list[int]:
    """Take from the widest columns what is too much."""
    available = width - len(GAP) * (len(widths) - 1)
    while sum(widths) > available:
        widest = max(range(len(widths)), key=widths.__getitem__)
        others = max((each for index, each in enumerate(widths) if index != widest), default=0)
        smaller = max(widths[widest] - (sum(widths) - available), min(others, widths[widest] - 1), WIDTH_MIN)
        if smaller >= widths[widest]:
            break
        widths[widest] = smaller
    return widths


def _row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return one row as lines. All but the longest cells are empty after their first line."""
    folded = [_folded(cell, size) for cell, size in zip(cells, widths, strict=False)]
    return [
        GAP.join(part + " " * (size - cell_len(part)) for part, size in zip(parts, widths, strict=False)).rstrip()
        for parts in itertools.zip_longest(*folded, fillvalue="")
    ]


def _folded(text: str, width: int) -> list[str]:
    """Cut a text into parts of at most this width. An empty text is one empty part."""
    parts, room = [""], width
    for character in text:
        size = cell_len(character)
        if size > room:
            parts.append("")
            room = width
        parts[-1] += character
        room -= size
    return parts
