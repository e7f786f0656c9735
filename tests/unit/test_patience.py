"""Trying again: bounded, with waits that grow, and never what is done already."""

from fakes import NOON_MS, Clock
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import TRIES_MAX, retry_batch


def test_only_what_is_left_is_tried_again():
    """One by one they get through; none goes twice."""
    calls = []

    def first_only(things):
        calls.append(list(things))
        return BatchResult(confirmed=things[:1], unconfirmed=list(things[1:]), last_error="throttled")

    assert [1, 2, 3] == retry_batch(first_only, [1, 2, 3], Clock().deadline()).confirmed
    assert [[1, 2, 3], [2, 3], [3]] == calls


def test_tries_are_bounded_and_the_reason_is_kept():
    """Eight, with about six seconds of waiting in all."""
    clock, tries = Clock(), []

    def down(things):
        tries.append(1)
        return BatchResult(unconfirmed=list(things), last_error="down")

    outcome = retry_batch(down, ["x"], clock.deadline(60))
    assert (["x"], "down", TRIES_MAX) == (outcome.unconfirmed, outcome.last_error, len(tries))


def test_nothing_new_is_begun_after_the_deadline_but_the_first_try_is_made():
    """So that whoever came this far makes some progress."""
    tries = []
    retry_batch(lambda things: tries.append(1) or BatchResult(unconfirmed=list(things)), ["x"], Clock().deadline(0))
    assert 1 == len(tries)


def test_nothing_is_no_call():
    """An empty list asks nobody."""
    assert BatchResult() == retry_batch(lambda things: 1 / 0, [], Clock().deadline())


def test_what_an_adapter_left_untried_follows_at_once_and_what_failed_after_it():
    """Without a pause in between: it is no try of its own."""
    calls, clock = [], Clock()

    def two_at_once(things):
        calls.append(list(things))
        failed = [each for each in things[:2] if each == 2 and len(calls) == 1]
        done = [each for each in things[:2] if each not in failed]
        return BatchResult(confirmed=done, unconfirmed=failed, not_attempted=list(things[2:]))

    assert [1, 3, 4, 5, 2] == retry_batch(two_at_once, [1, 2, 3, 4, 5], clock.deadline()).confirmed
    assert [[1, 2, 3, 4, 5], [3, 4, 5], [5], [2]] == calls


def test_what_an_adapter_left_untried_is_not_begun_after_the_deadline():
    """A try that makes several requests ends as early as one that makes a single one."""
    clock = Clock()

    def slow(things):
        clock.sleep(5)
        return BatchResult(confirmed=things[:1], not_attempted=list(things[1:]))

    outcome = retry_batch(slow, [1, 2, 3, 4], clock.deadline(6))
    assert ([1, 2], [3, 4], "time is over") == (outcome.confirmed, outcome.not_attempted, outcome.last_error)
    assert NOON_MS + 10_000 == clock.now_ms


def test_a_call_that_begins_nothing_ends_the_tries():
    """A queue that has failed too often in this invocation is not asked, so asking again would never end."""
    outcome = retry_batch(
        lambda things: BatchResult(not_attempted=list(things), last_error="down"), ["x"], Clock().deadline(60)
    )
    assert (["x"], "down") == (outcome.not_attempted, outcome.last_error)
