"""Record on disk which part of a file was sent, so that a second run sends only the rest.

The journal is a text file that is only appended to. Its first line names the run. `begin` is on the disk before its
batch is sent, and `done` follows the answer. Each line ends with a checksum:

    punctual-import {"run": ...} 0f3a5c77
    begin 1 0 81234 <sha256 of these bytes> 9d1c22ab
    done 1 5b0e6f10

A crash leaves at most one torn line at the end, which is ignored. A batch with `begin` and without `done` may have been
sent. The next run sends it again from the same bytes, under the same token.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from punctual.cli.errors import CommandFailed

MAGIC = b"punctual-import "
VERSION = 1
RUN_BYTES = 8
READ_BYTES = 1 << 16


class JournalFault(CommandFailed):
    """The journal cannot be used. The message says why and what to do."""


class Changed(Exception):
    """The file, the stack or its parameters are not those of the journal. Nothing was sent."""


@dataclass(frozen=True)
class Header:
    """The conditions of one run. A delay counts from `now_ms`."""

    stack: str
    parameters: dict[str, str]
    now_ms: int
    format: str
    run: str = field(default_factory=lambda: secrets.token_hex(RUN_BYTES))

    def text(self) -> str:
        return json.dumps({"version": VERSION, **vars(self)}, sort_keys=True)

    @classmethod
    def read(cls, text: str) -> Header:
        content = json.loads(text)
        if content.pop("version", None) != VERSION:
            raise ValueError("a later version wrote it")
        return cls(**content)


@dataclass(frozen=True)
class Range:
    """The bytes of one batch in its file: from `start` to before `end`."""

    number: int
    start: int
    end: int
    sha256: str


class Disk:
    """The operations on the file of a journal. Tests replace it to fail at each of them."""

    def append(self, file: int, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]

    def sync(self, file: int) -> None:
        os.fsync(file)

    def cut(self, file: int, size: int) -> None:
        os.ftruncate(file, size)


class Journal:
    """An open and locked journal. The first run of a file sets `header`.

    With `forget`, what the journal holds is not read, because a new run begins.
    """

    def __init__(self, path: Path, disk: Disk | None = None, *, forget: bool = False) -> None:
        self.path, self._disk = path, disk or Disk()
        self.header: Header | None = None
        self.ranges: list[Range] = []
        self.done: set[int] = set()
        self._size = 0
        self._is_torn = False
        self._file = _opened(path)
        try:
            _lock(self._file, path)
            self._load(forget)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)  # This also unlocks it.
            self._file = -1

    def start(self, header: Header) -> None:
        """Begin a new run. Forget everything that the journal holds."""
        self._cut(0)
        self.header, self.ranges, self.done = header, [], set()
        self._append(MAGIC.decode() + header.text())
        self._sync()
        _sync_folder(self.path.absolute().parent)

    def begin(self, batch: Range) -> None:
        """Record a batch that is about to be sent. After this call the record is on the disk."""
        self._append(f"begin {batch.number} {batch.start} {batch.end} {batch.sha256}")
        self._sync()
        self.ranges.append(batch)

    def finish(self, number: int) -> None:
        """Record that every line of a batch was accepted or rejected."""
        self._append(f"done {number}")
        self.done.add(number)

    @property
    def begun(self) -> list[Range]:
        """Return the batches that may have been sent, without an answer."""
        return [each for each in self.ranges if each.number not in self.done]

    # ------------------------------------------------------------------------------------------------------- writing

    def _append(self, text: str) -> None:
        line = f"{text} {_checksum(text)}\n".encode()
        try:
            if self._is_torn:
                self._cut(self._size)
                self._is_torn = False
            self._disk.append(self._file, line)
        except OSError as fault:
            self._is_torn = True  # A part of the line may be there. The next line must not be glued to it.
            raise self._unwritable(fault) from fault
        self._size += len(line)

    def _sync(self) -> None:
        try:
            self._disk.sync(self._file)
        except OSError as fault:
            raise self._unwritable(fault) from fault

    def _cut(self, size: int) -> None:
        try:
            self._disk.cut(self._file, size)
        except OSError as fault:
            raise self._unwritable(fault) from fault
        self._size = size

    def _unwritable(self, fault: OSError) -> JournalFault:
        return JournalFault(
            f"cannot write the journal {self.path}: {fault.strerror or fault}; make room and run the same command again"
        )

    # ------------------------------------------------------------------------------------------------------- reading

    def _load(self, forget: bool) -> None:
        """Read all complete lines, and cut off a torn last one."""
        content = _content(self._file)
        if not content.startswith(MAGIC[: len(content)]):
            raise JournalFault(f"{self.path} is no journal of an import; name another file with --journal")
        if forget:
            return
        lines = content.split(b"\n")
        torn = lines.pop()
        texts = [_unsealed(line) for line in lines]
        if texts and texts[-1] is None and not torn:
            texts.pop()  # The last blocks of a file may reach the disk out of order.
        for number, text in enumerate(texts, 1):
            if text is None:
                raise self._damaged(number)
            try:
                self._take(text, number)
            except (ValueError, TypeError) as fault:
                raise self._damaged(number, str(fault)) from None
        good = sum(len(line) + 1 for line in lines[: len(texts)])
        self._size = len(content)
        if good < len(content):
            self._cut(good)

    def _take(self, text: str, number: int) -> None:
        word, _, rest = text.partition(" ")
        if number == 1:
            self.header = Header.read(rest)
        elif word == "begin":
            batch, start, end, sha256 = rest.split(" ")
            found = Range(int(batch), int(start), int(end), sha256)
            expected = self.ranges[-1].end if self.ranges else 0
            if (found.number, found.start) != (len(self.ranges) + 1, expected) or found.end <= found.start:
                raise ValueError("its batches do not follow each other")
            self.ranges.append(found)
        elif word == "done" and 1 <= int(rest) <= len(self.ranges):
            self.done.add(int(rest))
        else:
            raise ValueError("its records do not follow each other")

    def _damaged(self, number: int, why: str = "its checksum is wrong") -> JournalFault:
        return JournalFault(
            f"line {number} of the journal {self.path} is damaged ({why}), so what was sent is unknown; "
            "restore the journal, or send every line again with --new-run"
        )


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        file = os.open(path, flags, 0o600)
        os.fchmod(file, 0o600)
    except OSError as fault:
        raise JournalFault(
            f"cannot open the journal {path}: {fault.strerror}; name another place with --journal"
        ) from None
    return file


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise JournalFault(f"another import uses the journal {path}; wait for it to end") from None


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable. Some file systems do not allow it, and need no such call."""
    with contextlib.suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _content(file: int) -> bytes:
    """Return the content. A file that is no journal is read only as far as that is clear."""
    chunks = [os.pread(file, READ_BYTES, 0)]
    size = len(chunks[0])
    while chunks[0].startswith(MAGIC) and chunks[-1]:
        chunks.append(os.pread(file, READ_BYTES, size))
        size += len(chunks[-1])
    return b"".join(chunks)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _unsealed(line: bytes) -> str | None:
    """Return the text of a line without its checksum, or None if the checksum is wrong."""
    try:
        text, _, checksum = line.decode().rpartition(" ")
    except UnicodeDecodeError:
        return None
    return text if checksum == _checksum(text) else None
