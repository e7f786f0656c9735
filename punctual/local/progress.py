"""Track the schedules of a demonstration and their arrivals, and compute the reported figures.

Only a received schedule counts as released. `Summary.is_good` is true only if every schedule came, none came early, and
no cancelled one came. Lateness is measured by this machine's clock, and ends where the promise ends. A message
is late until it is in its queue, and a webhook until its first request begins. A retry after a refusal is no lateness.
"""

import dataclasses
import statistics
import threading
from collections.abc import Sequence
from typing import Protocol

MISSING_SHOWN_MAX = 20

SINGLES = "one by one"
BURST = "a burst"
FAR = "far ahead"
WEBHOOKS = "webhooks"
EARLIER = "from an earlier run"

IN_QUEUE_S = 1.0
"""The promise for a message: in its queue this long after it is due, at most."""
BEGUN_S = 0.1
"""The promise for a delivery: its first request begins this long after it is due, at most."""


@dataclasses.dataclass(frozen=True)
class Accepted:
    """An accepted schedule, with its part of the demonstration and the way it takes."""

    id: str
    due_s: float
    part: str
    way: str


@dataclasses.dataclass(frozen=True)
class Arrival:
    """The first arrival of a schedule. A webhook has arrived when its receiver has accepted it."""

    id: str
    due_s: float
    received_s: float
    """When the message was in its queue, or when the first request of the webhook came."""
    requests: int = 1
    retried_s: float = 0.0
    """The time from the first request of a webhook to the one that its receiver accepted."""

    @property
    def lateness_s(self) -> float:
        return self.received_s - self.due_s


@dataclasses.dataclass(frozen=True)
class Part:
    """The progress of one part of the demonstration."""

    name: str
    accepted: tuple[Accepted, ...]
    arrivals: tuple[Arrival, ...]

    @property
    def pending_count(self) -> int:
        return len(self.accepted) - len(self.arrivals)

    @property
    def latenesses_s(self) -> list[float]:
        return [arrival.lateness_s for arrival in self.arrivals]

    def by_way(self) -> "list[Part]":
        """Return the part's ways as parts of their own, in the order in which they are due."""
        ways = {accepted.id: accepted.way for accepted in self.accepted}
        return [
            Part(
                self.name,
                tuple(accepted for accepted in self.accepted if accepted.way == way),
                tuple(arrival for arrival in self.arrivals if ways[arrival.id] == way),
            )
            for way in dict.fromkeys(ways.values())
        ]


@dataclasses.dataclass(frozen=True)
class Summary:
    """The result of all accepted schedules."""

    accepted_count: int
    missing: tuple[str, ...]
    duplicates_count: int
    latenesses_s: tuple[float, ...]
    """How long after its time each message was in its queue."""
    webhooks_count: int = 0
    webhook_latenesses_s: tuple[float, ...] = ()
    """How long after its time the first request of each webhook came."""
    requests_count: int = 0
    cancelled: tuple[str, ...] = ()
    came_though_cancelled: tuple[str, ...] = ()

    @property
    def released_count(self) -> int:
        return len(self.latenesses_s)

    @property
    def early_count(self) -> int:
        return sum(lateness_s < 0 for lateness_s in (*self.latenesses_s, *self.webhook_latenesses_s))

    @property
    def is_good(self) -> bool:
        is_quiet = not self.missing and not self.early_count and not self.came_though_cancelled
        return self.accepted_count > 0 and is_quiet

    def __str__(self) -> str:
        lines = [
            f"released {self.released_count} of {self.accepted_count} accepted, {self.early_count} early, "
            f"{self.duplicates_count} duplicates"
        ]
        if self.latenesses_s:
            lines.append(f"  in the queue  {spread(self.latenesses_s)} (promised: {IN_QUEUE_S:g} s and SQS)")
        if self.webhooks_count:
            delivered = f"{len(self.webhook_latenesses_s)} of {self.webhooks_count} in {self.requests_count} requests"
            lines.append(f"  webhooks      delivered {delivered}")
        if self.webhook_latenesses_s:
            lines.append(f"                begun {spread(self.webhook_latenesses_s)} (promised: {BEGUN_S:g} s)")
        if self.cancelled:
            lines.append(f"  cancelled     {len(self.cancelled)}, {len(self.came_though_cancelled)} of them came")
        return "\n".join(lines)


class Progress:
    """The schedules accepted and received so far. Several threads write to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted: dict[str, Accepted] = {}
        self._arrivals: dict[str, Arrival] = {}
        self._cancelled: dict[str, Accepted] = {}
        self._duplicates_count = 0
        self._requests_count = 0
        self._refused: dict[str, Arrival] = {}
        self._is_complete = False
        self._filled_s: float | None = None

    def complete(self) -> None:
        """Note that every schedule of the plan has been accepted."""
        with self._lock:
            self._is_complete = True

    def is_expecting(self, lost_s: float) -> bool:
        """Return whether a schedule is still to come. Those due before `lost_s` count as lost."""
        pending = self.pending()
        return not self._is_complete or bool(pending and pending[-1].due_s > lost_s)

    def accept(self, accepted: Accepted) -> None:
        with self._lock:
            self._accepted[accepted.id] = accepted

    def cancel(self, cancelled: Accepted) -> None:
        """Note that a schedule was cancelled, so it should not come."""
        with self._lock:
            self._cancelled[cancelled.id] = cancelled

    def request(self, count: int) -> None:
        """Note how many requests the webhook receiver has got."""
        with self._lock:
            self._requests_count = count

    def refuse(self, first: Arrival) -> None:
        """Note that the receiver has refused a webhook, with its first request."""
        with self._lock:
            self._refused[first.id] = first

    def fill(self, filled_s: float) -> None:
        """Note when the whole burst was seen in its queue. Receiving it takes longer, and is no lateness."""
        with self._lock:
            self._filled_s = filled_s

    def arrive(self, arrival: Arrival) -> None:
        with self._lock:
            if arrival.id in self._arrivals:
                self._duplicates_count += 1
            else:
                self._arrivals[arrival.id] = arrival

    def parts(self) -> list[Part]:
        """Return the parts in the order in which they are due."""
        with self._lock:
            accepted, arrivals = list(self._accepted.values()), self._measured()
        accepted.sort(key=lambda one: one.due_s)
        parts = []
        for name in dict.fromkeys(one.part for one in accepted):
            members = tuple(one for one in accepted if one.part == name)
            parts.append(Part(name, members, tuple(arrivals[one.id] for one in members if one.id in arrivals)))
        return parts

    def external_arrivals(self) -> list[Arrival]:
        """Return arrivals that this run did not schedule. An earlier run on the same state did."""
        with self._lock:
            return self._external_arrivals()

    def cancelled(self) -> list[tuple[Accepted, bool]]:
        """Return the cancelled schedules, and whether each came all the same."""
        with self._lock:
            return [(cancelled, id in self._arrivals) for id, cancelled in self._cancelled.items()]

    def refused(self) -> dict[str, Arrival]:
        """Return the first request of each webhook that has been refused so far, by id."""
        with self._lock:
            return {id: first for id, first in self._refused.items() if id not in self._arrivals}

    def pending(self) -> list[Accepted]:
        """Return the schedules still to come, the next one first."""
        with self._lock:
            left = [accepted for id, accepted in self._accepted.items() if id not in self._arrivals]
        return sorted(left, key=lambda accepted: accepted.due_s)

    def summary(self) -> Summary:
        came = self.cancelled()
        with self._lock:
            webhooks = {id for id, accepted in self._accepted.items() if accepted.part == WEBHOOKS}
            arrivals = self._measured()
            latenesses_s = {id: arrivals[id].lateness_s for id in self._accepted if id in arrivals}
            return Summary(
                accepted_count=len(self._accepted) - len(webhooks),
                missing=tuple(id for id in self._accepted if id not in self._arrivals),
                duplicates_count=self._duplicates_count,
                latenesses_s=tuple(late_s for id, late_s in latenesses_s.items() if id not in webhooks),
                webhooks_count=len(webhooks),
                webhook_latenesses_s=tuple(late_s for id, late_s in latenesses_s.items() if id in webhooks),
                requests_count=self._requests_count,
                cancelled=tuple(cancelled.id for cancelled, _ in came),
                came_though_cancelled=tuple(cancelled.id for cancelled, it_came in came if it_came),
            )

    def _measured(self) -> dict[str, Arrival]:
        """Return the arrivals. A message of the burst was in its queue no later than the whole burst was.

        Duplicates and messages of an earlier run would count as members of the burst. Then the figure of the receivers
        stands.
        """
        if self._filled_s is None or self._duplicates_count or self._external_arrivals():
            return dict(self._arrivals)
        filled_s = self._filled_s
        burst = {id for id, accepted in self._accepted.items() if accepted.part == BURST}
        return {
            id: dataclasses.replace(arrival, received_s=min(arrival.received_s, filled_s)) if id in burst else arrival
            for id, arrival in self._arrivals.items()
        }

    def _external_arrivals(self) -> list[Arrival]:
        if not self._is_complete:  # It may be ours, with its answer still on the way.
            return []
        ours = {**self._accepted, **self._cancelled}
        return [arrival for id, arrival in self._arrivals.items() if id not in ours]


class View(Protocol):
    """Shows the progress repeatedly."""

    def update(self, progress: Progress, now_s: float) -> None: ...


def spread(latenesses_s: Sequence[float]) -> str:
    return f"{figures(latenesses_s)} late"


def figures(latenesses_s: Sequence[float]) -> str:
    return f"median {statistics.median(latenesses_s):.3f} s, worst {max(latenesses_s):.3f} s"
