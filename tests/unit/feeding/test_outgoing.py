"""A target queue that fails or hangs delays no other queue."""

import threading
from collections import Counter

import pytest

from fakes import OTHER, OTHER_ARN, OUTPUT, Clock, FakeQueues, schedule
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.worker_pool import ThreadPool
from scheduler.feeding.jobs import FeedCounts
from scheduler.feeding.outgoing import FOREIGN_TRIES_MAX, UNPROVEN_QUEUES_MAX, Outgoing
from scheduler.placing.sending import SendChunk

WIDTH = 16
"""The number of threads of a feed."""


class Hanging(FakeQueues):
    """Fake queues. Calls to the `hanging` ones block until the test releases them, and then fail."""

    def __init__(self, *hanging):
        super().__init__()
        self.hanging = set(hanging)
        self.unlock = threading.Event()

    def send(self, queue_url, schedules, now_ms):
        if queue_url in self.hanging:
            self.calls.append(queue_url)
            self.unlock.wait(20)
            return BatchResult(unconfirmed=list(schedules), last_error="ReadTimeoutError")
        return super().send(queue_url, schedules, now_ms)


def url(number):
    return f"{OTHER}-{number}"


def chunks_for(*urls):
    return [SendChunk(each, [schedule(number, target=OTHER_ARN)]) for number, each in enumerate(urls)]


def run(queues, send_chunks, let_go_after):
    """Send everything with the threads of a feed. Release the hanging calls after so many finished chunks."""
    outgoing = Outgoing(queues, Clock().deadline())
    tallies, adding = Counter(), threading.Lock()

    def work(chunk):
        counts = FeedCounts()
        outgoing.send(chunk, counts)
        with adding:
            tallies["held"] += counts.held
            tallies["ended"] += 1
            if tallies["ended"] == let_go_after:
                queues.unlock.set()

    ThreadPool(WIDTH).run(work, send_chunks)
    return tallies


def test_a_hanging_queue_has_one_thread_and_the_others_go_on():
    """Forty chunks for it and forty for the stack's own queue. Only one chunk of the first kind waits."""
    queues = Hanging(OTHER)
    pairs = zip(chunks_for(*[OTHER] * 40), chunks_for(*[OUTPUT] * 40), strict=True)
    mixed = [chunk for pair in pairs for chunk in pair]
    tallies = run(queues, mixed, let_go_after=79)
    assert queues.unlock.is_set()
    assert (40, 40) == (len(queues.sent), tallies["held"])
    assert FOREIGN_TRIES_MAX == queues.calls.count(OTHER)


def test_all_hanging_queues_together_have_half_of_the_threads():
    """The number of such queues does not matter."""
    queues = Hanging(*[url(number) for number in range(40)])
    send_chunks = [*chunks_for(*[url(number) for number in range(40)]), *chunks_for(*[OUTPUT] * 20)]
    tallies = run(queues, send_chunks, let_go_after=60 - UNPROVEN_QUEUES_MAX)
    assert queues.unlock.is_set()
    assert (20, 40, WIDTH // 2) == (len(queues.sent), tallies["held"], len(set(queues.calls) - {OUTPUT}))


def test_a_queue_that_answers_may_use_all_threads():
    """Chunks that waited for its first answer go on, and none of its schedules is held."""
    queues = Hanging()
    tallies = run(queues, chunks_for(*[OTHER] * 100), let_go_after=0)
    assert (100, 0) == (len(queues.sent), tallies["held"])


@pytest.mark.parametrize("why", ["closed", "failing"])
def test_a_failing_queue_is_not_tried_again(why):
    """Earlier answers do not count."""
    queues, counts = FakeQueues(), FeedCounts()
    outgoing = Outgoing(queues, Clock().deadline())
    first, second, third = chunks_for(OTHER, OTHER, OTHER)
    assert first.schedules == outgoing.send(first, counts).confirmed
    if why == "closed":
        queues.closed = {OTHER}
    else:
        queues.failing = {"data 1": 100}
    outgoing.send(second, counts)
    calls = len(queues.calls)
    outcome = outgoing.send(third, counts)
    assert (calls, 0) == (len(queues.calls), len(outcome.confirmed))
    expected = (0, 1) if why == "closed" else (2, 0)
    assert expected == (counts.held, len(outcome.unavailable))
