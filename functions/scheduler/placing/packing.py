"""Cut a batch into bundles: find out how many members each one holds, with work that grows no faster than the batch.

A bundle is full at `PACKED_BYTES_MAX`, and only a compressor can tell how long a text becomes. So one compressor takes
the members step by step. A copy of it says after each step how long the bundle would be if it ended there. A step that
is too long is taken back.

The work is bounded whatever the data looks like:
- A step takes in at most as much text as the bundle holds already. The first step takes in less than the last bundle
  held, or what fits in any case. So steps that are taken back cost no more than the bundles that were filled.
- A bundle takes at most `STEPS_MAX` steps, and ends with the second one that is too long.
- A step stops as soon as the compressor has put out more than a bundle may hold.

Nothing here depends on the clock or on chance: the same members are cut the same way every time.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass

from scheduler.limits import SQS_BATCH_MESSAGES_MAX
from scheduler.model.bundle import LEVEL, MEMBERS_MAX, PACKED_BYTES_MAX, UNPACKED_BYTES_MAX, text_of
from scheduler.model.schedule import Request

STEPS_MAX = 20
FAILED_STEPS_MAX = 2
ALWAYS_FITS_BYTES = PACKED_BYTES_MAX - 64
"""So much text fits whatever it is. Where zlib cannot compress, it adds a few bytes."""
FIRST_STEP_SHARE = 0.9
"""Of what the last bundle held. A little less is no loss, because the next step takes in the rest."""
CAUTION, HOPE = 0.97, 1.1
"""A later step takes in a little less than what should fit, because a step that is too long was compressed in vain. If
that is no step at all, a little more is worth a try: ten members may be half of a bundle."""
RATE_MIN = 0.001
"""No text compresses to less (zlib, "technical details": 1,030 to 1)."""
PIECE_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Cut:
    """Members that go together, as JSON, and all of them compressed. A single member is in no bundle."""

    texts: Sequence[str]
    packed: bytes = b""
    text_bytes: int = 0


def cut(group: Sequence[Request], span_ms_max: int) -> Iterator[Cut]:
    """Cut requests for one target, in the order of time, into bundles and single ones. The cuts follow each other."""
    start, last_bytes = 0, 0
    while start < len(group):
        found = _Filling(_Texts(group, start, span_ms_max)).fullest(last_bytes)
        yield found
        start, last_bytes = start + len(found.texts), found.text_bytes


class _Texts:
    """The members that may follow the first one into its bundle, as JSON, made when they are asked for."""

    def __init__(self, group: Sequence[Request], start: int, span_ms_max: int) -> None:
        self._group, self._start = group, start
        self._latest_ms = group[start].due_ms + span_ms_max
        self._count_max = min(MEMBERS_MAX, len(group) - start)
        self.made: list[str] = []
        self._ends: list[int] = []
        """How many bytes the texts up to this one have, each with the comma or bracket before it."""

    def within(self, text_bytes: float) -> int:
        """Return how many of the first members have no more than so many bytes together."""
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
        """More than ten go in whole tens, which is what a call to SQS carries, unless they are the last of all."""
        is_last = self._start + count == len(self._group)
        return count if count <= SQS_BATCH_MESSAGES_MAX or is_last else count - count % SQS_BATCH_MESSAGES_MAX

    def _make_one(self) -> None:
        """The next one, if it is due close enough to the first, and all of them are not too much to unpack at once."""
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
    """A bundle that is being compressed. It tells how long it would be if it ended now, and goes on all the same."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(LEVEL)
        self._put_out = b""
        self.text_bytes = 0

    def copy(self) -> _Compression:
        twin = copy(self)
        twin._compressor = self._compressor.copy()
        return twin

    def take(self, texts: Sequence[str]) -> None:
        """Take in more members. Stop among them if the bundle is too long already."""
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
    """One bundle while it is filled."""

    def __init__(self, texts: _Texts) -> None:
        self._texts = texts
        self._compression = _Compression()
        self._count, self._packed = 0, b""
        self._room_bytes = 0.0
        """How much more text should fit, if it compresses as the last step did."""

    def fullest(self, last_bytes: int) -> Cut:
        """Fill the bundle. `last_bytes` says how much text the bundle before held."""
        if not self._texts.has(2):
            return Cut(self._texts.made[:1])
        target, failed = self._first_target(last_bytes), 0
        if not self._fits(target) and target > 1:
            self._fits(self._first_target(0))
        for _ in range(STEPS_MAX if self._count else 0):
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
        """Return how many members to try next, or the number that fits if no more of them should fit."""
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
        """Take the members up to `target`. Take them back if the bundle is too long with them."""
        trial = self._compression.copy()
        trial.take(self._texts.made[self._count : target])
        packed = trial.ended()
        rate = (len(packed) - len(self._packed)) / (trial.text_bytes - self._compression.text_bytes)
        fits = len(packed) <= PACKED_BYTES_MAX
        if fits:
            self._compression, self._count, self._packed = trial, target, packed
        self._room_bytes = (PACKED_BYTES_MAX - len(self._packed)) / max(rate, RATE_MIN)
        return fits
