"""Schedule near and far schedules, and show that each is released on time.

The demonstration compares the accepted schedules with the messages in the output queue and the requests at a webhook
receiver. Only a received schedule counts as released. `Summary.is_good` is true only if every schedule came, none came
early, and no cancelled one came. Lateness is measured by this machine's clock when a message is received, so it
includes the time in the queue.
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
from punctual.local.receiver import Receiver

RECEIVERS = 4
RECEIVE_WAIT_S = 1  # Short, so that the end does not take long.
RECEIVE_MESSAGES_MAX = 10  # The maximum of SQS.
UPDATE_S = 0.1
# The wait for late schedules: two feed intervals, because a tick may be missed, and this long for the queue.
PATIENCE_S = 30.0
MISSING_SHOWN_MAX = 20

SINGLES = "one by one"
BURST = "a burst"
FAR = "far ahead"
WEBHOOKS = "webhooks"
EARLIER = "from an earlier run"

MOVED, CANCELLED = "demonstration/moved", "demonstration/cancelled"
AT_ONCE, AT_LAST = "/at-once", "/at-the-third-time"
REFUSALS = {AT_LAST: 2}
"""How many of the first requests the receiver refuses, by path."""


class DemonstrationFailed(Exception):
    """The stack rejected a schedule that it should have accepted."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The schedules of a demonstration, and how far ahead each is due."""

    single_delays_s: tuple[float, ...]
    burst_count: int
    burst_delay_s: float
    far_delays_s: tuple[float, ...]
    patience_s: float
    webhook_delay_s: float | None = None
    """The delay of two webhooks: one is accepted at once, and the other is refused twice first."""
    moved_delays_s: tuple[float, float] | None = None
    """The delay of a named schedule, and a shorter delay to which it is moved. A slow machine has time for the move."""
    cancelled_delay_s: float | None = None

    @classmethod
    def for_stack(cls, stack: Stack) -> "Plan":
        """Return a plan with near schedules, a burst, and schedules that are due just beyond the reach of the stack."""
        reach_s = int(stack.parameters["ReachSeconds"])
        interval_s = 60 * int(stack.parameters["FeedIntervalMinutes"])
        return cls(
            single_delays_s=tuple(float(delay_s) for delay_s in range(2, 10)),
            burst_count=1000,
            burst_delay_s=12.0,
            far_delays_s=tuple(reach_s + 10 + index / 2 for index in range(10)),
            patience_s=2 * interval_s + PATIENCE_S,
            webhook_delay_s=5.0,
            moved_delays_s=(60.0, 10.0),
            cancelled_delay_s=30.0,
        )


@dataclasses.dataclass(frozen=True)
class Accepted:
    """An accepted schedule, with its part of the demonstration and the way it takes."""

    id: str
    due_s: float
    part: str
    way: str


@dataclasses.dataclass(frozen=True)
class Arrival:
    """The first arrival of a schedule."""

    id: str
    due_s: float
    received_s: float

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


@dataclasses.dataclass(frozen=True)
class Summary:
    """The result of all accepted schedules."""

    accepted_count: int
    missing: tuple[str, ...]
    duplicates_count: int
    latenesses_s: tuple[float, ...]
    """How late each schedule came out of the output queue."""
    webhooks_count: int = 0
    webhook_latenesses_s: tuple[float, ...] = ()
    """The time from when a webhook was due until the receiver accepted it, after refusals too."""
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
        latenesses_s = self.latenesses_s or (0.0,)
        return (
            f"released {self.released_count} of {self.accepted_count} accepted, {self.early_count} early, "
            f"worst lateness {max(latenesses_s):.3f} s, median {statistics.median(latenesses_s):.3f} s, "
            f"{self.duplicates_count} duplicates{self._webhooks()}{self._cancelled()}"
        )

    def _webhooks(self) -> str:
        if not self.webhooks_count:
            return ""
        delivered = f"{len(self.webhook_latenesses_s)} of {self.webhooks_count}"
        return f"; webhooks delivered {delivered} in {self.requests_count} requests"

    def _cancelled(self) -> str:
        if not self.cancelled:
            return ""
        return f"; {len(self.cancelled)} cancelled, {len(self.came_though_cancelled)} of them came"


class Progress:
    """The schedules accepted and received so far. Several threads write to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted: dict[str, Accepted] = {}
        self._arrivals: dict[str, Arrival] = {}
        self._cancelled: dict[str, Accepted] = {}
        self._duplicates_count = 0
        self._requests_count = 0
        self._is_complete = False

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

    def arrive(self, arrival: Arrival) -> None:
        with self._lock:
            if arrival.id in self._arrivals:
                self._duplicates_count += 1
            else:
                self._arrivals[arrival.id] = arrival

    def parts(self) -> list[Part]:
        """Return the parts in the order in which they are due."""
        with self._lock:
            accepted, arrivals = list(self._accepted.values()), dict(self._arrivals)
        accepted.sort(key=lambda one: one.due_s)
        parts = []
        for name in dict.fromkeys(one.part for one in accepted):
            members = tuple(one for one in accepted if one.part == name)
            parts.append(Part(name, members, tuple(arrivals[one.id] for one in members if one.id in arrivals)))
        return parts

    def strangers(self) -> list[Arrival]:
        """Return arrivals that this run did not schedule. An earlier run on the same state did."""
        with self._lock:
            if not self._is_complete:  # It may be ours, with its answer still on the way.
                return []
            ours = {**self._accepted, **self._cancelled}
            return [arrival for id, arrival in self._arrivals.items() if id not in ours]

    def cancelled(self) -> list[tuple[Accepted, bool]]:
        """Return the cancelled schedules, and whether each came all the same."""
        with self._lock:
            return [(cancelled, id in self._arrivals) for id, cancelled in self._cancelled.items()]

    def pending(self) -> list[Accepted]:
        """Return the schedules still to come, the next one first."""
        with self._lock:
            left = [accepted for id, accepted in self._accepted.items() if id not in self._arrivals]
        return sorted(left, key=lambda accepted: accepted.due_s)

    def summary(self) -> Summary:
        came = self.cancelled()
        with self._lock:
            webhooks = {id for id, accepted in self._accepted.items() if accepted.part == WEBHOOKS}
            latenesses_s = {id: self._arrivals[id].lateness_s for id in self._accepted if id in self._arrivals}
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


class View(Protocol):
    """Shows the progress repeatedly."""

    def update(self, progress: Progress, now_s: float) -> None: ...


def demonstrate(stack: Stack, plan: Plan, view: View, receiver: Receiver | None = None) -> Summary:
    """Schedule everything in the plan, and watch until all of it has come or the rest counts as lost."""
    progress = Progress()
    with working(stack, plan, progress, receiver) as workers:
        while progress.is_expecting(time.time() - plan.patience_s):
            for worker in workers:
                if worker.done():
                    worker.result()  # Raises the worker's error, if any.
            view.update(progress, time.time())
            time.sleep(UPDATE_S)
        view.update(progress, time.time())
    return progress.summary()


@contextlib.contextmanager
def working(
    stack: Stack, plan: Plan, progress: Progress, receiver: Receiver | None
) -> Iterator[list["concurrent.futures.Future[None]"]]:
    """Submit the plan and receive schedules in the background."""
    enough = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(2 + RECEIVERS) as pool:
        try:
            yield [
                pool.submit(submit, stack, plan, progress, receiver),
                pool.submit(watch, receiver, progress, enough),
                *(pool.submit(receive, stack, progress, enough) for _ in range(RECEIVERS)),
            ]
        finally:
            enough.set()


def submit(stack: Stack, plan: Plan, progress: Progress, receiver: Receiver | None) -> None:
    """Submit the plan to the schedule function. The single schedules come last, while the batches wait."""
    burst_s = math.ceil(time.time() + plan.burst_delay_s)
    submit_batch(stack, [burst_s] * plan.burst_count, BURST, progress)
    now_s = time.time()
    submit_batch(stack, [round(now_s + delay_s, 3) for delay_s in plan.far_delays_s], FAR, progress)
    if receiver is not None and plan.webhook_delay_s is not None:
        submit_webhooks(stack, receiver, plan.webhook_delay_s, progress)
    if plan.moved_delays_s is not None:
        submit_moved(stack, plan.moved_delays_s, progress)
    if plan.cancelled_delay_s is not None:
        submit_cancelled(stack, plan.cancelled_delay_s, progress)
    now_s = time.time()
    for delay_s in plan.single_delays_s:
        schedule = {"timestamp": round(now_s + delay_s, 3), "data": f"due {delay_s:g} s after it was asked for"}
        accept(stack.invoke("ScheduleFunction", schedule), SINGLES, progress)
    progress.complete()


def submit_webhooks(stack: Stack, receiver: Receiver, delay_s: float, progress: Progress) -> None:
    for path, way in ((AT_ONCE, "webhook"), (AT_LAST, "webhook, refused twice first")):
        schedule = {"delay": delay_s, "data": {"to": path}, "target": {"url": receiver.origin + path}}
        accept(stack.invoke("ScheduleFunction", schedule), WEBHOOKS, progress, way)


def submit_moved(stack: Stack, delays_s: tuple[float, float], progress: Progress) -> None:
    """Submit a named schedule and move it. Only the time that it was moved to counts."""
    before_s, after_s = delays_s
    stack.invoke("ScheduleFunction", {"delay": before_s, "data": "moved on", "name": MOVED})
    moved = stack.invoke("ManageFunction", {"operation": "move", "name": MOVED, "delay": after_s})
    accept(moved, SINGLES, progress, "named, moved")


def submit_cancelled(stack: Stack, delay_s: float, progress: Progress) -> None:
    answer = stack.invoke("ScheduleFunction", {"delay": delay_s, "data": "not to come", "name": CANCELLED})
    stack.invoke("ManageFunction", {"operation": "cancel", "name": CANCELLED})
    progress.cancel(Accepted(answer["id"], float(answer["timestamp"]), SINGLES, "named, cancelled"))


def submit_batch(stack: Stack, dues_s: list[float], part: str, progress: Progress) -> None:
    schedules = [{"timestamp": due_s, "data": f"{part}: {index}"} for index, due_s in enumerate(dues_s)]
    if not schedules:
        return
    for result in stack.invoke("ScheduleFunction", {"schedules": schedules})["results"]:
        accept(result, part, progress)


def accept(result: dict[str, Any], part: str, progress: Progress, way: str = "") -> None:
    if "error" in result:
        raise DemonstrationFailed(f"{part}: {result['error']}: {result.get('message')}")
    progress.accept(Accepted(result["id"], float(result["timestamp"]), part, way or result["state"]))


def watch(receiver: Receiver | None, progress: Progress, enough: threading.Event) -> None:
    """Note the requests that the webhook receiver accepts, until `enough` is set."""
    seen = 0
    while receiver is not None and not enough.wait(UPDATE_S):
        requests = receiver.requests()
        progress.request(len(requests))
        for request in requests[seen:]:
            if request.taken:
                progress.arrive(Arrival(request.id, request.due_s, request.received_s))
        seen = len(requests)


def receive(stack: Stack, progress: Progress, enough: threading.Event) -> None:
    """Receive schedules from the output queue, until `enough` is set."""
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
