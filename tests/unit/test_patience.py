"""Trying again: bounded, with waits that grow, and never what is done already."""

from fakes import Clock
from scheduler.outcome import Outcome
from scheduler.patience import TRIES_MAX, insist


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
