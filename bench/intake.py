"""The schedule function at the most that a batch may be: what packing takes, whatever the data looks like."""

from __future__ import annotations

from collections.abc import Iterator

from bench.payloads import BATCHES
from bench.processes import Laboratory
from bench.trials import Figure, Outcome, Series, Size, at_most, tell

PACKING_S_MAX = 1.5
"""Of a whole processor. With its 512 MB the schedule function has 0.29 of one: then it takes a fifth of its time."""


def packing(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """CPU seconds for a batch, beside compressing the same bytes once."""
    for kind, name in BATCHES.items():
        series = Series()
        for number in range(1, size.rounds + 1):
            tell(f"packing: {name}, round {number} of {size.rounds}")
            taken = laboratory.run(trial="pack", data=kind, bytes=size.batch_bytes)
            series.rounds.append(
                {who: {"cpu_s": taken[f"{who}_cpu_s"], "fill": taken["fill"]} for who in ("reference", "ours")}
            )
        section = f"Packing a batch of {size.batch_bytes / 1e6:g} MB, beside one call of zlib.compress"
        ours, reference = (series.median(who, _cpu_s) for who in ("ours", "reference"))
        bound = at_most(PACKING_S_MAX, of_ratio=False)
        yield Figure(section, f"{name}: CPU", "s", ours, reference, series.ratio("ours", _cpu_s), bound)
        yield Figure(section, f"{name}: bytes in a bundle", "", series.median("ours", lambda outcome: outcome["fill"]))


def _cpu_s(outcome: Outcome) -> float:
    return outcome["cpu_s"]
