"""Count what a look at a million pending schedules reads. The figures do not depend on the machine.

Each unnamed schedule is an item of its own here. A bundle holds several schedules, so a forecast reads less of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.laboratory.processes import Laboratory
from bench.trials import Figure, Size, at_most, tell

PARTITIONS = 8
"""Those of bench/looks.py. This process does not import it, because it imports the functions."""
OFF_MAX = 0.3
"""How far the worst day of an estimate may be from the truth. It looks at one partition of eight."""
BY_DAY = "month in 30 buckets, estimate"


def pending(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    tell(f"pending: {size.pending:,} schedules")
    section = f"Pending, {size.pending:,} schedules of a month in {PARTITIONS} partitions"
    for what, counts in laboratory.run(trial="look", count=size.pending)["looks"].items():
        for name, counted in (("AWS calls", "calls"), ("items read", "items_read"), ("read units", "read_units")):
            yield Figure(section, f"{what}: {name}", "", counts[counted])
        if "wrong" in counts:
            yield Figure(section, f"{what}: missing or wrong", "", counts["wrong"], wanted=at_most(0, False))
        if "off" in counts:
            bound = at_most(OFF_MAX, False) if what == BY_DAY else None
            yield Figure(section, f"{what}: the worst bucket is off by", "", counts["off"], wanted=bound)
