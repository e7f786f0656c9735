"""The figures of each way: what was accepted and released, and how late it came."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from punctual.cli.inspecting.verify.mailbox import Arrival, Number
from punctual.cli.inspecting.verify.ways import Probe, Way
from punctual.cli.output import Row

EARLY_S = 0.1
"""A message that seems this little early is not: the clocks of Lambda and SQS differ."""
HEADINGS = ("way", "accepted", "released", "early", "late", "median", "worst")


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one way. `faults` says what is wrong."""

    way: str
    tested: bool
    sent: int = 0
    accepted: int = 0
    released: int = 0
    early: int = 0
    late: int = 0
    lost: int = 0
    median: float | None = None
    worst: float | None = None
    note: str = ""
    faults: tuple[str, ...] = ()

    def row(self) -> Row:
        cells = [self.way, *([str(self.accepted), *self._figures()] if self.tested else ["not tested"])]
        return Row(cells, self._fields(), "; ".join([*self.faults, *([self.note] if self.note else [])]))

    def _figures(self) -> list[str]:
        if self.worst is None or self.median is None:
            return [str(self.released), str(self.early), str(self.late)]
        return [str(self.released), str(self.early), str(self.late), f"{self.median:.3f}s", f"{self.worst:.3f}s"]

    def _fields(self) -> dict[str, Any]:
        return {
            "way": self.way,
            "tested": self.tested,
            "sent": self.sent,
            "accepted": self.accepted,
            "released": self.released,
            "early": self.early,
            "late": self.late,
            "lost": self.lost,
            "lateness_median": self.median,
            "lateness_worst": self.worst,
            "faults": list(self.faults),
            "note": self.note or None,
        }


def of_way(way: Way, arrivals: Mapping[Number, Sequence[Arrival]], late_s: float) -> Result:
    """Return the figures of a way. `late_s` is the lateness beyond which a schedule is late."""
    right = {probe.place: first(probe, arrivals) for probe in way.probes if probe.expected}
    latenesses = [_lateness(probe, found) for probe in way.probes if (found := right.get(probe.place)) is not None]
    wrong = [probe for probe in way.probes if any(not _is_right(probe, each) for each in arrivals.get(probe.place, ()))]
    early = sum(lateness < -EARLY_S for lateness in latenesses)
    late = sum(lateness > late_s for lateness in latenesses)
    lost = sum(found is None for found in right.values())
    counts = {
        "{} not accepted": way.sent - len(way.probes),
        "{} lost": lost,
        "{} early": early,
        f"{{}} later than {late_s:g}s": late,
        "{} released although cancelled or replaced": len(wrong),
    }
    return Result(
        way=way.name,
        tested=True,
        sent=way.sent,
        accepted=len(way.probes),
        released=len(latenesses),
        early=early,
        late=late,
        lost=lost,
        median=round(statistics.median(latenesses), 3) if latenesses else None,
        worst=round(max(latenesses), 3) if latenesses else None,
        note=way.note,
        faults=tuple(text.format(count) for text, count in counts.items() if count),
    )


def not_tested(way: str, why: str) -> Result:
    return Result(way, tested=False, note=why)


def _is_right(probe: Probe, arrival: Arrival) -> bool:
    return probe.expected and (arrival.id, arrival.version) == (probe.scheduled.id, probe.version)


def first(probe: Probe, arrivals: Mapping[Number, Sequence[Arrival]]) -> Arrival | None:
    return next((each for each in arrivals.get(probe.place, ()) if _is_right(probe, each)), None)


def _lateness(probe: Probe, arrival: Arrival) -> float:
    return arrival.received_s - probe.scheduled.due.timestamp()
