"""The file of rejected lines: one JSON object a line, with the number, the reason and the line as it was."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from punctual.cli.bulk.reading.rows import Row
from punctual.cli.bulk.sending.journal import JournalFault


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not accepted, with the name of the error and its message."""

    row: Row
    code: str
    message: str

    def encoded(self) -> bytes:
        shown = {
            "line": self.row.number,
            "error": self.code,
            "message": self.message,
            "text": self.row.text.decode(errors="replace"),
        }
        return json.dumps(shown, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


class RejectedFile:
    """Appends rejections. A run that was cut short may have written some before it recorded their batch as done."""

    def __init__(self, path: Path, repeated: Iterable[int]) -> None:
        """`repeated` are the numbers of lines that are sent again. Those in the file already are not written twice."""
        self.path = path
        self._known = self._lines_of(set(repeated))

    def missing(self, rejections: Iterable[Rejection]) -> list[Rejection]:
        """Return those of the rejections that an earlier run has not written."""
        return [each for each in rejections if each.row.number not in self._known]

    def write(self, rejections: Iterable[Rejection]) -> None:
        """Write the rejections, and return when they are on the disk."""
        content = b"".join(each.encoded() for each in self.missing(rejections))
        if not content:
            return
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with open(file, "r+b", buffering=0) as opened:  # noqa: PTH123 - The file is open already.
                self._append(opened.fileno(), content)
        except OSError as fault:
            raise JournalFault(
                f"cannot write {self.path}: {fault.strerror or fault}; make room and run the same command again"
            ) from fault

    def _append(self, file: int, content: bytes) -> None:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            content = b"\n" + content
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)

    def _lines_of(self, repeated: set[int]) -> set[int]:
        found: set[int] = set()
        if not repeated or not self.path.exists():
            return found
        with self.path.open("rb") as file:
            for line in file:
                with contextlib.suppress(ValueError, TypeError, KeyError):  # A torn line, or one of somebody else.
                    found.add(json.loads(line)["line"])
        return found & repeated
