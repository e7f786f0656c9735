"""Define the trials: what each measures, how often, and which bound its figures have to meet.

The reference and our functions take turns, each in a fresh process, so that other load on the machine affects both. A
figure is the median over the rounds, and its ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.laboratory.processes import Laboratory
from bench.laboratory.webhook_hosts import Host, Hosts

ROUNDS = 5
ROUNDS_OF_LONG_ONES_MAX = 3
"""Rounds for trials that take minutes: 100,000 schedules at a thousand a second."""
STARTS = 7
FIRST_DUE_S, SPREAD_S = 250, 500
"""All schedules are within reach, and none becomes overdue during its feed."""
BUNDLES_AHEAD_S = 2_000
CROWD, SLOW_S = 32, 0.5
"""As many deliveries as the deliver function runs at once, and long enough for all of them to overlap."""
FED_BEFORE_S = 400
BATCH = 1_000
IDLE_DUE_S = 365 * 86_400

Measurement = dict[str, float]


@dataclass(frozen=True)
class Size:
    """How many rounds, schedules and calls each trial has."""

    feeds: tuple[int, ...] = (20_000, 100_000)
    growth: tuple[int, ...] = (1_000, 10_000, 100_000)
    partitions: tuple[int, ...] = (1, 2, 4, 8, 16)
    spread: int = 20_000
    idle: int = 200_000
    single_calls: int = 300
    batches: int = 5
    rounds: int = ROUNDS
    starts: int = STARTS
    most: int = 10_000
    largest: int = 1_000
    burst: int = 500
    month: int = 100_000
    named: int = 10_000
    batch_bytes: int = 6_000_000
    pending: int = 1_000_000


QUICK = Size(
    (2_000, 4_000), (500, 1_000, 2_000), (1, 4), 2_000, 5_000, 50, 1, 1, 1, 1_000, 40, 50, 5_000, 200, 300_000, 20_000
)


@dataclass(frozen=True)
class Bound:
    """A bound on one of our figures, or on its ratio to the reference."""

    limit: float
    at_most: bool = True
    of_ratio: bool = True

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:,g}{' x' if self.of_ratio else ''}"

    @classmethod
    def read(cls, text: str) -> Bound:
        """Return the bound that `str` has written."""
        sign, limit, *unit = text.split(" ")
        return cls(float(limit.replace(",", "")), sign == "≤", unit == ["x"])

    def met_by(self, figure: Figure) -> bool:
        value = figure.ratio if self.of_ratio else figure.ours
        return value is not None and (value <= self.limit if self.at_most else value >= self.limit)


@dataclass(frozen=True)
class Figure:
    """One line of the tables."""

    section: str
    name: str
    unit: str
    ours: float
    reference: float | None = None
    ratio: float | None = None
    wanted: Bound | None = None


@dataclass
class Series:
    """The results of the rounds, by who ran."""

    rounds: list[dict[str, Measurement]] = field(default_factory=list)

    def median(self, who: str, value: Callable[[Measurement], float]) -> float:
        return statistics.median(value(each[who]) for each in self.rounds)

    def ratio(self, who: str, value: Callable[[Measurement], float]) -> float:
        return statistics.median(value(each[who]) / value(each["reference"]) for each in self.rounds)


def at_most(limit: float, of_ratio: bool = True) -> Bound:
    return Bound(limit, True, of_ratio)


def at_least(limit: float, of_ratio: bool = True) -> Bound:
    return Bound(limit, False, of_ratio)


def tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# --------------------------------------------------------------------------------------------------------------- feed


def feeds(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Feed one partition until it is empty: schedules stored one by one, and bundles."""
    unthrottled = {}
    for count in size.feeds:
        whos = ("reference", "plain", "hex", "json")
        unthrottled[count] = _fed(laboratory, count, False, whos, size.rounds)
        yield from _feed_figures(unthrottled[count], count)
    for count in size.feeds:
        rounds = min(size.rounds, ROUNDS_OF_LONG_ONES_MAX) if count >= 100_000 else size.rounds
        series = _fed(laboratory, count, True, ("reference", "plain", "hex"), rounds)
        yield from _throttled_figures(series, unthrottled[count], count)
    yield from _memory_figures(unthrottled)


def _fed(laboratory: Laboratory, count: int, throttled: bool, whos: Sequence[str], rounds: int) -> Series:
    series = Series()
    for number in range(1, rounds + 1):
        outcomes = {}
        for who in whos:
            tell(f"feed {count:,}{' throttled' if throttled else ''}, round {number} of {rounds}, {who}")
            outcomes[who] = _feed(laboratory, count, throttled, who)
        series.rounds.append(outcomes)
    return series


def _feed(laboratory: Laboratory, count: int, throttled: bool, who: str) -> Measurement:
    ahead_s = 0
    laboratory.control("reset")
    if who in ("reference", "plain"):
        first_due_s = int(time.time()) + FIRST_DUE_S
        laboratory.control("preload", count=count, partitions=1, first_due_s=first_due_s, spread_s=SPREAD_S)
    else:
        laboratory.run(trial="fill", count=count, size=BATCH, ahead_s=BUNDLES_AHEAD_S, data=who)
        ahead_s = BUNDLES_AHEAD_S - FED_BEFORE_S
    laboratory.control("throttle", throttled=throttled)
    opened = laboratory.control("figures").get("connections", 0)
    outcome = laboratory.run(trial="feed", who=_by(who), partitions=["0"], ahead_s=ahead_s, side_by_side=1)
    figures = laboratory.control("figures")
    return _checked({**outcome, **figures, "connections": figures["connections"] - opened, "count": count})


def _by(who: str) -> str:
    return "reference" if who == "reference" else "ours"


def _checked(outcome: Measurement) -> Measurement:
    """Raise if a feed lost a schedule, because its figures would be worthless."""
    if outcome["ids"] != outcome["count"]:
        raise RuntimeError(f"{outcome['count']:,.0f} schedules, and {outcome['ids']:,.0f} came out")
    return outcome


def _per_cpu_second(outcome: Measurement) -> float:
    return outcome["count"] / outcome["cpu_s"]


def _per_second(outcome: Measurement) -> float:
    return outcome["count"] / outcome["wall_s"]


def _calls(outcome: Measurement) -> float:
    return outcome["calls"] / outcome["count"]


def _write_units(outcome: Measurement) -> float:
    return outcome["write_units"] / outcome["count"]


def _repeats(outcome: Measurement) -> float:
    return outcome["messages"] / outcome["count"] - 1


def _value(name: str) -> Callable[[Measurement], float]:
    return lambda outcome: outcome.get(name, 0)


def _mebibytes(outcome: Measurement) -> float:
    return outcome["memory_bytes_max"] / 1_048_576


def _feed_figures(series: Series, count: int) -> Iterator[Figure]:
    section = f"Feed, {count:,} schedules, one partition"
    names = {"plain": "stored one by one", "hex": "bundles of random hex", "json": "bundles of JSON of one kind"}
    calls = {"plain": at_most(0.145, False), "hex": at_most(0.11, False), "json": at_most(0.11, False)}
    per_cpu = {"plain": at_least(0.95), "hex": at_least(1.2), "json": at_least(1.2)}
    for who, name in names.items():
        line = _Liner(section, f"{name}: ", series, who)
        yield line("schedules per CPU second", "", _per_cpu_second, per_cpu[who])
        yield line("schedules per second", "", _per_second, at_least(0.95) if who == "plain" else None)
        yield line("CPU", "s", _value("cpu_s"))
        yield line("wall", "s", _value("wall_s"))
        life = "" if who == "plain" else ", with scheduling"
        yield line(f"AWS calls per schedule{life}", "", _calls, calls[who])
        if who != "plain":
            units = at_most(0.35 if who == "hex" else 0.1, False)
            yield line("write units per schedule, whole life", "", _write_units, units, alone=True)
        yield line("connections opened", "", _value("connections"))
        yield line("peak memory", "MiB", _mebibytes)


def _throttled_figures(series: Series, unthrottled: Series, count: int) -> Iterator[Figure]:
    section = f"Feed, {count:,} schedules, throttled at 1,000 write units a second"
    for who, name, rate, calls in [
        ("plain", "stored one by one", at_least(950, False), at_most(0.2, False)),
        ("hex", "bundles of random hex", at_least(5000, False), None),
    ]:
        line = _Liner(section, f"{name}: ", series, who)
        yield line("schedules per second", "", _per_second, rate)
        yield line("CPU", "s", _value("cpu_s"))
        yield line("AWS calls per schedule" + ("" if who == "plain" else ", with scheduling"), "", _calls, calls)
        yield line("writes sent back, per schedule", "", lambda outcome: outcome["unprocessed"] / outcome["count"])
        yield line("repeats per schedule", "", _repeats)
        yield line("ticks until empty", "", _value("ticks"), alone=True)
    ours = series.median("plain", _value("cpu_s")) / unthrottled.median("plain", _value("cpu_s"))
    theirs = series.median("reference", _value("cpu_s")) / unthrottled.median("reference", _value("cpu_s"))
    name = "stored one by one: CPU, throttled to unthrottled"
    yield Figure(section, name, "x", ours, theirs, ours / theirs, at_most(1.5, False))


def _memory_figures(series: dict[int, Series]) -> Iterator[Figure]:
    fewest, most = min(series), max(series)
    for who, name in (("plain", "stored one by one"), ("hex", "bundles of random hex")):
        ours = series[most].median(who, _mebibytes) / series[fewest].median(who, _mebibytes)
        theirs = series[most].median("reference", _mebibytes) / series[fewest].median("reference", _mebibytes)
        what = f"{name}: peak at {most:,} to peak at {fewest:,}"
        yield Figure("Memory of the feed", what, "x", ours, theirs, ours / theirs, at_most(1.1, False))


@dataclass(frozen=True)
class _Liner:
    section: str
    prefix: str
    series: Series
    who: str

    def __call__(
        self,
        name: str,
        unit: str,
        value: Callable[[Measurement], float],
        wanted: Bound | None = None,
        alone: bool = False,
    ) -> Figure:
        ours = self.series.median(self.who, value)
        theirs = None if alone else self.series.median("reference", value)
        ratio = self.series.ratio(self.who, value) if theirs else None
        return Figure(self.section, self.prefix + name, unit, ours, theirs, ratio, wanted)


# ----------------------------------------------------------------------------------------------------------- schedule


def schedules(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Measure the warm schedule function, call by call and in batches."""
    for distance in ("near", "far"):
        trial = {"trial": "schedule_singly", "distance": distance, "count": size.single_calls}
        line = _in_turns(laboratory, size.rounds, "Schedule, one by one", trial, size.single_calls)
        yield line(f"{distance}: CPU per call", "ms", _value("ms"), at_most(1.15))
    for distance in ("near", "far"):
        trial = {"trial": "schedule_batches", "distance": distance, "batches": size.batches, "size": BATCH}
        line = _in_turns(laboratory, size.rounds, f"Schedule, a batch of {BATCH:,}", trial, size.batches * BATCH)
        yield line(f"{distance}: CPU per schedule", "ms", _value("ms"), at_most(0.9))


def _in_turns(laboratory: Laboratory, rounds: int, section: str, trial: dict[str, Any], count: int) -> _Liner:
    series = Series()
    for number in range(1, rounds + 1):
        tell(f"{section}, {trial['distance']}, round {number} of {rounds}")
        laboratory.control("reset")
        taken = laboratory.run(**trial)
        whos = {"reference": taken["reference_cpu_s"], "ours": taken["ours_cpu_s"]}
        series.rounds.append({who: {"ms": cpu_s * 1000 / count} for who, cpu_s in whos.items()})
    return _Liner(section, "", series, "ours")


# -------------------------------------------------------------------------------------------------------------- start


def starts(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Measure cold starts of every function, next to `import boto3` and making the same clients."""
    for function in laboratory.functions:
        made = laboratory.run(trial="clients", function=function)["clients"]
        series = Series()
        for number in range(1, size.starts + 1):
            tell(f"start of {function}, round {number} of {size.starts}")
            theirs = laboratory.run(trial="start", who="reference", clients=made)
            series.rounds.append(
                {"reference": theirs, "ours": laboratory.run(trial="start", who="ours", function=function)}
            )
        name = f"{function} ({', '.join(made) or 'no client'}): "
        line = _Liner("Cold start: import, and clients made", name, series, "ours")
        yield line("wall", "ms", lambda outcome: outcome["wall_s"] * 1000, at_most(1.1))
        yield line("CPU", "ms", lambda outcome: outcome["cpu_s"] * 1000)


# ------------------------------------------------------------------------------------------------------------- growth


def growth(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Measure how cost and rate change with the number of schedules, other items in the table, and partitions."""
    rounds = min(size.rounds, ROUNDS_OF_LONG_ONES_MAX)
    for count in size.growth:
        series = _fed(laboratory, count, False, ("reference", "plain"), rounds)
        yield from _growth_figures(series, f"{count:,} schedules")
    count = size.growth[1]
    series = _fed_in(laboratory, rounds, partial(_feed_among_idle, laboratory, count, size.idle))
    yield from _growth_figures(series, f"{count:,} schedules and {size.idle:,} idle ones")
    for partitions in size.partitions:
        tell(f"growth: {partitions} partitions")
        series = _fed_in(laboratory, rounds, partial(_feed_spread, laboratory, size.spread, partitions))
        line = _Liner("Growth over partitions, throttled", f"{partitions}: ", series, "plain")
        yield line("schedules per second", "", _per_second)
        yield line("CPU per 1,000 schedules", "s", lambda outcome: 1000 / _per_cpu_second(outcome))


def _growth_figures(series: Series, name: str) -> Iterator[Figure]:
    line = _Liner("Growth over schedules", f"{name}: ", series, "plain")
    yield line("CPU per 1,000 schedules", "s", lambda outcome: 1000 / _per_cpu_second(outcome))
    yield line("AWS calls per schedule", "", _calls)
    yield line("read units per schedule", "", lambda outcome: outcome["read_units"] / outcome["count"])


def _fed_in(laboratory: Laboratory, rounds: int, feed: Callable[[str], Measurement]) -> Series:
    return Series([{who: feed(who) for who in ("reference", "plain")} for _ in range(rounds)])


def _feed_among_idle(laboratory: Laboratory, count: int, idle: int, who: str) -> Measurement:
    laboratory.control("reset")
    now_s = int(time.time())
    laboratory.control("preload", count=count, partitions=1, first_due_s=now_s + FIRST_DUE_S, spread_s=SPREAD_S)
    laboratory.control("preload", count=idle, partitions=1, first_due_s=now_s + IDLE_DUE_S, spread_s=SPREAD_S)
    outcome = laboratory.run(trial="feed", who=_by(who), partitions=["0"], ahead_s=0, side_by_side=1)
    return _checked({**outcome, **laboratory.control("figures"), "count": count})


def _feed_spread(laboratory: Laboratory, count: int, partitions: int, who: str) -> Measurement:
    """Run one feed per partition, side by side, as Lambda does."""
    laboratory.control("reset")
    first_due_s = int(time.time()) + FIRST_DUE_S
    laboratory.control("preload", count=count, partitions=partitions, first_due_s=first_due_s, spread_s=SPREAD_S)
    laboratory.control("throttle", throttled=True)
    feed = {"trial": "feed", "who": _by(who), "ahead_s": 0, "side_by_side": partitions}
    outcomes = laboratory.run_together([{**feed, "partitions": [str(number)]} for number in range(partitions)])
    total = {"cpu_s": sum(each["cpu_s"] for each in outcomes), "wall_s": max(each["wall_s"] for each in outcomes)}
    return _checked({**total, **laboratory.control("figures"), "count": count})


# ------------------------------------------------------------------------------------------------------------- limits


def limits(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Measure memory and time of each function at its largest task. template.yml sets its limits by these figures."""
    most, largest = size.most, size.largest
    for name, trial in (
        (f"schedule: {most:,} near ones in a batch", _filling(most, most, FIRST_DUE_S, "json")),
        (f"schedule: {most:,} far ones in a batch", _filling(most, most, BUNDLES_AHEAD_S, "hex")),
        ("schedule: 20 far ones of 256 KiB in a batch", _filling(20, 20, BUNDLES_AHEAD_S, "largest")),
        ("trigger: 256 partitions", {"trial": "invoke", "function": "trigger", "event": {}, "partition_count": 256}),
    ):
        tell(f"limits: {name}")
        laboratory.control("reset")
        yield from _limit_figures(name, laboratory.run(**trial))
    name = f"feed: {largest:,} of 256 KiB, one letter each, in batches"
    tell(f"limits: {name}")
    laboratory.control("reset")
    laboratory.run(**_filling(largest, 20, BUNDLES_AHEAD_S, "largest"))
    ahead_s = BUNDLES_AHEAD_S - FED_BEFORE_S
    outcome = laboratory.run(trial="feed", who="ours", partitions=["0"], ahead_s=ahead_s, side_by_side=1)
    yield from _limit_figures(name, _checked({**outcome, **laboratory.control("figures"), "count": largest}))
    name = f"deliver: {CROWD} webhooks of 256 KiB at once, each answered after {SLOW_S} s"
    tell(f"limits: {name}")
    hosts = Host(SLOW_S), Host(SLOW_S)  # One host alone gets no more than half of the deliveries at once.
    with Hosts(*hosts):
        origins = [host.origin for host in hosts]
        variables = {"WEBHOOK_HOSTS": ",".join(origins)}
        outcome = laboratory.run(trial="deliver", count=CROWD, origins=origins, variables=variables)
    arrived = sum(len(host.arrivals_s) for host in hosts)
    wanted = len(hosts) + CROWD  # One for each host comes before.
    if arrived != wanted:
        raise RuntimeError(f"{arrived} of {wanted} webhooks have arrived")
    yield from _limit_figures(name, outcome)


def _filling(count: int, batch: int, ahead_s: int, data: str) -> dict[str, Any]:
    return {"trial": "fill", "count": count, "size": batch, "ahead_s": ahead_s, "data": data}


def _limit_figures(name: str, outcome: Measurement) -> Iterator[Figure]:
    section = "Limits: once, with a cold start"
    yield Figure(section, f"{name}: peak memory", "MiB", _mebibytes(outcome))
    yield Figure(section, f"{name}: wall", "s", outcome["wall_s"])
    yield Figure(section, f"{name}: CPU", "s", outcome["cpu_s"])


SECTIONS: dict[str, Callable[[Laboratory, Size], Iterator[Figure]]] = {
    "feed": feeds,
    "schedule": schedules,
    "start": starts,
    "growth": growth,
    "limits": limits,
}
