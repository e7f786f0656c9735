"""Read the lines of a file or of standard input, and know where each begins and ends.

No line is held beyond LINE_BYTES_MAX, so a file without line ends takes no more memory than another.
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO, NamedTuple

LINE_BYTES_MAX = 2_000_000
"""More than any request needs: 256 KiB of data, each byte written as an escape of six."""
CHUNK_BYTES = 1 << 20


class Line(NamedTuple):
    """A line with its end. `is_cut` means that the line is longer than LINE_BYTES_MAX, and the rest is dropped."""

    number: int
    text: bytes
    is_cut: bool = False


class LineReader:
    """Reads a stream from its beginning. `digest` covers all bytes since the last `mark`."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.offset = 0
        """The position in the stream: the number of bytes read."""
        self.limit: int | None = None
        """The position at which reading stops, as if the stream ended there."""
        self._line_ends = 0
        self._marked = 0
        self._digest = hashlib.sha256()

    def line(self) -> Line | None:
        """Return the next line, or None at the end."""
        number = self._line_ends + 1
        text = self._read_line(LINE_BYTES_MAX + 1)
        if not text:
            return None
        is_cut = len(text) > LINE_BYTES_MAX and not text.endswith(b"\n")
        rest = text
        while is_cut and rest and not rest.endswith(b"\n"):
            rest = self._read_line(CHUNK_BYTES)
        return Line(number, text, is_cut)

    def skip(self, end: int) -> None:
        """Read on to a position without looking at the lines. The stream may end earlier."""
        while self.offset < end:
            chunk = self._stream.read(min(CHUNK_BYTES, end - self.offset))
            if not chunk:
                return
            self._note(chunk)

    def mark(self) -> tuple[int, int, str]:
        """Return start, end and SHA-256 of the bytes since the last mark, and begin anew."""
        start, self._marked = self._marked, self.offset
        digest, self._digest = self._digest, hashlib.sha256()
        return start, self.offset, digest.hexdigest()

    def _read_line(self, size: int) -> bytes:
        left = size if self.limit is None else max(0, self.limit - self.offset)
        text = self._stream.readline(min(size, left))
        self._note(text)
        return text

    def _note(self, content: bytes) -> None:
        self.offset += len(content)
        self._line_ends += content.count(b"\n")
        self._digest.update(content)
