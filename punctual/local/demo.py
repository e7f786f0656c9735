"""Schedule near and far schedules, and show that each is released on time.

The demonstration compares the accepted schedules with the messages in two queues of its own and the requests at a
webhook receiver. It never reads the stack's output queue, so a user's messages stay there.
"""

import concurrent.futures
import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Iterator
from typing import Any

from punctual.local.deployment import Stack
from punctual.local.emulation.emulator import Emulator
from punctual.local.progress import BURST, FAR, SINGLES, WEBHOOKS, Accepted, Arrival, Progress, Summary, View
from punctual.local.receiver import Receiver, Request

RECEIVERS_OF_SINGLES = 2
RECEIVERS_OF_BURST = 4
WORKERS = 3 + RECEIVERS_OF_SINGLES + RECEIVERS_OF_BURST
RECEIVE_WAIT_S = 1  # Short, so that the end does not take long.
RECEIVE_MESSAGES_MAX = 10  # The maximum of SQS.
DELETE_MESSAGES_MAX = 10  # The same.
UPDATE_S = 0.1
COUNT_S = 0.05
COUNT_S_MAX = 10.0  # Less than the visibility timeout, after which a received message would come again.
# The wait for late schedules: two feed intervals, because a tick may be missed, and this long for the queue.
PATIENCE_S = 30.0

MOVED, CANCELLED = "demonstration/moved", "demonstration/cancelled"
AT_ONCE, AT_LAST = "/at-once", "/at-the-third-time"
REFUSALS = {AT_LAST: 2}
"""How many of the first requests the receiver refuses, by path."""


class DemonstrationFailed(Exception):
    """The stack rejected a schedule that it should have accepted."""


@dataclasses.dataclass(frozen=True)
class Queue:
    url: str
    arn: str


@dataclasses.dataclass(frozen=True)
class Queues:
    """The queues of the demonstration. They are targets, so that it leaves the output queue alone."""

    singles: Queue
    burst: Queue

    @classmethod
    def made(cls, emulator: Emulator) -> "Queues":
        """Make the queues, or find those of an earlier run."""
        client = emulator.client("sqs")
        found = []
        for field in dataclasses.fields(cls):
            url = client.create_queue(QueueName=f"punctual-demonstration-{field.name}")["QueueUrl"]
            attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
            found.append(Queue(url, attributes["QueueArn"]))
        return cls(*found)

    @property
    def arns(self) -> list[str]:
        """The ARNs that the stack must allow as targets."""
        return [self.singles.arn, self.burst.arn]


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


def demonstrate(stack: Stack, queues: Queues, plan: Plan, view: View, receiver: Receiver | None = None) -> Summary:
    """Schedule everything in the plan, and watch until all of it has come or the rest counts as lost."""
    progress = Progress()
    with working(Demonstration(stack, queues, plan, progress, receiver)) as workers:
        while progress.is_expecting(time.time() - plan.patience_s):
            for worker in workers:
                if worker.done():
                    worker.result()  # Raises the worker's error, if any.
            view.update(progress, time.time())
            time.sleep(UPDATE_S)
        view.update(progress, time.time())
    return progress.summary()


@contextlib.contextmanager
def working(demonstration: "Demonstration") -> Iterator[list["concurrent.futures.Future[None]"]]:
    """Submit the plan and receive schedules in the background."""
    queues = demonstration.queues
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        try:
            yield [
                pool.submit(demonstration.submit),
                pool.submit(demonstration.watch),
                pool.submit(demonstration.count),
                *(pool.submit(demonstration.receive, queues.singles) for _ in range(RECEIVERS_OF_SINGLES)),
                *(pool.submit(demonstration.receive, queues.burst) for _ in range(RECEIVERS_OF_BURST)),
            ]
        finally:
            demonstration.enough.set()


class Demonstration:
    """The work of a demonstration. Each method runs in a thread of its own, most of them until `enough` is set."""

    def __init__(self, stack: Stack, queues: Queues, plan: Plan, progress: Progress, receiver: Receiver | None) -> None:
        self.queues = queues
        self.enough = threading.Event()
        self._stack = stack
        self._plan = plan
        self._progress = progress
        self._receiver = receiver
        self._client = stack.emulator.client("sqs")
        self._burst_s = math.inf
        self._counted = threading.Event()

    def submit(self) -> None:
        """Submit the plan to the schedule function. The single schedules come last, while the batches wait."""
        plan = self._plan
        # The promise is for a stack that has run before. A cold start here may take seconds on a busy machine.
        self._stack.invoke("DeliverFunction", {"Records": []})
        burst_s = math.ceil(time.time() + plan.burst_delay_s)
        self._submit_batch([burst_s] * plan.burst_count, BURST, self.queues.burst)
        self._burst_s = burst_s
        now_s = time.time()
        self._submit_batch([round(now_s + delay_s, 3) for delay_s in plan.far_delays_s], FAR, self.queues.singles)
        if self._receiver is not None and plan.webhook_delay_s is not None:
            self._submit_webhooks(self._receiver, plan.webhook_delay_s)
        if plan.moved_delays_s is not None:
            self._submit_moved(*plan.moved_delays_s)
        if plan.cancelled_delay_s is not None:
            self._submit_cancelled(plan.cancelled_delay_s)
        now_s = time.time()
        for delay_s in plan.single_delays_s:
            data = f"due {delay_s:g} s after it was asked for"
            answer = self._schedule(data, timestamp=round(now_s + delay_s, 3))
            accept(answer, SINGLES, self._progress)
        self._progress.complete()

    def watch(self) -> None:
        """Note the requests that the webhook receiver gets."""
        first: dict[str, Request] = {}
        counts: dict[str, int] = {}
        seen = 0
        while self._receiver is not None and not self.enough.wait(UPDATE_S):
            requests = self._receiver.requests()
            self._progress.request(len(requests))
            for request in requests[seen:]:
                begun = first.setdefault(request.id, request)
                counts[request.id] = counts.get(request.id, 0) + 1
                retried_s, count = request.received_s - begun.received_s, counts[request.id]
                note = self._progress.arrive if request.taken else self._progress.refuse
                note(Arrival(request.id, request.due_s, begun.received_s, count, retried_s))
            seen = len(requests)

    def count(self) -> None:
        """Note when the whole burst is in its queue, received or not. Received messages are deleted after that."""
        while not self.enough.wait(COUNT_S) and time.time() < self._burst_s + COUNT_S_MAX:
            if time.time() < self._burst_s:
                continue
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            answer = self._client.get_queue_attributes(QueueUrl=self.queues.burst.url, AttributeNames=names)
            if sum(int(answer["Attributes"][name]) for name in names) >= self._plan.burst_count:
                self._progress.fill(time.time())
                break
        self._counted.set()

    def receive(self, queue: Queue) -> None:
        """Receive and delete schedules from the queue."""
        kept: list[str] = []
        while not self.enough.is_set():
            answer = self._client.receive_message(
                QueueUrl=queue.url,
                MaxNumberOfMessages=RECEIVE_MESSAGES_MAX,
                WaitTimeSeconds=RECEIVE_WAIT_S,
                MessageAttributeNames=["All"],
            )
            received_s = time.time()
            messages = answer.get("Messages", [])
            for message in messages:
                attributes = message["MessageAttributes"]
                id, due_s = attributes["id"]["StringValue"], float(attributes["due"]["StringValue"])
                self._progress.arrive(Arrival(id, due_s, received_s))
            kept += [message["ReceiptHandle"] for message in messages]
            if queue != self.queues.burst or self._counted.is_set():
                self._delete(queue, kept)
                kept = []
        self._delete(queue, kept)

    def _delete(self, queue: Queue, receipts: list[str]) -> None:
        for start in range(0, len(receipts), DELETE_MESSAGES_MAX):
            some = receipts[start : start + DELETE_MESSAGES_MAX]
            entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(some)]
            self._client.delete_message_batch(QueueUrl=queue.url, Entries=entries)

    def _submit_webhooks(self, receiver: Receiver, delay_s: float) -> None:
        """Submit webhooks with names, so that they replace those of an interrupted run, whose receiver is gone."""
        for path, way in ((AT_ONCE, "webhook"), (AT_LAST, "webhook, refused twice")):
            target, name = {"url": receiver.origin + path}, f"demonstration{path}"
            answer = self._schedule({"to": path}, delay=delay_s, target=target, name=name)
            accept(answer, WEBHOOKS, self._progress, way)

    def _submit_moved(self, before_s: float, after_s: float) -> None:
        """Submit a named schedule and move it. Only the time that it was moved to counts."""
        self._schedule("moved on", delay=before_s, name=MOVED)
        moved = self._stack.invoke("ManageFunction", {"operation": "move", "name": MOVED, "delay": after_s})
        accept(moved, SINGLES, self._progress, "named, moved")

    def _submit_cancelled(self, delay_s: float) -> None:
        answer = self._schedule("not to come", delay=delay_s, name=CANCELLED)
        self._stack.invoke("ManageFunction", {"operation": "cancel", "name": CANCELLED})
        self._progress.cancel(Accepted(answer["id"], float(answer["timestamp"]), SINGLES, "named, cancelled"))

    def _submit_batch(self, dues_s: list[float], part: str, queue: Queue) -> None:
        schedules = [
            {"timestamp": due_s, "data": f"{part}: {index}", "target": queue.arn} for index, due_s in enumerate(dues_s)
        ]
        if not schedules:
            return
        for result in self._stack.invoke("ScheduleFunction", {"schedules": schedules})["results"]:
            accept(result, part, self._progress)

    def _schedule(self, data: object, **fields: object) -> Any:
        return self._stack.invoke("ScheduleFunction", {"data": data, "target": self.queues.singles.arn, **fields})


def accept(result: dict[str, Any], part: str, progress: Progress, way: str = "") -> None:
    if "error" in result:
        raise DemonstrationFailed(f"{part}: {result['error']}: {result.get('message')}")
    progress.accept(Accepted(result["id"], float(result["timestamp"]), part, way or result["state"]))
