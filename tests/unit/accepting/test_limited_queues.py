"""Limit what one invocation spends on a failing target queue."""

import json

import pytest

from fakes import (
    DELIVERY,
    NOON_MS,
    OTHER,
    OTHER_ARN,
    OUTPUT,
    Clock,
    FakeQueues,
    FakeTable,
    schedule,
    scheduling_dependencies,
)
from scheduler.accepting.from_queue.receiving import InputQueueDependencies, receive
from scheduler.accepting.limited_queues import FOREIGN_QUEUE_TRIES_MAX, SLOW_S, LimitedQueues
from scheduler.accepting.request import AcceptRules
from scheduler.accepting.scheduling import accept_message
from scheduler.model.targets import AllowedTargets
from scheduler.placing.sending import SendChunk, send


@pytest.fixture
def queues():
    return FakeQueues()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limited(queues, clock):
    return LimitedQueues(queues, clock)


def chunk(count, url=OTHER):
    return SendChunk(url, [schedule(number, target=OTHER_ARN if url == OTHER else None) for number in range(count)])


def test_a_failing_target_queue_gets_three_calls_per_invocation(limited, queues, clock):
    """The rest of its messages is left for another invocation."""
    queues.failing = {"data 0": 100}
    for _ in range(5):
        outcome = send(chunk(1), limited, clock.deadline())
        assert (1, "InternalError") == (len(outcome.unconfirmed) + len(outcome.not_attempted), outcome.last_error)
    assert [OTHER] * FOREIGN_QUEUE_TRIES_MAX == queues.calls


def test_progress_resets_the_count(limited, queues, clock):
    """A queue that fails now and then is not a failing queue."""
    queues.failing = {f"data {number}": number for number in range(2 * FOREIGN_QUEUE_TRIES_MAX)}
    assert 2 * FOREIGN_QUEUE_TRIES_MAX == len(
        send(chunk(2 * FOREIGN_QUEUE_TRIES_MAX), limited, clock.deadline()).confirmed
    )


def test_a_hanging_target_queue_gets_one_call(limited, queues, clock):
    """Each call would cost the other queues as much time again."""
    plain = queues.send

    def hang(*call):
        clock.sleep(SLOW_S + 0.1)
        return plain(*call)

    queues.send, queues.failing = hang, {"data 0": 100}
    for _ in range(3):
        send(chunk(1), limited, clock.deadline())
    assert [OTHER] == queues.calls


def test_a_closed_target_queue_gets_one_call(limited, queues, clock):
    """The number of schedules does not matter."""
    queues.closed = {OTHER}
    for _ in range(3):
        outcome = send(chunk(30), limited, clock.deadline())
        assert 30 == len(outcome.unavailable)
    assert [OTHER] == queues.calls


@pytest.mark.parametrize("url", [OUTPUT, DELIVERY])
def test_our_own_queues_are_tried_until_the_deadline(limited, queues, clock, url):
    """All schedules depend on them."""
    queues.failing = {"data 0": 7}
    assert 1 == len(send(chunk(1, url), limited, clock.deadline()).confirmed)


@pytest.mark.parametrize(("bad_count", "members"), [(1, 1), (5, 1), (9, 1), (1, 60), (1, 5000)])
def test_a_throttled_target_queue_delays_no_other_message_by_a_second(queues, clock, bad_count, members):
    """The messages for it come before the others and in the same batch."""
    plain, late_s = queues.send, []
    queues.failing = {"bad": 10**9}

    def slow(url, schedules, now_ms):
        clock.sleep(0.02)
        outcome = plain(url, schedules, now_ms)
        late_s.extend((clock.now_ms - NOON_MS) / 1000 for _ in outcome.confirmed)
        return outcome

    queues.send = slow
    rules = AcceptRules(AllowedTargets(frozenset({OTHER_ARN}), "eu-central-1"))
    taking = scheduling_dependencies(FakeTable(), LimitedQueues(queues, clock), rules)
    dependencies = InputQueueDependencies(
        accept=lambda message, closed, deadline: accept_message(message, closed, taking, deadline),
        requeue=lambda part, pause_s: True,
        report=queues.report,
        notify=lambda failure_target, report: None,
        allows=lambda failure_target: True,
        pool=taking.pool,
    )
    bad = [{"delay": 5, "data": "bad", "target": OTHER_ARN}] * members
    good = [{"delay": 5, "data": f"good {number}"} for number in range(10 - bad_count)]
    batch = [record(number, content) for number, content in enumerate([*[bad] * bad_count, *good])]
    answer = receive(batch, clock.deadline(24), dependencies)
    assert [f"m{number}" for number in range(bad_count)] == [
        each["itemIdentifier"] for each in answer["batchItemFailures"]
    ]
    assert (10 - bad_count, True) == (len(late_s), max(late_s) < 1)


def record(number, content):
    facts = {"SentTimestamp": str(NOON_MS), "ApproximateReceiveCount": "1"}
    return {"messageId": f"m{number}", "body": json.dumps(content), "attributes": facts, "messageAttributes": {}}
