"""Give requests their keys, and pack those of a batch that are due close together into bundles.

Under the token of a batch the packing has to come out the same when the batch is sent again, so it does not ask the
clock: what has come near meanwhile is packed like the rest, and sent as the member that it was the first time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scheduler.bundle import MEMBERS_MAX, PACKED_BYTES_MAX, UNPACKED_BYTES_MAX, Bundle, packed, text_of
from scheduler.limits import SQS_BATCH_MESSAGES_MAX
from scheduler.schedule import Key, Request, Schedule, random_key, repeatable_key

Placed = tuple[int, Request]
"""A request with its place in the batch."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Where keys come from, and how far apart the members of a bundle may be due."""

    partition_count: int
    randomness: random.Random
    span_ms_max: int = 0

    def schedule(self, request: Request, place: int = 0, token: str | None = None) -> Schedule:
        """A key by chance, or by its token, or its place under that of its batch, so that a repeat is no second one."""
        identity = ["own", request.token] if request.token else ["batch", place, token] if token else None
        if identity is None:
            key = random_key(request.due_ms, self.partition_count, self.randomness)
        else:
            facts = [request.due_ms, request.data, request.target, request.user, request.expires_after_ms]
            rarer = [request.terms, request.name] if request.terms or request.name else []
            key = repeatable_key(request.due_ms, self.partition_count, [*identity, *facts, *rarer])
        return _keyed(request, key)

    def bundles(
        self, requests: Mapping[int, Request], token: str | None
    ) -> Iterator[tuple[Bundle, dict[int, Schedule]]]:
        """Each bundle, and its members by their places in the batch. Who finds no company is in none."""
        for group in _by_target(requests):
            start, guess = 0, MEMBERS_MAX
            while start < len(group):
                texts = _texts(group[start : start + guess], self.span_ms_max)
                blob, count = _fitting(texts, len(group) - start)
                if count > 1:
                    yield self._bundle(group[start : start + count], texts[:count], blob, token)
                    guess = min(MEMBERS_MAX, PACKED_BYTES_MAX * count // len(blob))
                start += count

    def _bundle(
        self, members: Sequence[Placed], texts: Sequence[str], blob: bytes, token: str | None
    ) -> tuple[Bundle, dict[int, Schedule]]:
        """Under a token the place of the first counts too, for two bundles of a batch may hold the same."""
        (first, earliest), due_ms = members[0], members[-1][1].due_ms
        if token is None:
            key = random_key(due_ms, self.partition_count, self.randomness)
        else:
            key = repeatable_key(due_ms, self.partition_count, ["bundle", token, first, *texts])
        return Bundle(key, blob, len(members), earliest.due_ms), {
            place: _keyed(each, key, index) for index, (place, each) in enumerate(members)
        }


def _keyed(request: Request, key: Key, index: int | None = None) -> Schedule:
    return Schedule(
        key,
        request.due_ms,
        request.data,
        request.target,
        request.user,
        request.expires_after_ms,
        request.terms,
        index,
        request.name,
    )


def _by_target(requests: Mapping[int, Request]) -> list[list[Placed]]:
    """In order of time. One queue for each bundle, so that batches are full and a closed one holds no others back."""
    groups: dict[str | None, list[Placed]] = {}
    for place, request in sorted(requests.items(), key=lambda placed: placed[1].due_ms):
        groups.setdefault(request.target, []).append((place, request))
    return list(groups.values())


def _texts(group: Sequence[Placed], span_ms_max: int) -> list[str]:
    """Of those at the beginning that are due close enough together, and not too much to unpack at once."""
    latest_ms, unpacked_bytes = group[0][1].due_ms + span_ms_max, len("[]")
    texts: list[str] = []
    for index, (_, request) in enumerate(group):
        text = text_of(request, index)
        unpacked_bytes += len(text.encode()) + len(",")
        if texts and (request.due_ms > latest_ms or unpacked_bytes > UNPACKED_BYTES_MAX):
            break
        texts.append(text)
    return texts


def _fitting(texts: Sequence[str], remaining: int) -> tuple[bytes, int]:
    """As many as fit, and their packing. Whole tens, which is what a call to SQS carries, unless they are the last."""
    count = len(texts)
    while count > 1:
        if SQS_BATCH_MESSAGES_MAX < count < remaining:
            count -= count % SQS_BATCH_MESSAGES_MAX
        blob = packed(texts[:count])
        if len(blob) <= PACKED_BYTES_MAX:
            return blob, count
        count = min(count - 1, count * PACKED_BYTES_MAX // len(blob))
    return b"", 1
