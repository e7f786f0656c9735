"""Receiving in `punctual.testing`: the whole way from the schedule to the message, on a clock that the test moves."""

from __future__ import annotations

from datetime import timedelta

import pytest

import punctual
from punctual import Scheduler
from punctual.testing import Stack


@pytest.fixture
def stack():
    return Stack()


@pytest.fixture
def scheduler(stack):
    return Scheduler(stack)


def test_what_was_scheduled_is_received(scheduler, stack):
    """Nothing comes before its time, and the clock stands still meanwhile."""
    scheduled = scheduler.schedule({"order": 7}, delay=timedelta(hours=2), name="order/7", user="shop")
    assert [] == list(scheduler.messages(wait=False))
    stack.advance(hours=2, seconds=3)
    now = stack.now
    (message,) = scheduler.messages(wait=False)
    assert now == stack.now
    assert (scheduled.id, scheduled.due) == (message.id, message.due)
    assert ({"order": 7}, "order/7", "shop", 3) == (message.json, message.name, message.user, message.lateness)


def test_a_message_that_was_not_deleted_comes_again(scheduler, stack):
    scheduler.schedule("x", delay=1)
    stack.advance(seconds=5)
    with scheduler.messages(wait=False) as messages:
        message = next(messages)
    assert [] == list(scheduler.messages(wait=False))
    assert not message.lost
    stack.advance(minutes=1)
    assert message.lost
    assert [message.id] == [each.id for each in scheduler.messages(wait=False)]


def test_messages_beside_the_one_in_hand_are_released(scheduler, stack):
    """At once, so another consumer has them in time."""
    for _ in range(3):
        scheduler.schedule("x", delay=1)
    stack.advance(seconds=5)
    with scheduler.messages(wait=False) as messages:
        next(messages)
    assert 2 == len(list(scheduler.messages(wait=False)))


def test_a_worker_handles_what_is_due(scheduler, stack):
    """The failed message stays, and comes again."""
    seen = []

    def handler(message):
        seen.append(message.data)
        if seen == ["0"]:
            raise ConnectionError

    for number in range(3):
        scheduler.schedule(f"{number}", delay=number + 1)
        stack.advance(seconds=0.1)
    stack.advance(seconds=5)
    scheduler.consume(handler, wait=False)
    assert ["0", "1", "2"] == seen
    stack.advance(minutes=1)
    scheduler.consume(handler, wait=False)
    assert ["0", "1", "2", "0"] == seen
    stack.advance(minutes=1)
    assert [] == list(scheduler.messages(wait=False))


def test_waiting_for_ever_is_refused(scheduler):
    """Only the test moves the clock, so the wait would never end."""
    with pytest.raises(ValueError, match=r"messages\(wait=False\)"):
        scheduler.messages()
    with pytest.raises(ValueError, match="wait=False"):
        scheduler.consume(print)


def test_the_public_names_are_there():
    for name in ("Message", "Messages", "Table", "Webhook", "consumer", "verify_webhook", "InvalidSignature"):
        assert name in punctual.__all__
        assert getattr(punctual, name).__doc__
