"""Turn the lines of a file into requests: NDJSON has one request a line, CSV one request a row.

A delay becomes a timestamp, counted from the beginning of the run. So a line means the same moment whenever it is sent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Any, Protocol

from punctual.cli.bulk.reading.lines import LINE_BYTES_MAX, Line, LineReader

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NESTING_MAX = 200
"""More levels than a valid request has. Some parsers fail at a few more, and then fail for a whole batch."""
TEXT_SHOWN_MAX = 80
ROW_BYTES_MAX = LINE_BYTES_MAX + 1
"""The request of a row, encoded."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""A string, or what is there of one that is torn. It never looks at a character twice: a line may be long."""
_BRACKET = re.compile(r"[\[\]{}]")


@dataclass(frozen=True, slots=True)
class Row:
    """One request, ready to be sent, or the reason why it cannot be sent."""

    number: int
    """The line in the file. It is the first one of a CSV row with line breaks."""
    text: bytes
    """The row as it is in the file."""
    encoded: bytes = b""
    name: str | None = None
    fault: str | None = None


class Rows(Protocol):
    """Reads rows. The constructor may read a header."""

    def next(self) -> Row | None:
        """Return the next row, or None at the end."""


class NdjsonRows:
    """Reads one JSON object a line. Blank lines are passed over."""

    def __init__(self, reader: LineReader, now_ms: int) -> None:
        self._reader, self._now_ms = reader, now_ms

    def next(self) -> Row | None:
        while (line := self._reader.line()) is not None:
            text = line.text.removeprefix(BYTE_ORDER_MARK) if line.number == 1 else line.text
            if text.strip():
                return self._row(line, text.strip())
        return None

    def _row(self, line: Line, text: bytes) -> Row:
        if line.is_cut:
            return Row(line.number, text[:TEXT_SHOWN_MAX], fault=too_long())
        try:
            content = loaded(text)
        except ValueError as fault:
            return Row(line.number, text, fault=str(fault))
        return row_of(line.number, text, content, self._now_ms, encoded=text)


def row_of(number: int, text: bytes, content: object, now_ms: int, encoded: bytes | None = None) -> Row:
    """Return the row of a parsed request. `encoded` is its JSON, if the caller has it already."""
    if not isinstance(content, dict):
        return Row(number, text, fault=f"it is {_kind(content)}; wanted: a JSON object with the fields of a schedule")
    if "delay" in content:
        fault = _delay_fault(content)
        if fault is not None:
            return Row(number, text, fault=fault)
        content["timestamp"] = _seconds(now_ms + _milliseconds(content.pop("delay")))
        encoded = None
    name = content.get("name")
    if encoded is None:
        try:
            encoded = _encoded(content)
        except ValueError:
            return Row(number, text, fault="it holds a number that is too large for JSON; write it as a string")
    if len(encoded) > ROW_BYTES_MAX:
        return Row(number, text[:TEXT_SHOWN_MAX], fault=too_long())
    return Row(number, text, encoded, name if isinstance(name, str) else None)


def _encoded(content: Mapping[str, object]) -> bytes:
    """Return valid JSON in UTF-8, because Lambda refuses a whole batch for one line that is not.

    Raise ValueError for a number that JSON cannot hold, such as 1e999.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # A lone surrogate. The function says where it is.
        return json.dumps(content, separators=(",", ":")).encode()


def loaded(text: bytes | str) -> Any:
    """Return the content of JSON text, or raise ValueError that says what is wrong with it."""
    try:
        written = text.decode() if isinstance(text, bytes) else text
        if _is_deep(written):
            raise ValueError(f"it is nested more than {NESTING_MAX} levels deep")
        return json.loads(written, parse_constant=_no_constant)
    except UnicodeDecodeError as fault:
        raise ValueError(f"it is not UTF-8: byte {fault.start + 1} does not belong there") from None
    except json.JSONDecodeError as fault:
        raise ValueError(f"it is not JSON: {fault.msg} at character {fault.pos + 1}") from None


def too_long() -> str:
    return f"it is longer than {LINE_BYTES_MAX:,} bytes"


def _no_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which JSON has no way to write")


def _is_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= NESTING_MAX:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > NESTING_MAX:
            return True
    return False


def _kind(content: object) -> str:
    return {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}.get(type(content), "a number")


def _delay_fault(content: Mapping[str, object]) -> str | None:
    delay = content["delay"]
    if "timestamp" in content:
        return "timestamp and delay are both given; wanted: exactly one of the two"
    if "token" in content:
        return "delay and token are both given, and a repeat would be another moment; wanted: timestamp with a token"
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay < math.inf:
        shown = json.dumps(delay)[:TEXT_SHOWN_MAX]
        return f"delay is {shown}; wanted: a number of seconds from now, 0 or more"
    return None


def _milliseconds(delay: int | float) -> int:
    """Return whole milliseconds, rounded up. A float counts as the decimal number that its writer wrote."""
    return int((Decimal(repr(delay)) * 1000).to_integral_value(ROUND_UP))


def _seconds(moment_ms: int) -> int | float:
    whole, rest = divmod(moment_ms, 1000)
    return moment_ms / 1000 if rest else whole
