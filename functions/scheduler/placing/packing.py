"""Cut a batch into bundles: find how many members fit into each one, in time that is linear in the size of the batch.

A bundle is full at `PACKED_BYTES_MAX`, and only a compressor can tell the compressed size of a text. So one compressor
takes the members step by step. After each step, a copy of it reports how long the bundle would be if it ended there. A
step that makes the bundle too long is undone.

The work is bounded for any data:
- A step adds at most as much text as the bundle already holds, or a few members. The first step adds less than the
  previous bundle held. If that is too long, it adds as much as always fits. So the undone steps cost no more than the
  filled bundles.
- After its first step a bundle takes at most `PACKING_STEPS_MAX` more, and ends at the second one that is too long.
- A step stops as soon as the compressor's output is longer than a bundle may be.

The cuts depend neither on the clock nor on chance: the same members are always cut the same way.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from copy import copy

from scheduler.limits import SQS_BATCH_MESSAGES_MAX
from scheduler.model.bundle import LEVEL, MEMBERS_MAX, PACKED_BYTES_MAX, UNPACKED_BYTES_MAX, text_of
from scheduler.model.schedule import Request
from scheduler.value_class import value_class

PACKING_STEPS_MAX = 20
FAILED_STEPS_MAX = 2
ALWAYS_FITS_BYTES = PACKED_BYTES_MAX - 64
"""This much text always fits. Zlib adds a few bytes to text that it cannot compress."""
FIRST_STEP_SHARE = 0.9
"""The share of the previous bundle's text that the first step adds. The next step adds the rest."""
CAUTION, HOPE = 0.97, 1.1
"""A later step adds a little less than should fit, because the work of a step that is too long is lost.

If that leaves no step at all, a little more is worth a try, because ten members may be half of a bundle.
"""
RATE_MIN = 0.001
"""No text compresses to less (zlib, "technical details": 1,030 to 1)."""
PIECE_BYTES = 4_096


@value_class
class Cut:
    """The members of one bundle as JSON texts, and compressed together. A single member is not in a bundle."""

    texts: Sequence[str]
    packed: bytes = b""
    text_bytes: int = 0


def cut(group: Sequence[Request], span_ms_max: int) -> Iterator[Cut]:
    """Cut requests for one target into bundles and single members. The requests and the cuts are in time order."""
    start, last_bytes = 0, 0
    while start < len(group):
        found = _Filling(_Texts(group, start, span_ms_max)).fullest(last_bytes)
        yield found
        start, last_bytes = start + len(found.texts), found.text_bytes


class _Texts:
    """The members that may share a bundle with the first one, as JSON. Each text is made when it is needed."""

    def __init__(self, group: Sequence[Request], start: int, span_ms_max: int) -> None:
        self._group, self._start = group, start
        self._latest_ms = group[start].due_ms + span_ms_max
        self._count_max = min(MEMBERS_MAX, len(group) - start)
        self.made: list[str] = []
        self._ends: list[int] = []
        """How many bytes the texts up to each one have, including the comma or bracket before each."""

    def within(self, text_bytes: float) -> int:
        """Return how many of the first members fit into this many bytes."""
        while len(self.made) < self._count_max and self.bytes_of(len(self.made)) <= text_bytes:
            self._make_one()
        return bisect_right(self._ends, text_bytes)

    def has(self, count: int) -> bool:
        while len(self.made) < min(count, self._count_max):
            self._make_one()
        return len(self.made) >= count

    def bytes_of(self, count: int) -> int:
        return self._ends[count - 1] if count else 0

    def in_whole_calls(self, count: int) -> int:
        """Round a count above ten down to whole tens, unless these are the last members. A call to SQS takes ten."""
        is_last = self._start + count == len(self._group)
        return count if count <= SQS_BATCH_MESSAGES_MAX or is_last else count - count % SQS_BATCH_MESSAGES_MAX

    def _make_one(self) -> None:
        """Make the next text. Stop if it is due too late for the first, or all texts are too much to unpack at once."""
        index = len(self.made)
        member = self._group[self._start + index]
        text = text_of(member, index)
        end = self.bytes_of(index) + len(",") + len(text.encode())
        if index and (member.due_ms > self._latest_ms or end + len("]") > UNPACKED_BYTES_MAX):
            self._count_max = index
            return
        self.made.append(text)
        self._ends.append(end)


class _Compression:
    """A bundle during compression. It can report how long it would be if it ended now, and then continue."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(LEVEL)
        self._put_out = b""
        self.text_bytes = 0

    def copy(self) -> _Compression:
        copied = copy(self)
        copied._compressor = self._compressor.copy()
        return copied

    def take(self, texts: Sequence[str]) -> None:
        """Add more members. Stop early if the bundle is already too long."""
        text = f"{',' if self.text_bytes else '['}{','.join(texts)}".encode()
        for start in range(0, len(text), PIECE_BYTES):
            piece = text[start : start + PIECE_BYTES]
            self._put_out += self._compressor.compress(piece)
            self.text_bytes += len(piece)
            if len(self._put_out) > PACKED_BYTES_MAX:
                break

    def ended(self) -> bytes:
        compressor = self._compressor.copy()
        return self._put_out + compressor.compress(b"]") + compressor.flush()


class _Filling:
    """A bundle while it is being filled."""

    def __init__(self, texts: _Texts) -> None:
        self._texts = texts
        self._compression = _Compression()
        self._count, self._packed = 0, b""
        self._room_bytes = 0.0
        """How much more text should fit, if it compresses as the last step did."""

    def fullest(self, last_bytes: int) -> Cut:
        """Fill the bundle and return its cut. `last_bytes` is the size of the previous bundle's text."""
        if not self._texts.has(2):
            return Cut(self._texts.made[:1])
        target, failed = self._first_target(last_bytes), 0
        if not self._fits(target) and target > 1:
            self._fits(self._first_target(0))
        for _ in range(PACKING_STEPS_MAX if self._count else 0):
            target = self._next_target(after_failure=failed > 0)
            if target <= self._count or failed == FAILED_STEPS_MAX:
                break
            failed += not self._fits(target)
        if self._count <= 1:
            return Cut(self._texts.made[:1])
        return Cut(self._texts.made[: self._count], self._packed, self._compression.text_bytes)

    def _first_target(self, last_bytes: int) -> int:
        text_bytes = max(ALWAYS_FITS_BYTES, last_bytes * FIRST_STEP_SHARE)
        return max(1, self._texts.in_whole_calls(self._texts.within(text_bytes)))

    def _next_target(self, after_failure: bool) -> int:
        """Return how many members to try next, or the current count if no more should fit."""
        held_bytes = self._compression.text_bytes
        step_bytes_max = max(held_bytes, ALWAYS_FITS_BYTES)
        step_bytes = min(self._room_bytes * CAUTION, step_bytes_max)
        target = self._texts.in_whole_calls(self._texts.within(held_bytes + step_bytes))
        if target > self._count or after_failure:
            return target
        least = self._count + (1 if self._count < SQS_BATCH_MESSAGES_MAX else SQS_BATCH_MESSAGES_MAX)
        least_bytes = self._texts.bytes_of(least) if self._texts.has(least) else math.inf
        return least if least_bytes - held_bytes <= self._room_bytes * HOPE else self._count

    def _fits(self, target: int) -> bool:
        """Add the members up to `target`. Undo that and return False if the bundle is then too long."""
        trial = self._compression.copy()
        trial.take(self._texts.made[self._count : target])
        packed = trial.ended()
        rate = (len(packed) - len(self._packed)) / (trial.text_bytes - self._compression.text_bytes)
        fits = len(packed) <= PACKED_BYTES_MAX
        if fits:
            self._compression, self._count, self._packed = trial, target, packed
        self._room_bytes = (PACKED_BYTES_MAX - len(self._packed)) / max(rate, RATE_MIN)
        return fits
