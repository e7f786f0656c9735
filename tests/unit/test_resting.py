"""Hosts that do not answer are left alone for a while."""

from scheduler.resting import GROUPS_MAX, REST_S, TIMEOUTS_MAX, Resting


def timed_out(resting, group, times, now_s=0.0):
    for _ in range(times):
        resting.note(group, True, now_s)


def test_after_three_timeouts_in_a_row_a_host_rests():
    """Half a minute; then the next one is tried, and one that times out again begins another."""
    resting = Resting()
    timed_out(resting, "slow", TIMEOUTS_MAX - 1)
    assert resting.until_s("slow", 0.0) is None
    timed_out(resting, "slow", 1)
    assert REST_S == resting.until_s("slow", 0.0)
    assert resting.until_s("slow", REST_S) is None
    timed_out(resting, "slow", 1, REST_S)
    assert 2 * REST_S == resting.until_s("slow", REST_S)


def test_an_answer_ends_it_whatever_it_says():
    """Refusals and successes alike: the host is there."""
    resting = Resting()
    timed_out(resting, "slow", TIMEOUTS_MAX - 1)
    resting.note("slow", False, 0.0)
    timed_out(resting, "slow", TIMEOUTS_MAX - 1)
    assert resting.until_s("slow", 0.0) is None


def test_one_host_is_not_another_and_other_targets_never_rest():
    """A queue or a topic has no group."""
    resting = Resting()
    timed_out(resting, "slow", TIMEOUTS_MAX)
    timed_out(resting, None, TIMEOUTS_MAX)
    assert resting.until_s("quick", 0.0) is None
    assert resting.until_s(None, 0.0) is None


def test_what_is_known_is_bounded():
    """A thousand hosts; then it begins anew."""
    resting = Resting()
    for number in range(GROUPS_MAX + 1):
        timed_out(resting, f"host {number}", 1)
    assert len(resting._timeouts) == 1
