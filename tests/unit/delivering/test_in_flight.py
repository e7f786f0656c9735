"""The calls under way, and which of them hang."""

import pytest

from fakes import Clock
from scheduler.delivering.in_flight import HANGS_AFTER_S, LOOK_STEP_S, InFlight, Message


@pytest.fixture
def clock():
    return Clock(1_000_000)


def test_a_message_that_waits_for_its_due_time_does_not_hang(clock):
    """A message that waits for an answer hangs after half a second."""
    watch = InFlight(clock)
    watch.begin(Message("overdue", ""), 0)
    watch.begin(Message("early", ""), 1002)
    assert (2, 0) == watch.counts()
    clock.sleep(HANGS_AFTER_S)
    assert (2, 1) == watch.counts()
    clock.sleep(2)
    assert (2, 2) == watch.counts()


def test_the_same_message_twice_counts_twice(clock):
    """SQS may deliver it twice, and each delivery ends by itself."""
    watch, copies = InFlight(clock), [Message("a", "x"), Message("a", "x")]
    for each in copies:
        watch.begin(each, 0)
    watch.end(copies[0])
    assert (1, 0) == watch.counts()
    watch.end(copies[1])
    assert (0, 0) == watch.counts()


@pytest.mark.parametrize(
    ("moments_s", "idle_s"),
    [([1001], 1), ([1001, 1003], 1 + HANGS_AFTER_S), ([0, 1000.25], 0.25), ([0], LOOK_STEP_S), ([], LOOK_STEP_S)],
    ids=str,
)
def test_nothing_changes_until_the_last_is_due_or_the_first_hangs(clock, moments_s, idle_s):
    """Then it changes step by step."""
    watch = InFlight(clock)
    for moment_s in moments_s:
        watch.begin(Message("any", ""), moment_s)
    assert idle_s == watch.idle_s()
