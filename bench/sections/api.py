"""Measure what the HTTP API adds to a schedule: the processor time of a request, and the cold start."""

from __future__ import annotations

from collections.abc import Iterator

from bench.laboratory.api_trials import CREDENTIAL
from bench.laboratory.processes import Laboratory
from bench.trials import Figure, Measurement, Series, Size, at_most, tell

SECTION = "HTTP API, beside a direct invocation"
CPU_RATIO_MAX, START_RATIO_MAX = 1.25, 1.15


def api(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    for distance in ("near", "far"):
        series = Series()
        for number in range(1, size.rounds + 1):
            tell(f"api: {distance}, round {number} of {size.rounds}")
            laboratory.control("reset")
            laboratory.control("lay", items=[CREDENTIAL])
            taken = laboratory.run(trial="post", count=size.single_calls, distance=distance)
            series.rounds.append({who: {"cpu_s": taken[f"{who}_cpu_s"]} for who in ("reference", "ours")})
        yield _compared(f"POST /schedules, {distance}: CPU per call", series, size.single_calls, CPU_RATIO_MAX)
    yield _compared("cold start: CPU", _starts(laboratory, size), 1, START_RATIO_MAX)


def _starts(laboratory: Laboratory, size: Size) -> Series:
    """Start the API function and the schedule function in turns."""
    series = Series()
    for number in range(1, size.starts + 1):
        tell(f"api: start, round {number} of {size.starts}")
        functions = {"reference": "schedule", "ours": "api"}
        series.rounds.append(
            {who: laboratory.run(trial="start", who="ours", function=name) for who, name in functions.items()}
        )
    return series


def _compared(name: str, series: Series, calls: int, ratio_max: float) -> Figure:
    def cpu_s(outcome: Measurement) -> float:
        return outcome["cpu_s"]

    ours, reference = (series.median(who, cpu_s) * 1000 / calls for who in ("ours", "reference"))
    return Figure(SECTION, name, "ms", ours, reference, series.ratio("ours", cpu_s), at_most(ratio_max))
