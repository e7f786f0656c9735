"""Schedules go in, and come out on time, near and far, while you watch.

What was accepted is held against what comes out of the output queue: nothing is taken for released that was not
received, and `Summary.is_good` is true only if everything came and nothing early. Early and late are measured by
this machine's clock at the moment a message was received, so that the way through the queue counts as well.
"""

import concurrent.futures
import contextlib
import dataclasses
import math
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

from punctual.local.deployment import Stack

RECEIVERS = 4
RECEIVE_WAIT_S = 1  # Short, as nobody is to wait for it at the end.
RECEIVE_MESSAGES_MAX = 10  # SQS hands out no more at once.
UPDATE_S = 0.1
# For what is late: two intervals of the feed, as one of its ticks may be missed, and this much for the queue.
PATIENCE_S = 30.0
MISSING_SHOWN_MAX = 20

SINGLES = "one by one"
BURST = "a burst"
FAR = "far ahead"
EARLIER = "from an earlier run"


class DemonstrationFailed(Exception):
    """A schedule was refused that should have been accepted."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is scheduled, and how far ahead."""

    single_delays_s: tuple[float, ...]
    burst_count: int
    burst_delay_s: float
    far_delays_s: tuple[float, ...]
    patience_s: float

    @classmethod
    def for_stack(cls, stack: Stack) -> "Plan":
        """Some near ones, a burst, and some that are due just beyond the reach of the stack."""
        reach_s = int(stack.parameters["ReachSeconds"])
        interval_s = 60 * int(stack.parameters["FeedIntervalMinutes"])
        return cls(
            single_delays_s=tuple(float(delay_s) for delay_s in range(2, 11)),
            burst_count=1000,
            burst_delay_s=12.0,
            far_delays_s=tuple(reach_s + 10 + index / 2 for index in range(10)),
            patience_s=2 * interval_s + PATIENCE_S,
        )


@dataclasses.dataclass(frozen=True)
class Accepted:
    """A schedule that was accepted: in which part of the demonstration, and which way it goes."""

    id: str
    due_s: float
    part: str
    way: str


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A schedule that came out, when it first did."""

    id: str
    due_s: float
    received_s: float

    @property
    def lateness_s(self) -> float:
        return self.received_s - self.due_s


@dataclasses.dataclass(frozen=True)
class Part:
    """How far one part of the demonstration has come."""

    name: str
    accepted: tuple[Accepted, ...]
    arrivals: tuple[Arrival, ...]

    @property
    def pending_count(self) -> int:
        return len(self.accepted) - len(self.arrivals)

    @property
    def latenesses_s(self) -> list[float]:
        return [arrival.lateness_s for arrival in self.arrivals]


@dataclasses.dataclass(frozen=True)
class Summary:
    """What became of everything that was accepted."""

    accepted_count: int
    missing: tuple[str, ...]
    duplicates_count: int
    latenesses_s: tuple[float, ...]

    @property
    def released_count(self) -> int:
        return len(self.latenesses_s)

    @property
    def early_count(self) -> int:
        return sum(lateness_s < 0 for lateness_s in self.latenesses_s)

    @property
    def is_good(self) -> bool:
        return self.accepted_count > 0 and not self.missing and not self.early_count

    def __str__(self) -> str:
        latenesses_s = self.latenesses_s or (0.0,)
        return (
            f"released {self.released_count} of {self.accepted_count} accepted, {self.early_count} early, "
            f"worst lateness {max(latenesses_s):.3f} s, median {statistics.median(latenesses_s):.3f} s, "
            f"{self.duplicates_count} duplicates"
        )


class Progress:
    """What was accepted and what has come so far. Several threads write to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted: dict[str, Accepted] = {}
        self._arrivals: dict[str, Arrival] = {}
        self._duplicates_count = 0
        self._is_complete = False

    def complete(self) -> None:
        """All that is to be scheduled has been."""
        with self._lock:
            self._is_complete = True

    def is_expecting(self, lost_s: float) -> bool:
        """Whether anything is still to come; what was due before this moment is taken for lost."""
        pending = self.pending()
        return not self._is_complete or bool(pending and pending[-1].due_s > lost_s)

    def accept(self, accepted: Accepted) -> None:
        with self._lock:
            self._accepted[accepted.id] = accepted

    def arrive(self, arrival: Arrival) -> None:
        with self._lock:
            if arrival.id in self._arrivals:
                self._duplicates_count += 1
            else:
                self._arrivals[arrival.id] = arrival

    def parts(self) -> list[Part]:
        """The parts in the order in which they fall due."""
        with self._lock:
            accepted, arrivals = list(self._accepted.values()), dict(self._arrivals)
        accepted.sort(key=lambda one: one.due_s)
        parts = []
        for name in dict.fromkeys(one.part for one in accepted):
            members = tuple(one for one in accepted if one.part == name)
            parts.append(Part(name, members, tuple(arrivals[one.id] for one in members if one.id in arrivals)))
        return parts

    def strangers(self) -> list[Arrival]:
        """What came out although this run did not schedule it: an earlier one on the same state did."""
        with self._lock:
            if not self._is_complete:  # It may be of ours, and its answer still on the way.
                return []
            return [arrival for id, arrival in self._arrivals.items() if id not in self._accepted]

    def pending(self) -> list[Accepted]:
        """What is still to come, the next one first."""
        with self._lock:
            left = [accepted for id, accepted in self._accepted.items() if id not in self._arrivals]
        return sorted(left, key=lambda accepted: accepted.due_s)

    def summary(self) -> Summary:
        with self._lock:
            arrivals = [self._arrivals[id] for id in self._accepted if id in self._arrivals]
            return Summary(
                accepted_count=len(self._accepted),
                missing=tuple(id for id in self._accepted if id not in self._arrivals),
                duplicates_count=self._duplicates_count,
                latenesses_s=tuple(arrival.lateness_s for arrival in arrivals),
            )


class View(Protocol):
    """Shows the progress again and again."""

    def update(self, progress: Progress, now_s: float) -> None: ...


def demonstrate(stack: Stack, plan: Plan, view: View) -> Summary:
    """Schedule what the plan says and watch until all of it has come, or until it is no longer to be expected."""
    progress = Progress()
    with working(stack, plan, progress) as workers:
        while progress.is_expecting(time.time() - plan.patience_s):
            for worker in workers:
                if worker.done():
                    worker.result()  # Raises what went wrong in it.
            view.update(progress, time.time())
            time.sleep(UPDATE_S)
        view.update(progress, time.time())
    return progress.summary()


@contextlib.contextmanager
def working(stack: Stack, plan: Plan, progress: Progress) -> Iterator[list["concurrent.futures.Future[None]"]]:
    """Meanwhile, hand in what the plan says and receive what comes."""
    enough = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1 + RECEIVERS) as pool:
        try:
            yield [
                pool.submit(submit, stack, plan, progress),
                *(pool.submit(receive, stack, progress, enough) for _ in range(RECEIVERS)),
            ]
        finally:
            enough.set()


def submit(stack: Stack, plan: Plan, progress: Progress) -> None:
    """Hand it all to the schedule function: two batches, and then one invocation each, while the batches wait."""
    burst_s = math.ceil(time.time() + plan.burst_delay_s)
    submit_batch(stack, [burst_s] * plan.burst_count, BURST, progress)
    now_s = time.time()
    submit_batch(stack, [round(now_s + delay_s, 3) for delay_s in plan.far_delays_s], FAR, progress)
    now_s = time.time()
    for delay_s in plan.single_delays_s:
        schedule = {"timestamp": round(now_s + delay_s, 3), "data": f"due {delay_s:g} s after it was asked for"}
        accept(stack.invoke("ScheduleFunction", schedule), SINGLES, progress)
    progress.complete()


def submit_batch(stack: Stack, dues_s: list[float], part: str, progress: Progress) -> None:
    schedules = [{"timestamp": due_s, "data": f"{part}: {index}"} for index, due_s in enumerate(dues_s)]
    if not schedules:
        return
    for result in stack.invoke("ScheduleFunction", {"schedules": schedules})["results"]:
        accept(result, part, progress)


def accept(result: dict[str, Any], part: str, progress: Progress) -> None:
    if "error" in result:
        raise DemonstrationFailed(f"{part}: {result['error']}: {result.get('message')}")
    progress.accept(Accepted(result["id"], float(result["timestamp"]), part, result["state"]))


def receive(stack: Stack, progress: Progress, enough: threading.Event) -> None:
    """Take what comes, until told that it is enough."""
    queue = stack.emulator.client("sqs")
    url = stack.outputs["OutputQueueUrl"]
    while not enough.is_set():
        answer = queue.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=RECEIVE_MESSAGES_MAX,
            WaitTimeSeconds=RECEIVE_WAIT_S,
            MessageAttributeNames=["All"],
        )
        received_s = time.time()
        messages = answer.get("Messages", [])
        for message in messages:
            attributes = message["MessageAttributes"]
            progress.arrive(
                Arrival(attributes["id"]["StringValue"], float(attributes["due"]["StringValue"]), received_s)
            )
        if messages:
            queue.delete_message_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ],
            )
