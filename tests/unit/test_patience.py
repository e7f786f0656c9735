"""Trying again: bounded, with waits that grow, and never what is done already."""

from fakes import NOON_MS, Clock
from scheduler.execution.batch_result import Outcome
from scheduler.execution.deadline import TRIES_MAX, insist


def test_only_what_is_left_is_tried_again():
    """One by one they get through; none goes twice."""
    calls = []

    def first_only(things):
        calls.append(list(things))
        return Outcome(done=things[:1], left=list(things[1:]), why="throttled")

    assert [1, 2, 3] == insist(first_only, [1, 2, 3], Clock().patience()).done
    assert [[1, 2, 3], [2, 3], [3]] == calls


def test_tries_are_bounded_and_the_reason_is_kept():
    """Eight, with about six seconds of waiting in all."""
    clock, tries = Clock(), []

    def down(things):
        tries.append(1)
        return Outcome(left=list(things), why="down")

    outcome = insist(down, ["x"], clock.patience(60))
    assert (["x"], "down", TRIES_MAX) == (outcome.left, outcome.why, len(tries))


def test_nothing_new_is_begun_after_the_deadline_but_the_first_try_is_made():
    """So that whoever came this far makes some progress."""
    tries = []
    insist(lambda things: tries.append(1) or Outcome(left=list(things)), ["x"], Clock().patience(0))
    assert 1 == len(tries)


def test_nothing_is_no_call():
    """An empty list asks nobody."""
    assert Outcome() == insist(lambda things: 1 / 0, [], Clock().patience())


def test_what_an_adapter_left_untried_follows_at_once_and_what_failed_after_it():
    """Without a pause in between: it is no try of its own."""
    calls, clock = [], Clock()

    def two_at_once(things):
        calls.append(list(things))
        failed = [each for each in things[:2] if each == 2 and len(calls) == 1]
        done = [each for each in things[:2] if each not in failed]
        return Outcome(done=done, left=failed, untried=list(things[2:]))

    assert [1, 3, 4, 5, 2] == insist(two_at_once, [1, 2, 3, 4, 5], clock.patience()).done
    assert [[1, 2, 3, 4, 5], [3, 4, 5], [5], [2]] == calls


def test_what_an_adapter_left_untried_is_not_begun_after_the_deadline():
    """A try that makes several requests ends as early as one that makes a single one."""
    clock = Clock()

    def slow(things):
        clock.sleep(5)
        return Outcome(done=things[:1], untried=list(things[1:]))

    outcome = insist(slow, [1, 2, 3, 4], clock.patience(6))
    assert ([1, 2], [3, 4], "time is over") == (outcome.done, outcome.untried, outcome.why)
    assert NOON_MS + 10_000 == clock.now_ms


def test_a_call_that_begins_nothing_ends_the_tries():
    """A queue that has failed too often in this invocation is not asked, so asking again would never end."""
    outcome = insist(lambda things: Outcome(untried=list(things), why="down"), ["x"], Clock().patience(60))
    assert (["x"], "down") == (outcome.untried, outcome.why)
