"""Calculate which limit comes first at a rate of schedules, and what each limit needs for it.

    python -m bench.scale --rate 100000 --pending 1e9 --partitions 256

The rate is that of far schedules: as many are accepted as become due in each second. The quotas of AWS are in
quotas.json, and the speed of the functions in results/results.json. No limit is measured here: this is arithmetic.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parent
VCPU_MB = 1_769
"""Lambda gives a function with this much memory one whole vCPU."""
FEED_MB = 1_024
"""The memory of the feed function. A test compares this file with template.yml."""
SPARE_S = 300
"""`ReachSeconds` less the feed interval. The first feed that sees a schedule has at least this long."""
PARTITIONS_MAX = 256
POLLERS_MAX = 200
NAME_KEYS = 16
"""The hash keys over which the records of names are spread."""
NAME_WRITES = 2
"""The record is written with the request and with the outcome."""
BATCH_MESSAGES = 10
HELD_S = 2
"""How long a delivery holds its place: it arrives up to two seconds early, and a fast target answers at once."""
CONSUMED_S = 1
"""How long a consumer is assumed to hold a message of the output queue."""
ONE_BY_ONE = "Whole life of 10,000 far schedules, requested one by one"
FEEDS = "Feed, 100,000 schedules, one partition"


@dataclass(frozen=True)
class Stored:
    """How far schedules are stored: what one takes, and how many of them a feed moves with a second of CPU."""

    name: str
    units: float
    """Write units for its whole life. Half of them are for the delete."""
    moved_per_cpu_s: float


@dataclass(frozen=True)
class Limit:
    name: str
    reached: float
    """The schedules a second at which the limit is reached."""
    for_rate: str
    """The setting or quota that the wanted rate needs."""


@dataclass(frozen=True)
class Wanted:
    rate: float
    partitions: int
    quotas: Mapping[str, int]

    def limits(self, stored: Stored) -> list[Limit]:
        """Return every limit, the first to be reached first."""
        return sorted([*self._table(stored), *self._functions(stored)], key=lambda limit: limit.reached)

    def _table(self, stored: Stored) -> Iterator[Limit]:
        rate, quotas, units = self.rate, self.quotas, stored.units
        key_units = quotas["hash_key_write_units"]
        yield Limit(
            f"write units of {self.partitions} partitions",
            self.partitions * key_units / units,
            f"`PartitionCount={_partitions(rate * units / key_units)}`",
        )
        yield Limit(
            "write units of a new table",
            quotas["new_table_write_units"] / units,
            f"a warm throughput of {_rounded(rate * units)} write units a second",
        )
        yield Limit(
            "quota of a table",
            quotas["table_write_units"] / units,
            f"a quota of {_rounded(rate * units)} write units a second",
        )
        yield Limit(
            "records of names, for schedules with a name",
            NAME_KEYS * key_units / NAME_WRITES,
            f"stacks: {math.ceil(rate * NAME_WRITES / NAME_KEYS / key_units)}",
        )

    def _functions(self, stored: Stored) -> Iterator[Limit]:
        rate, quotas = self.rate, self.quotas
        executions = quotas["concurrent_executions"]
        feed = feed_rate(stored, quotas)
        yield Limit(
            f"feeds of {self.partitions} partitions",
            self.partitions * feed,
            f"`PartitionCount={_partitions(rate / feed)}`",
        )
        yield Limit(
            "requests one by one",
            executions * quotas["requests_per_execution"],
            f"batches, or {rate / quotas['requests_per_execution']:,.0f} concurrent executions",
        )
        batches, per_batch_s = quotas["mapping_batches"], BATCH_MESSAGES / HELD_S
        yield Limit(
            "deliveries of names and webhooks",
            min(executions, batches) * per_batch_s,
            f"{rate / per_batch_s:,.0f} concurrent executions, and `DeliveryPollers`: "
            f"{math.ceil(rate / per_batch_s / quotas['poller_batches']):,}, at most {POLLERS_MAX} in a stack",
        )
        in_flight = quotas["in_flight_messages"]
        yield Limit(
            f"messages in flight, if a consumer holds each for {CONSUMED_S} s",
            in_flight / CONSUMED_S,
            f"target queues: {math.ceil(rate * CONSUMED_S / in_flight)}",
        )


def feed_rate(stored: Stored, quotas: Mapping[str, int]) -> float:
    """Return how many schedules a second the feed of one partition moves: by its CPU, and by the deletes of its key."""
    return min(stored.moved_per_cpu_s * FEED_MB / VCPU_MB, quotas["hash_key_write_units"] / (stored.units / 2))


def all_feeds_rate(stored: Stored, partitions: int, quotas: Mapping[str, int]) -> float:
    """Return how many schedules a second all feeds together move. The quota of the table bounds their deletes."""
    return min(partitions * feed_rate(stored, quotas), quotas["table_write_units"] / (stored.units / 2))


def at_one_instant(stored: Stored, partitions: int, quotas: Mapping[str, int]) -> float:
    """Return how many schedules may be due at one instant, so that the feeds move all of them in time."""
    return SPARE_S * all_feeds_rate(stored, partitions, quotas)


def ways(results: Mapping[str, Any]) -> list[Stored]:
    """Return the ways of storing, as the bench measured them."""
    figures = {(each["section"], each["name"]): each["ours"] for each in results["figures"]}
    one_by_one = figures[ONE_BY_ONE, "unnamed: write units per schedule"]
    return [
        Stored("one by one", one_by_one, figures[FEEDS, "stored one by one: schedules per CPU second"]),
        Stored(
            "in bundles, random data",
            figures[FEEDS, "bundles of random hex: write units per schedule, whole life"],
            figures[FEEDS, "bundles of random hex: schedules per CPU second"],
        ),
    ]


def _partitions(number: float) -> str:
    needed = math.ceil(number)
    stacks = math.ceil(needed / PARTITIONS_MAX)
    return str(needed) if stacks == 1 else f"{PARTITIONS_MAX} in each of {stacks} stacks"


def lines(rate: float, pending: float, partitions: int) -> Iterator[str]:
    quotas = json.loads((BENCH / "quotas.json").read_text())["quotas"]
    results = json.loads((BENCH / "results" / "results.json").read_text())
    for stored in ways(results):
        yield f"Far schedules {stored.name}, {stored.units:.2g} write units each, with {partitions} partitions:"
        yield ""
        yield f"| limit | reached at, a second | for {rate:,.0f} a second |"
        yield "|---|---|---|"
        for limit in Wanted(rate, partitions, quotas).limits(stored):
            yield f"| {limit.name} | {_rounded(limit.reached)} | {limit.for_rate} |"
        yield ""
        instant = at_one_instant(stored, partitions, quotas)
        yield f"At one instant may be due, and are still on time: {_rounded(instant)}."
        hours = pending / all_feeds_rate(stored, partitions, quotas) / 3600
        yield f"After an outage, the feeds send {pending:,.0f} overdue ones in {hours:,.1f} hours."
        yield ""


def _rounded(number: float) -> str:
    return f"{float(f'{number:.2g}'):,.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rate", type=float, default=100_000, help="far schedules a second (100,000)")
    parser.add_argument("--pending", type=float, default=1e9, help="schedules that wait (1e9)")
    parser.add_argument("--partitions", type=int, default=4, help=f"PartitionCount, 1 to {PARTITIONS_MAX} (4)")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.partitions <= PARTITIONS_MAX:
        parser.error(f"--partitions is {chosen.partitions}; wanted: a whole number from 1 to {PARTITIONS_MAX}")
    if not (chosen.rate > 0 and chosen.pending > 0 and math.isfinite(chosen.rate + chosen.pending)):
        parser.error("--rate and --pending are numbers above 0")
    print("\n".join(lines(chosen.rate, chosen.pending, chosen.partitions)).rstrip())


if __name__ == "__main__":
    main()
