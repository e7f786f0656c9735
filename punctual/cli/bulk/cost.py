"""The price of an import. The figures are those of the table in README, which `make cost` counts."""

from __future__ import annotations

from collections.abc import Mapping

DOLLARS_PER_MILLION: dict[tuple[bool, bool], float] = {
    (False, False): 0.04,
    (False, True): 0.13,
    (True, False): 0.71,
    (True, True): 1.98,
}
"""The price of a million schedules of 100 bytes in batches, in us-east-1: by named and far."""
WEBHOOK_DOLLARS_PER_MILLION = 0.10
"""Added for each message with a message group."""
MILLION = 1_000_000
CENT = 0.01

Counts = Mapping[tuple[bool, bool], int]


def dollars(counts: Counts, webhooks: int) -> float:
    """Return the price of schedules, counted by named and far, up to their queue."""
    total = sum(count * DOLLARS_PER_MILLION[kind] for kind, count in counts.items())
    return (total + webhooks * WEBHOOK_DOLLARS_PER_MILLION) / MILLION


def shown(price: float) -> str:
    if price < CENT:
        return "less than $0.01"
    return f"about ${price:,.2f}"
