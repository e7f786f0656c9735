"""Limited queues: what one invocation spends on a queue of others that fails."""

import json

import pytest

from fakes import DELIVERY, NOON_MS, OTHER, OTHER_ARN, OUTPUT, Clock, FakeQueues, FakeTable, desk, schedule
from scheduler.accepting.limited_queues import SLOW_S, TRIES_MAX, LimitedQueues
from scheduler.accepting.receiving import InputQueueDependencies, receive
from scheduler.accepting.request import AcceptRules
from scheduler.accepting.scheduling import accept_letter
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


def test_a_failing_queue_of_others_gets_three_calls_of_an_invocation(limited, queues, clock):
    """Whatever is for it. What was not tried is left for another invocation."""
    queues.failing = {"data 0": 100}
    for _ in range(5):
        outcome = send(chunk(1), limited, clock.deadline())
        assert (1, "InternalError") == (len(outcome.unconfirmed) + len(outcome.not_attempted), outcome.last_error)
    assert [OTHER] * TRIES_MAX == queues.calls


def test_a_call_that_gets_something_through_begins_the_count_anew(limited, queues, clock):
    """A queue that fails now and then is not a failing one."""
    queues.failing = {f"data {number}": number for number in range(2 * TRIES_MAX)}
    assert 2 * TRIES_MAX == len(send(chunk(2 * TRIES_MAX), limited, clock.deadline()).confirmed)


def test_a_queue_of_others_that_hangs_gets_one_call(limited, queues, clock):
    """Each would cost its neighbours as much again."""
    plain = queues.send

    def hang(*call):
        clock.sleep(SLOW_S + 0.1)
        return plain(*call)

    queues.send, queues.failing = hang, {"data 0": 100}
    for _ in range(3):
        send(chunk(1), limited, clock.deadline())
    assert [OTHER] == queues.calls


def test_a_queue_of_others_that_is_closed_is_asked_once(limited, queues, clock):
    """For any number of schedules."""
    queues.closed = {OTHER}
    for _ in range(3):
        outcome = send(chunk(30), limited, clock.deadline())
        assert 30 == len(outcome.unavailable)
    assert [OTHER] == queues.calls


@pytest.mark.parametrize("url", [OUTPUT, DELIVERY])
def test_our_own_queues_are_tried_as_long_as_time_allows(limited, queues, clock, url):
    """Everybody depends on them."""
    queues.failing = {"data 0": 7}
    assert 1 == len(send(chunk(1, url), limited, clock.deadline()).confirmed)


@pytest.mark.parametrize(("letters", "members"), [(1, 1), (5, 1), (9, 1), (1, 60), (1, 5000)])
def test_a_throttled_target_queue_delays_no_letter_of_others_by_a_second(queues, clock, letters, members):
    """The letters for it come in the same batch, and before."""
    plain, late_s = queues.send, []
    queues.failing = {"bad": 10**9}

    def slow(url, schedules, now_ms):
        clock.sleep(0.02)
        outcome = plain(url, schedules, now_ms)
        late_s.extend((clock.now_ms - NOON_MS) / 1000 for _ in outcome.confirmed)
        return outcome

    queues.send = slow
    rules = AcceptRules(AllowedTargets(frozenset({OTHER_ARN}), "eu-central-1"))
    taking = desk(FakeTable(), LimitedQueues(queues, clock), rules)
    reception = InputQueueDependencies(
        accept=lambda letter, closed, deadline: accept_letter(letter, closed, taking, deadline),
        put_back=lambda part, pause_s: True,
        report=queues.report,
        tell=lambda failure_target, report: None,
        allows=lambda failure_target: True,
        pool=taking.pool,
    )
    bad = [{"delay": 5, "data": "bad", "target": OTHER_ARN}] * members
    good = [{"delay": 5, "data": f"good {number}"} for number in range(10 - letters)]
    batch = [record(number, content) for number, content in enumerate([*[bad] * letters, *good])]
    answer = receive(batch, clock.deadline(24), reception)
    assert [f"m{number}" for number in range(letters)] == [
        each["itemIdentifier"] for each in answer["batchItemFailures"]
    ]
    assert (10 - letters, True) == (len(late_s), max(late_s) < 1)


def record(number, content):
    facts = {"SentTimestamp": str(NOON_MS), "ApproximateReceiveCount": "1"}
    return {"messageId": f"m{number}", "body": json.dumps(content), "attributes": facts, "messageAttributes": {}}
