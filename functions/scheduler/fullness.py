"""How much of a page goes into one answer: Lambda takes 6 MB back, and a webhook's headers may be 16 KB each."""

from __future__ import annotations

import json
from collections.abc import Sequence

ANSWER_BYTES_MAX = 5_000_000
"""AWS Lambda, "quotas": 6 MB for a synchronous answer. As ASCII, as a runtime may write it, with room to spare."""


def fitting(facts: Sequence[object]) -> int:
    """So many of the first; one always fits."""
    size_bytes = 0
    for count, each in enumerate(facts):
        size_bytes += bytes_in_list(each)
        if count and size_bytes > ANSWER_BYTES_MAX:
            return count
    return len(facts)


def bytes_in_list(fact: object) -> int:
    return len(json.dumps(fact)) + len(", ")
