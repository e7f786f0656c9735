"""The ways of a schedule through the stack, and the schedules that `verify` sends on each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from punctual.cli.inspecting.verify.mailbox import MARK, Number, data
from punctual.cli.run import Run
from punctual.client.errors import InvalidSchedule, NotConfirmed, NotFound, OnItsWay

if TYPE_CHECKING:
    from punctual import Scheduled

NEAR_S_MAX = 15.0
NEAR_PART = 0.8
"""Near schedules are due within this part of the reach."""
EACH = 4
"""The schedules of a way that has no batch."""
BATCH = 50
FAR_MARGIN_S = 90
"""Far schedules are due this long after the reach. An id cancels them until a minute before the reach."""
HELD = timedelta(hours=1)
"""A schedule for a target that cannot be read is due this much later, and is cancelled at once."""
USER = MARK


@dataclass
class Probe:
    """A schedule that was sent, and the outcome that is expected."""

    place: Number
    scheduled: Scheduled
    named: bool
    expected: bool = True
    version: int = 1


@dataclass
class Way:
    """One row of the table: the schedules of one way."""

    name: str
    probes: list[Probe] = field(default_factory=list)
    sent: int = 0
    far: bool = False
    note: str = ""
    held: bool = False
    """Whether the schedules were cancelled at once, because their arrival cannot be read."""


class Sender:
    """Sends the schedules of one run through one stack. `target` is None for the output queue."""

    def __init__(self, run: Run, run_id: str, target: str | None, reach_s: int) -> None:
        self._run, self._scheduler, self._id, self._target = run, run.scheduler, run_id, target
        self._near_s = min(NEAR_S_MAX, NEAR_PART * reach_s)
        self._far_s = reach_s + FAR_MARGIN_S
        self.prefix = prefix_of(run_id)
        self.ways: list[Way] = []

    def near(self) -> None:
        way = self._way("near")
        for number in range(EACH):
            self._schedule(way, number, self._near(number))

    def named(self) -> None:
        way = self._way("named")
        for number in range(EACH):
            self._schedule(way, number, self._near(number), named=True)

    def moved(self) -> None:
        """Half of them wait in a queue before the move, and half in the table."""
        way = self._way("moved")
        for number in range(EACH):
            later = self._far_s if number % 2 else 2 * self._near_s
            probe = self._schedule(way, number, later, named=True)
            if probe is not None:
                near = timedelta(seconds=self._near(number))
                self._follow(way, probe, lambda name: self._scheduler.move(name, delay=near))  # noqa: B023 - Called at once.

    def changed(self) -> None:
        way = self._way("changed")
        for number in range(EACH):
            probe = self._schedule(way, number, self._near(number), named=True)
            if probe is not None:
                content = data(self._id, way.name, number, 2)
                if self._follow(way, probe, lambda name: self._scheduler.change(name, data=content)):  # noqa: B023 - Called at once.
                    probe.version = 2

    def cancelled(self) -> None:
        """Half of them wait in a queue before they are cancelled, and half in the table."""
        way = self._way("cancelled")
        for number in range(EACH):
            probe = self._schedule(way, number, self._far_s if number % 2 else self._near(number), named=True)
            if probe is not None:
                self._cancel(way, probe)

    def batch(self) -> None:
        from punctual import Scheduled

        way = self._way("batch")
        requests = [self._request(way, number, self._near(number)) for number in range(BATCH)]
        way.sent = len(requests)
        for number, result in enumerate(self._scheduler.schedule_many(requests, batch_size=BATCH, workers=1)):
            if isinstance(result, Scheduled):
                way.probes.append(Probe(Number(way.name, number), result, named=False))
            else:
                way.note = f"not accepted: {result.message}"

    def far(self) -> None:
        for name, named in (("far", False), ("far named", True)):
            way = self._way(name)
            way.far = True
            for number in range(EACH):
                self._schedule(way, number, self._far_s + number, named=named)

    def to_queue(self, label: str, arn: str) -> None:
        """Send schedules to a listed queue that is read, too."""
        way = self._way(f"to {label}")
        for number in range(EACH):
            self._schedule(way, number, self._near(number), named=bool(number % 2), target=arn)

    def held(self, label: str, target: str | dict[str, str]) -> None:
        """Schedule something for a target that cannot be read, and cancel it long before it is due."""
        way = self._way(f"to {label}")
        way.held = True
        way.note = "accepted and cancelled; arrival not tested"
        probe = self._schedule(way, 0, HELD.total_seconds(), named=True, target=target)
        if probe is not None:
            self._cancel(way, probe)

    # ---------------------------------------------------------------------------------------------------------- parts

    def _way(self, name: str) -> Way:
        self.ways.append(Way(name))
        return self.ways[-1]

    def _near(self, number: int) -> float:
        """Return a delay, so that the schedules of a way are due one after another."""
        return self._near_s * (1 - number % 10 * 0.03)

    def _name(self, way: Way, number: int) -> str:
        return f"{self.prefix}{way.name.replace(' ', '-')}/{number}"

    def _request(self, way: Way, number: int, delay_s: float) -> dict[str, object]:
        request = {"data": data(self._id, way.name, number), "delay": timedelta(seconds=delay_s), "user": USER}
        return request if self._target is None else {**request, "target": self._target}

    def _schedule(
        self,
        way: Way,
        number: int,
        delay_s: float,
        *,
        named: bool = False,
        target: str | dict[str, str] | None = None,
    ) -> Probe | None:
        way.sent += 1
        try:
            scheduled = self._scheduler.schedule(
                data(self._id, way.name, number),
                delay=timedelta(seconds=delay_s),
                name=self._name(way, number) if named else None,
                target=target or self._target,
                user=USER,
            )
        except (InvalidSchedule, NotConfirmed) as failure:
            way.note = f"not accepted: {failure}"
            return None
        way.probes.append(Probe(Number(way.name, number), scheduled, named))
        return way.probes[-1]

    def _follow(self, way: Way, probe: Probe, change: Callable[[str], Scheduled]) -> bool:
        """Change a schedule. If it is too late for that, the first one has to come."""
        try:
            probe.scheduled = change(self._name(way, probe.place.number))
        except OnItsWay:
            way.note = "the calls took so long that some were released before the change"
            return False
        return True

    def _cancel(self, way: Way, probe: Probe) -> None:
        try:
            self._scheduler.cancel(self._name(way, probe.place.number))
        except OnItsWay:
            way.note = "the calls took so long that some were released before they could be cancelled"
        else:
            probe.expected = False

    # --------------------------------------------------------------------------------------------------------- the end

    def probes(self) -> Iterator[tuple[Way, Probe]]:
        for way in self.ways:
            for probe in way.probes:
                yield way, probe

    def cancel_rest(self) -> None:
        """Cancel whatever of this run is still pending. A schedule that is already in a queue cannot be cancelled."""
        if any(probe.named for _, probe in self.probes()):
            self._scheduler.cancel_where(self.prefix, dry_run=False)
        for way, probe in self.probes():
            if way.far and not probe.named and probe.expected:
                try:
                    self._scheduler.cancel(id=probe.scheduled.id)
                except (OnItsWay, NotFound):
                    continue
                probe.expected = False
        for _, probe in self.probes():
            if probe.named:
                probe.expected = False


def prefix_of(run_id: str) -> str:
    """Return the beginning of all names of a run."""
    return f"{MARK}/{run_id}/"
