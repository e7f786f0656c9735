"""Make data to schedule, always from the same seed."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator

BYTES = 100
BYTES_MAX = 262_144
"""The most data that one schedule may hold."""


def payload(kind: str, index: int) -> str:
    """Return the data of one schedule.

    `hex` repeats nothing, so it packs to half its size at best. `json` holds similar orders of one shop. Both are a
    hundred bytes long. `largest` is as long as the limit permits, and compresses to almost nothing.
    """
    if kind == "largest":
        return "x" * BYTES_MAX
    chance = random.Random(f"{kind} {index}")
    if kind == "hex":
        return chance.randbytes(BYTES // 2).hex()
    order = {"event": "payment_reminder", "order": 1_000_000 + index, "customer": f"c-{chance.randrange(10**6):06d}"}
    text = json.dumps({**order, "channel": "email", "attempt": 1}, separators=(",", ":"))
    return text[:-1] + " " * (BYTES - len(text)) + "}"


BATCHES = {
    "tiny": "members of two letters",
    "json": "orders that look alike",
    "hex": "100 characters of random hex",
    "base64": "2 to 6 KB of random base64",
    "few": "620 characters of four letters",
    "mixed": "repeated text, and 2 KB of random base64",
}
"""Whole batches, each hard to pack in its own way. Zlib is slowest when a few letters repeat in random order."""


def batch(kind: str, total_bytes: int, members_max: int) -> Iterator[str]:
    """Yield the data of a batch of maximum size."""
    chance, sent_bytes = random.Random(kind), 0
    for index in range(members_max):
        data = _member(kind, index, chance)
        sent_bytes += len(data) + len('{"timestamp":1893456000,"data":""},')
        if sent_bytes > total_bytes:
            return
        yield data


def _member(kind: str, index: int, chance: random.Random) -> str:
    if kind == "tiny":
        return f"{index % 100:02d}"
    if kind == "base64" or (kind == "mixed" and index % 20 >= 15):
        return base64.b64encode(
            chance.randbytes(chance.randrange(1_500, 4_500) if kind == "base64" else 1_500)
        ).decode()
    if kind == "mixed":
        return "all alike " * 300
    if kind == "few":
        return "".join(chance.choices("acgt", k=620))
    return payload(kind, index)
