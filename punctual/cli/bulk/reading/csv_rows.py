"""Read requests from CSV. The header names the field of each column.

- A cell is text. The fields of NUMBERS are numbers, and `target.envelope` is true or false.
- A dot leads into an object: `target.url`, `retry.attempts`, `data.order`.
- A name that ends with `:json` has cells of JSON: `data:json`, `data.order:json`, `target.headers:json`.
- An empty cell leaves its field out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from punctual.cli.bulk.reading.lines import LINE_BYTES_MAX, Line, LineReader
from punctual.cli.bulk.reading.rows import BYTE_ORDER_MARK, TEXT_SHOWN_MAX, Row, loaded, row_of, too_long

NUMBERS = ("delay", "expires_after", "spread", "retry.attempts", "retry.max_age_s")
TRUTHS = ("target.envelope",)
FIELDS = (
    "timestamp",
    "delay",
    "zone",
    "spread",
    "data",
    "target",
    "name",
    "if_exists",
    "token",
    "user",
    "retry",
    "failure_target",
    "expires_after",
)
JSON_SUFFIX = ":json"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class BadHeader(Exception):
    """The header of a CSV file does not name fields. The message says which one, and what is accepted."""


@dataclass(frozen=True, slots=True)
class Column:
    path: tuple[str, ...]
    read: Callable[[str], Any]


class CsvRows:
    """Reads one request a row. The first row is the header."""

    def __init__(self, reader: LineReader, now_ms: int) -> None:
        self._reader, self._now_ms = reader, now_ms
        self._columns = self._header()

    def next(self) -> Row | None:
        while (found := self._record()) is not None:
            number, text, fault = found
            if fault is not None:
                return Row(number, text[:TEXT_SHOWN_MAX], fault=fault)
            if text.strip():
                return self._row(number, text)
        return None

    def _header(self) -> list[Column]:
        found = self._record()
        while found is not None and not found[1].removeprefix(BYTE_ORDER_MARK).strip():
            found = self._record()
        if found is None:
            return []
        _, text, fault = found
        if fault is not None:
            raise BadHeader(f"line 1: {fault}")
        try:
            names = _cells(text.removeprefix(BYTE_ORDER_MARK))
        except ValueError as error:
            raise BadHeader(f"line 1: {error}") from None
        columns = [_column(name.strip()) for name in names]
        for column in columns:
            _check_alone(column, columns)
        return columns

    def _row(self, number: int, text: bytes) -> Row:
        try:
            content = self._content(_cells(text))
        except ValueError as fault:
            return Row(number, text, fault=str(fault))
        return row_of(number, text, content, self._now_ms)

    def _content(self, cells: list[str]) -> dict[str, Any]:
        if len(cells) != len(self._columns):
            raise ValueError(f"it has {len(cells)} cells, and the header has {len(self._columns)}")
        content: dict[str, Any] = {}
        for column, cell in zip(self._columns, cells, strict=True):
            if cell == "":
                continue
            inner = content
            for step in column.path[:-1]:
                inner = inner.setdefault(step, {})
            try:
                inner[column.path[-1]] = column.read(cell)
            except ValueError as fault:
                raise ValueError(f"{'.'.join(column.path)}: {fault}") from None
        return content

    def _record(self) -> tuple[int, bytes, str | None] | None:
        """Return number and text of the next row, and its fault. A quoted cell may hold line breaks."""
        first = self._reader.line()
        if first is None:
            return None
        lines, size, line = [first.text], len(first.text), first
        quotes = first.text.count(b'"')
        while quotes % 2 and not line.is_cut and size <= LINE_BYTES_MAX:
            following = self._reader.line()
            if following is None:
                break
            line, size, quotes = following, size + len(following.text), quotes + following.text.count(b'"')
            lines.append(line.text)
        return first.number, b"".join(lines).rstrip(b"\r\n"), _record_fault(first, line, is_open=quotes % 2 == 1)


def _record_fault(first: Line, last: Line, is_open: bool) -> str | None:
    if is_open and last is not first:
        return f"a quote that opens in line {first.number} is not closed up to line {last.number}"
    if first.is_cut or last.is_cut:
        return too_long()
    return "a quote is not closed" if is_open else None


def _cells(text: bytes) -> list[str]:
    try:
        # A field may be as long as a line. The limit is one of the module, and small at first.
        csv.field_size_limit(LINE_BYTES_MAX * 2)
        return next(csv.reader([text.decode()], strict=True))
    except UnicodeDecodeError as fault:
        raise ValueError(f"it is not UTF-8: byte {fault.start + 1} does not belong there") from None
    except csv.Error as fault:
        raise ValueError(f"it is not CSV: {fault}") from None


def _column(name: str) -> Column:
    path = tuple(name.removesuffix(JSON_SUFFIX).split("."))
    if path[0] not in FIELDS or not all(path):
        raise BadHeader(
            f"line 1: {name!r} is not a field; the header names the columns with {', '.join(FIELDS)}, "
            "also as target.url or data:json"
        )
    return Column(path, loaded if name.endswith(JSON_SUFFIX) else _reader_of(".".join(path)))


def _reader_of(field: str) -> Callable[[str], Any]:
    if field == "timestamp":
        return lambda cell: _number(cell) if _NUMBER.fullmatch(cell) else cell
    if field in NUMBERS:
        return _number
    return _truth if field in TRUTHS else str


def _number(cell: str) -> int | float:
    if not _NUMBER.fullmatch(cell.strip()):
        raise ValueError(f"{cell[:TEXT_SHOWN_MAX]!r} is not a number")
    return float(cell) if "." in cell else int(cell)


def _truth(cell: str) -> bool:
    if cell.strip().lower() not in ("true", "false"):
        raise ValueError(f"{cell[:TEXT_SHOWN_MAX]!r} is neither true nor false")
    return cell.strip().lower() == "true"


def _check_alone(column: Column, columns: list[Column]) -> None:
    """Refuse a field that two columns give, as a whole or in part."""
    for other in columns:
        if other is not column and other.path[: len(column.path)] == column.path:
            raise BadHeader(f"line 1: two columns give {'.'.join(column.path)}; keep one of them")
