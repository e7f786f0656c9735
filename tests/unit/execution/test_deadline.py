"""Retries are bounded, have growing pauses, and never repeat what is done."""

from fakes import NOON_MS, Clock
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import TRIES_MAX, retry_batch


def test_only_the_rest_is_tried_again():
    """The items succeed one by one, and none is sent twice."""
    calls = []

    def first_only(things):
        calls.append(list(things))
        return BatchResult(confirmed=things[:1], unconfirmed=list(things[1:]), last_error="throttled")

    assert [1, 2, 3] == retry_batch(first_only, [1, 2, 3], Clock().deadline()).confirmed
    assert [[1, 2, 3], [2, 3], [3]] == calls


def test_tries_are_bounded_and_the_reason_is_kept():
    """Eight tries, with about six seconds of pauses in all."""
    clock, tries = Clock(), []

    def down(things):
        tries.append(1)
        return BatchResult(unconfirmed=list(things), last_error="down")

    outcome = retry_batch(down, ["x"], clock.deadline(60))
    assert (["x"], "down", TRIES_MAX) == (outcome.unconfirmed, outcome.last_error, len(tries))


def test_only_the_first_try_begins_after_the_deadline():
    """Each caller makes some progress."""
    tries = []
    retry_batch(lambda things: tries.append(1) or BatchResult(unconfirmed=list(things)), ["x"], Clock().deadline(0))
    assert 1 == len(tries)


def test_an_empty_list_makes_no_call():
    """AWS would refuse an empty batch."""
    assert BatchResult() == retry_batch(lambda things: 1 / 0, [], Clock().deadline())


def test_untried_items_follow_at_once_and_before_failed_ones():
    """There is no pause, because the adapter did not try them."""
    calls, clock = [], Clock()

    def two_at_once(things):
        calls.append(list(things))
        failed = [each for each in things[:2] if each == 2 and len(calls) == 1]
        done = [each for each in things[:2] if each not in failed]
        return BatchResult(confirmed=done, unconfirmed=failed, not_attempted=list(things[2:]))

    assert [1, 3, 4, 5, 2] == retry_batch(two_at_once, [1, 2, 3, 4, 5], clock.deadline()).confirmed
    assert [[1, 2, 3, 4, 5], [3, 4, 5], [5], [2]] == calls


def test_untried_items_are_not_begun_after_the_deadline():
    """A try of several requests ends as early as a try of one request."""
    clock = Clock()

    def slow(things):
        clock.sleep(5)
        return BatchResult(confirmed=things[:1], not_attempted=list(things[1:]))

    outcome = retry_batch(slow, [1, 2, 3, 4], clock.deadline(6))
    assert ([1, 2], [3, 4], "time is over") == (outcome.confirmed, outcome.not_attempted, outcome.last_error)
    assert NOON_MS + 10_000 == clock.now_ms


def test_a_call_that_tries_nothing_ends_the_retries():
    """The adapter skips a queue that has failed too often in this invocation, so retries would never end."""
    outcome = retry_batch(
        lambda things: BatchResult(not_attempted=list(things), last_error="down"), ["x"], Clock().deadline(60)
    )
    assert (["x"], "down") == (outcome.not_attempted, outcome.last_error)
