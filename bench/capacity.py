"""Calculate from which load on provisioned capacity is cheaper than on-demand, with storage and recovery in the sum.

The counts of units come from cost.py. A month's schedules are spread evenly, and each waits a month on average.
DynamoDB counts 100 bytes for an item beside its own bytes. Free tiers are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRICES = Path(__file__).with_name("prices.json")
MILLION = 1_000_000
SECONDS_PER_HOUR = 3600
ITEM_OVERHEAD_BYTES = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
LOADS = (100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)


@dataclass(frozen=True)
class Use:
    """The units and bytes of the table that one far schedule takes in its whole life."""

    write_units: float
    read_units: float
    bytes: float

    @classmethod
    def of(cls, billed: Counter[str], sample: int) -> Use:
        names = ("dynamodb_write_units", "dynamodb_read_units", "stored_bytes")
        return cls(*(billed[name] / sample for name in names))


def on_demand(use: Use, schedules: float, prices: Mapping[str, Any]) -> float:
    """Return what reads and writes of a month's schedules cost on demand, in dollars."""
    of = prices["dollars_per_million"]
    each = use.write_units * of["dynamodb_write_units"] + use.read_units * of["dynamodb_read_units"]
    dollars: float = schedules * each / MILLION
    return dollars


def provisioned(use: Use, schedules: float, least: int, prices: Mapping[str, Any]) -> float:
    """Return what the capacity for a month's schedules costs, with at least the least capacity of both kinds."""
    hours, in_use = prices["assumed"]["hours_per_month"], prices["assumed"]["capacity_in_use"]
    per_s = schedules / (hours * SECONDS_PER_HOUR)
    of = prices["dollars_per_unit_hour"]
    write, read = (max(least, per_s * units / in_use) for units in (use.write_units, use.read_units))
    dollars: float = hours * (write * of["write"] + read * of["read"])
    return dollars


def stored(use: Use, pending: float, prices: Mapping[str, Any]) -> tuple[float, float]:
    """Return the gigabytes of the pending schedules, and what a month of storage and recovery costs."""
    gigabytes = pending * use.bytes / 1e9
    return gigabytes, gigabytes * sum(prices["dollars_per_gb_month"].values())


def pays_from(use: Use, least: int, prices: Mapping[str, Any]) -> float:
    """Return the number of schedules a month from which provisioned capacity is cheaper.

    Below it, the least capacity costs more than the reads and writes on demand.
    """
    return provisioned(use, 0, least, prices) / on_demand(use, 1, prices)


def share_in_use(prices: Mapping[str, Any]) -> float:
    """Return which share of the provisioned writes has to be in use for provisioned capacity to be cheaper."""
    million_writes_s = MILLION / SECONDS_PER_HOUR * prices["dollars_per_unit_hour"]["write"]
    share: float = million_writes_s / prices["dollars_per_million"]["dynamodb_write_units"]
    return share


def table(uses: Sequence[tuple[str, Use]], least: int, prices: Mapping[str, Any]) -> list[str]:
    """Return the lines of the table, a block of rows for each way of storing."""
    lines = [
        "| far schedules a month | stored | on demand, dollars | provisioned, dollars | pending, GB "
        "| storage and recovery, dollars |",
        "|---|---|---|---|---|---|",
    ]
    for name, use in uses:
        for load in LOADS:
            gigabytes, keeping = stored(use, load, prices)
            reading = on_demand(use, load, prices), provisioned(use, load, least, prices)
            cells = [f"{load:,}", name, *map(_rounded, [*reading, gigabytes, keeping])]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _rounded(number: float) -> str:
    """Round to two digits, because the compressed size of a text differs slightly between builds of Python."""
    short = float(f"{number:.2g}")
    return f"{short:,.0f}" if short >= 10 else f"{short:g}"
