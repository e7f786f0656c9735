"""Hosts that do not answer are left alone for a while."""

import pytest

from scheduler.resting import CROWD_MAX, GROUPS_MAX, PAUSE_S_MIN, REST_S, SILENT_S, TIMEOUTS_MAX, Resting

FOR_EVER_S = 1e12


def begin(resting, group, now_s=0.0, last_s=FOR_EVER_S):
    return resting.begin(group, now_s, last_s)


def timed_out(resting, group, times, now_s=0.0):
    for _ in range(times):
        begin(resting, group, now_s)
        resting.end(group, True, now_s)


def test_after_three_timeouts_in_a_row_a_host_rests():
    """Half a minute; then the next one is tried, and one that times out again begins another."""
    resting = Resting()
    timed_out(resting, "slow", TIMEOUTS_MAX)
    assert REST_S == begin(resting, "slow", 0.0)
    timed_out(resting, "slow", 1, REST_S)
    assert 2 * REST_S == begin(resting, "slow", REST_S)


def test_fewer_timeouts_are_chance():
    """The next one goes out."""
    resting = Resting()
    timed_out(resting, "slow", TIMEOUTS_MAX - 1)
    assert begin(resting, "slow") is None


def test_an_answer_ends_it_whatever_it_says():
    """Refusals and successes alike: the host is there."""
    resting = Resting()
    timed_out(resting, "slow", TIMEOUTS_MAX - 1)
    begin(resting, "slow")
    resting.end("slow", False, 0.0)
    timed_out(resting, "slow", TIMEOUTS_MAX - 1)
    assert begin(resting, "slow") is None


def test_one_host_is_not_another_and_other_targets_never_rest():
    """A queue or a topic has no group."""
    resting = Resting()
    timed_out(resting, "slow", TIMEOUTS_MAX)
    timed_out(resting, None, TIMEOUTS_MAX)
    assert begin(resting, "quick") is None
    assert [None] * 2 * CROWD_MAX == [begin(resting, None) for _ in range(2 * CROWD_MAX)]


def test_what_could_not_be_tried_later_is_tried_now():
    """Put off beyond its last moment it would be given up without a try."""
    resting = Resting()
    timed_out(resting, "slow", TIMEOUTS_MAX)
    assert begin(resting, "slow", 0.0, REST_S - 1) is None


def test_no_host_has_more_than_a_crowd_at_once():
    """The next comes again in a second, and finds a place where one has ended."""
    resting = Resting()
    assert [None] * CROWD_MAX == [begin(resting, "slow", 0.1) for _ in range(CROWD_MAX)]
    assert 0.2 + PAUSE_S_MIN == begin(resting, "slow", 0.2)
    assert begin(resting, "quick", 0.2) is None
    resting.end("slow", False, 0.3)
    assert begin(resting, "slow", 0.4) is None


@pytest.mark.parametrize("silent_s", [SILENT_S, 5, 9])
def test_a_host_that_answers_nobody_gets_no_more(silent_s):
    """Until it answers, or for as long again as it has been silent: so one that is slow is served as it answers."""
    resting = Resting()
    assert begin(resting, "slow", 10.0) is None
    assert 10 + 2 * silent_s == begin(resting, "slow", 10 + silent_s)


def test_a_host_that_answers_others_is_not_silent():
    """One request of it may take long."""
    resting = Resting()
    for moment_s in (0.0, 0.1):
        begin(resting, "slow", moment_s)
    resting.end("slow", False, SILENT_S)
    assert begin(resting, "slow", SILENT_S + 0.1) is None


def test_what_is_known_is_bounded():
    """A thousand hosts; then it begins anew. Of those with nothing under way nothing else is kept."""
    resting = Resting()
    for number in range(GROUPS_MAX + 1):
        timed_out(resting, f"host {number}", 1)
    assert (1, {}, {}) == (len(resting._timeouts), resting._under_way, resting._heard_s)


def test_of_a_host_that_rests_one_at_a_time_is_tried_at_the_last_moment():
    """It may have come back; if not, one thread waits for it, and not sixteen."""
    resting = Resting()
    timed_out(resting, "slow", TIMEOUTS_MAX)
    assert begin(resting, "slow", 1.0, 2.0) is None
    assert REST_S == begin(resting, "slow", 1.0, 2.0)
    resting.end("slow", False, 1.5)
    assert begin(resting, "slow", 1.5, 2.0) is None


def test_what_could_not_be_tried_later_takes_no_thread_that_others_need():
    """Where its host has all that one may have and answers nobody, it is told when it could be tried, and that is too
    late. Of a host that answers it is tried: a thread is free again soon."""
    resting = Resting()
    for _ in range(CROWD_MAX):
        assert begin(resting, "hangs") is None
    assert begin(resting, "hangs", SILENT_S - 0.1, SILENT_S) is None
    again_s = begin(resting, "hangs", SILENT_S, SILENT_S + 1)
    assert again_s is not None
    assert again_s > SILENT_S + 1
    resting.end("hangs", False, SILENT_S)
    assert begin(resting, "hangs", SILENT_S, SILENT_S) is None
