"""Give requests their keys, and pack requests of a batch that are due close together into bundles.

A batch with a token must be packed the same way when it is sent again. So its packing does not depend on the clock. A
schedule that is near by then is packed like the rest, and is sent as the same member as the first time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from scheduler.model.bundle import Bundle
from scheduler.model.schedule import Key, Request, Schedule, random_key, repeatable_key, repeatable_offset_ms
from scheduler.value_class import value_class

if TYPE_CHECKING:
    from scheduler.placing.packing import Cut

IndexedRequest = tuple[int, Request]
"""A request with its index in the batch."""


@value_class
class KeyGenerator:
    """Creates keys and bundles. `span_ms_max` is how far apart the members of a bundle may be due."""

    partition_count: int
    randomness: random.Random
    span_ms_max: int = 0
    application: str = ""
    """Whose keys they are. It is empty for the owner."""

    def schedule(self, request: Request, batch_index: int = 0, token: str | None = None) -> Schedule:
        """Return the schedule of a request.

        The key is random without a token. It is a hash if the request or its batch has a token, so that a repeat has
        the same key. The token of a batch is hashed together with the index.
        """
        identity = self._identity(request, batch_index, token)
        if identity is None:
            key = random_key(request.due_ms, self.partition_count, self.randomness)
        else:
            facts = [request.due_ms, request.data, request.target, request.user, request.expires_after_ms]
            rarer = [request.terms, request.name] if request.terms or request.name else []
            key = repeatable_key(request.due_ms, self.partition_count, [*identity, *facts, *rarer])
        return _keyed(request, key)

    def hashed(self, parts: list[object]) -> list[object]:
        """Return what to hash. The application comes first, so that the tokens of two applications never meet."""
        return [self.application, *parts] if self.application else parts

    def _identity(self, request: Request, batch_index: int, token: str | None) -> list[object] | None:
        """Return what a repeat of the request has in common with it, or None if it has no token."""
        if request.token:
            return self.hashed(["own", request.token])
        return self.hashed(["batch", batch_index, token]) if token else None

    def drawn(self, request: Request, batch_index: int = 0, token: str | None = None) -> Request:
        """Return the request with its moment drawn from its spread. A repeat under a token draws the same moment."""
        if not request.spread_ms:
            return request
        identity = self._identity(request, batch_index, token)
        if identity is None:
            offset_ms = self.randomness.randrange(request.spread_ms + 1)
        else:
            offset_ms = repeatable_offset_ms(request.spread_ms, identity)
        return replace(request, due_ms=request.due_ms + offset_ms, spread_ms=0)

    def bundles(
        self, requests: Mapping[int, Request], token: str | None
    ) -> Iterator[tuple[Bundle, dict[int, Schedule]]]:
        """Yield each bundle, and its members by their index in the batch. A request that fits no bundle is left out."""
        from scheduler.placing import packing

        for group in _by_target(requests):
            start = 0
            for cut in packing.cut([request for _, request in group], self.span_ms_max):
                members = group[start : start + len(cut.texts)]
                if len(members) > 1:
                    yield self._bundle(members, cut, token)
                start += len(members)

    def _bundle(
        self, members: Sequence[IndexedRequest], cut: Cut, token: str | None
    ) -> tuple[Bundle, dict[int, Schedule]]:
        """Return a bundle, and its members by their index in the batch.

        Two bundles of a batch may hold the same texts, so under a token the hash includes the first member's index.
        """
        (first, earliest), due_ms = members[0], members[-1][1].due_ms
        if token is None:
            key = random_key(due_ms, self.partition_count, self.randomness)
        else:
            key = repeatable_key(due_ms, self.partition_count, self.hashed(["bundle", token, first, *cut.texts]))
        return Bundle(key, cut.packed, len(members), earliest.due_ms), {
            batch_index: _keyed(each, key, index) for index, (batch_index, each) in enumerate(members)
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


def _by_target(requests: Mapping[int, Request]) -> list[list[IndexedRequest]]:
    """Return the requests grouped by target, each group in time order.

    All members of a bundle have one target. So the batches to its queue are full, and a queue that denies access delays
    no other target.
    """
    groups: dict[str | None, list[IndexedRequest]] = {}
    for batch_index, request in sorted(requests.items(), key=lambda indexed: indexed[1].due_ms):
        groups.setdefault(request.target, []).append((batch_index, request))
    return list(groups.values())
