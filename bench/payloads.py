"""Data to schedule, from one seed."""

from __future__ import annotations

import json
import random

BYTES = 100
LETTER_BYTES = 262_144
"""The most that one schedule may hold."""


def payload(kind: str, index: int) -> str:
    """`hex`: nothing repeats, so it packs to half at best. `json`: orders of one shop, which look much alike. Each of a
    hundred bytes. `letter`: as much as there may be, which packs to next to nothing."""
    if kind == "letter":
        return "x" * LETTER_BYTES
    chance = random.Random(f"{kind} {index}")
    if kind == "hex":
        return chance.randbytes(BYTES // 2).hex()
    order = {"event": "payment_reminder", "order": 1_000_000 + index, "customer": f"c-{chance.randrange(10**6):06d}"}
    text = json.dumps({**order, "channel": "email", "attempt": 1}, separators=(",", ":"))
    return text[:-1] + " " * (BYTES - len(text)) + "}"
