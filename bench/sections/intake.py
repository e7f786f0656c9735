"""Measure the schedule function with the largest batches: packing any kind of data, and many names."""

from __future__ import annotations

from collections.abc import Iterator

from bench.laboratory.payloads import BATCHES
from bench.laboratory.processes import Laboratory
from bench.trials import Figure, Measurement, Series, Size, at_most, tell

PACKING_S_MAX = 1.5
"""CPU seconds on one vCPU. With 512 MB the schedule function has 0.29 vCPU, so packing takes a fifth of its time."""

NEAR_S, FAR_S = 250, 100_000
NAMES_CALLS_MAX = 2
CALLS_PER_NAME_MAX = 1.2
"""One for the record. The message is a tenth of a call and the write that holds the timer a twenty-fifth."""


def packing(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Measure the CPU seconds for a batch, next to compressing the same bytes once."""
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


def names(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Send a batch of names again until the function has accepted all of them."""
    section = f"Schedule, a batch of {size.most:,} names"
    for distance, ahead_s in (("near", NEAR_S), ("far", FAR_S)):
        tell(f"names: {distance}")
        laboratory.control("reset")
        taken = laboratory.run(trial="schedule_names", count=size.most, ahead_s=ahead_s)
        calls = laboratory.control("figures")["calls"] / size.most
        invocations = at_most(NAMES_CALLS_MAX, of_ratio=False)
        yield Figure(section, f"{distance}: invocations", "", taken["invocations"], wanted=invocations)
        yield Figure(section, f"{distance}: CPU per name", "ms", taken["cpu_s"] * 1000 / size.most)
        yield Figure(section, f"{distance}: wall", "s", taken["wall_s"])
        wanted = at_most(CALLS_PER_NAME_MAX, of_ratio=False)
        yield Figure(section, f"{distance}: AWS calls per name", "", calls, wanted=wanted)


def _cpu_s(outcome: Measurement) -> float:
    return outcome["cpu_s"]
