"""Measure what metrics add to the CPU time of the schedule and the feed function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.laboratory.processes import Laboratory
from bench.trials import BATCH, Figure, Measurement, Series, Size, at_most, tell

RATIO_MAX = 1.02
"""Metrics add at most two percent."""
SECTION = "Metrics, beside the same function without them"
CALLS, BATCHES, FEEDS = 600, 20, 5
"""The turns of a round. A quick run has as many, because a difference of two percent needs them."""


def metrics(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Compare the function with metrics with the function without. Both take turns in one process."""
    count = size.feeds[0]
    trials: dict[str, tuple[dict[str, Any], int]] = {
        "schedule, near, one by one: CPU per call": (_schedule("near", CALLS, 1), CALLS),
        f"schedule, near, a batch of {BATCH:,}: CPU per call": (_schedule("near", BATCHES, BATCH), BATCHES),
        f"feed of {count:,}: CPU": ({"trial": "feed_with_metrics", "count": count, "rounds": FEEDS}, FEEDS),
    }
    for name, (trial, calls) in trials.items():
        series = Series()
        for number in range(1, size.rounds + 1):
            tell(f"metrics: {name}, round {number} of {size.rounds}")
            laboratory.control("reset")
            taken = laboratory.run(**trial)
            series.rounds.append({who: {"ms": taken[f"{who}_cpu_s"] * 1000 / calls} for who in ("reference", "ours")})
        ours, reference = series.median("ours", _ms), series.median("reference", _ms)
        yield Figure(SECTION, name, "ms", ours, reference, series.ratio("ours", _ms), at_most(RATIO_MAX))


def _schedule(distance: str, count: int, size: int) -> dict[str, Any]:
    return {"trial": "schedule_with_metrics", "distance": distance, "count": count, "size": size}


def _ms(outcome: Measurement) -> float:
    return outcome["ms"]
