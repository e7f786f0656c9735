"""A silent target gets a cool-down, and silent targets leave half of the threads to the others."""

from __future__ import annotations

import math
import random

import pytest

from scheduler.delivering.circuit_breaker import (
    COOL_DOWN_S,
    HANGS_S,
    KEPT_FOR_FAMILIES,
    KEPT_FOR_TARGETS,
    LOST_MAX,
    OPEN_S,
    PER_HOST_MAX,
    POSTPONED_S_MAX,
    POSTPONED_S_MIN,
    PROVEN_S,
    REMEMBERED_TARGETS_MAX,
    SILENT_S,
    TIMEOUTS_MAX,
    UNPROVEN_MAX,
    WAITERS_FOR_OTHERS_MAX,
    WAITERS_MAX,
    CircuitBreaker,
)
from scheduler.execution.deadline import Deadline
from scheduler.model.targets import Receiver, receiver

FOR_EVER_S = 1e9
ALONE = UNPROVEN_MAX - KEPT_FOR_FAMILIES - KEPT_FOR_TARGETS
"""Concurrent requests to one target that has not answered yet."""
WIDTH = 32


def host(name, family=None):
    return Receiver(name, family or name)


def begin(breaker, name, now_s=0.0, last_s=FOR_EVER_S, family=None):
    """Return when the delivery may come again, or None if it has begun."""
    postponed = breaker.begin(host(name, family), now_s, last_s)
    return None if postponed is None else postponed.until_s


def end(breaker, name, timed_out=False, now_s=0.0, begun_s=None, family=None):
    breaker.end(host(name, family), timed_out, now_s if begun_s is None else begun_s, now_s)


def timed_out(breaker, name, times, now_s=0.0):
    for _ in range(times):
        breaker.begin(host(name), now_s, now_s)
        end(breaker, name, True, now_s)


def proven(breaker, name, now_s=0.0):
    assert begin(breaker, name, now_s) is None
    end(breaker, name, False, now_s)


def test_three_timeouts_in_a_row_give_a_target_a_cool_down_of_half_a_minute():
    """Then the next request tests the target, and one more timeout is enough."""
    breaker = CircuitBreaker()
    timed_out(breaker, "slow", TIMEOUTS_MAX)
    assert COOL_DOWN_S == begin(breaker, "slow", 0.0)
    timed_out(breaker, "slow", 1, COOL_DOWN_S)
    assert 2 * COOL_DOWN_S == begin(breaker, "slow", COOL_DOWN_S)


def test_one_request_tests_the_target_after_a_cool_down():
    """The others wait for its answer, which ends the cool-down."""
    breaker = CircuitBreaker()
    timed_out(breaker, "slow", TIMEOUTS_MAX)
    assert begin(breaker, "slow", COOL_DOWN_S) is None
    assert COOL_DOWN_S + 0.1 + POSTPONED_S_MIN == begin(breaker, "slow", COOL_DOWN_S + 0.1)
    end(breaker, "slow", False, COOL_DOWN_S + 0.2)
    assert [None] * PER_HOST_MAX == [begin(breaker, "slow", COOL_DOWN_S + 0.3) for _ in range(PER_HOST_MAX)]


def test_fewer_timeouts_change_nothing():
    """Occasional slowness is no reason to postpone the others."""
    breaker = CircuitBreaker()
    timed_out(breaker, "slow", TIMEOUTS_MAX - 1)
    assert begin(breaker, "slow") is None


def test_an_answer_resets_the_count_of_timeouts():
    """Only timeouts in a row count."""
    breaker = CircuitBreaker()
    timed_out(breaker, "slow", TIMEOUTS_MAX - 1)
    proven(breaker, "slow")
    timed_out(breaker, "slow", TIMEOUTS_MAX - 1)
    assert begin(breaker, "slow") is None


def test_a_cool_down_is_for_one_target():
    """Its own answers decide."""
    breaker = CircuitBreaker()
    timed_out(breaker, "slow", TIMEOUTS_MAX)
    assert begin(breaker, "quick") is None


def test_a_delivery_that_would_be_too_late_is_tried_now():
    """It would otherwise be given up untried."""
    breaker = CircuitBreaker()
    timed_out(breaker, "slow", TIMEOUTS_MAX)
    assert begin(breaker, "slow", 0.0, COOL_DOWN_S - 1) is None


def test_one_target_has_half_of_the_threads_at_most():
    """A target that answers has the same bound. Its other messages come a little later, and each answer makes room."""
    breaker = CircuitBreaker()
    proven(breaker, "busy")
    assert [None] * PER_HOST_MAX == [begin(breaker, "busy", 0.1) for _ in range(PER_HOST_MAX)]
    assert 0.2 + POSTPONED_S_MIN == begin(breaker, "busy", 0.2)
    end(breaker, "busy", False, 0.3, 0.1)
    assert begin(breaker, "busy", 0.4) is None


@pytest.mark.parametrize("silent_s", [SILENT_S, 5.0, 9.9])
def test_messages_of_a_silent_target_come_again_after_as_long_a_silence(silent_s):
    """A slow target gets no more requests, however few it has."""
    breaker = CircuitBreaker()
    assert begin(breaker, "slow", 10.0) is None
    assert 10 + 2 * silent_s == pytest.approx(begin(breaker, "slow", 10 + silent_s))


def test_any_answer_ends_the_silence():
    """It may answer any of the requests."""
    breaker = CircuitBreaker()
    for moment_s in (0.0, 1.0):
        begin(breaker, "slow", moment_s)
    end(breaker, "slow", False, SILENT_S, 1.0)
    assert begin(breaker, "slow", SILENT_S + 0.1) is None


def test_the_memory_is_bounded():
    """Over the months, a stack may have more hosts than fit into memory."""
    breaker = CircuitBreaker()
    for number in range(REMEMBERED_TARGETS_MAX + 1):
        timed_out(breaker, f"dead {number}", 1)
        proven(breaker, f"fine {number}")
    assert (1, {}, {}) == (len(breaker._timeouts), breaker._in_flight, breaker._last_answer_s)
    assert 1 == len(breaker._answered_s)


def test_one_expiring_delivery_at_a_time_is_tried_during_a_cool_down():
    """The others learn when they could be tried, which is too late for them."""
    breaker = CircuitBreaker()
    timed_out(breaker, "slow", TIMEOUTS_MAX)
    assert begin(breaker, "slow", 1.0, 2.0) is None
    assert COOL_DOWN_S == begin(breaker, "slow", 1.0, 2.0)
    end(breaker, "slow", False, 1.5)
    assert begin(breaker, "slow", 1.5, 2.0) is None


def test_expiring_deliveries_have_half_of_the_threads_at_most():
    """The targets do not answer, and their number does not matter."""
    breaker = CircuitBreaker()
    begun = [begin(breaker, f"dead {number}", 0.0, 0.0) for number in range(WIDTH)]
    assert [None] * UNPROVEN_MAX == begun[:UNPROVEN_MAX]
    assert None not in begun[UNPROVEN_MAX:]


# Targets that have not answered yet


def test_a_new_target_has_a_batch_of_requests_before_its_first_answer():
    """After the first answer it has half of the threads."""
    breaker = CircuitBreaker()
    begun = [begin(breaker, "new") for _ in range(WIDTH)]
    assert ALONE == begun.count(None)
    end(breaker, "new", False, 0.05, 0.0)
    assert [None] * (PER_HOST_MAX - ALONE + 1) == [begin(breaker, "new", 0.06) for _ in range(PER_HOST_MAX - ALONE + 1)]


@pytest.mark.parametrize("named", [lambda number: "dead.example", lambda number: f"dead{number}.example"])
def test_dead_targets_have_half_of_the_threads_together(named):
    """Their domains do not matter."""
    breaker = CircuitBreaker()
    begun = [begin(breaker, f"{number}.{named(number)}", family=named(number)) for number in range(100)]
    taken = begun.count(None)
    assert taken == UNPROVEN_MAX - (KEPT_FOR_FAMILIES if named(1) == named(2) else 0)


def test_targets_that_timed_out_leave_places_to_new_ones():
    """They do so before their cool-down, and whatever their domains are."""
    breaker = CircuitBreaker()
    for number in range(100):
        timed_out(breaker, f"dead {number}", 1)
    begun = [begin(breaker, f"dead {number}", 1.0) for number in range(100)]
    assert UNPROVEN_MAX - KEPT_FOR_TARGETS == begun.count(None)
    assert begin(breaker, "new", 1.0) is None


def test_dead_names_of_one_domain_leave_a_place_to_another_domain():
    """A healthy host that is new here is tried at once."""
    breaker = CircuitBreaker()
    for number in range(100):
        begin(breaker, f"{number}.dead", family="dead")
    assert begin(breaker, "fine", 0.1) is None


def test_a_dead_host_leaves_a_place_to_another_host_of_its_domain():
    """Hosts below one domain may belong to different people."""
    breaker = CircuitBreaker()
    for _ in range(100):
        begin(breaker, "dead", family="shop")
    assert begin(breaker, "fine", 0.1, family="shop") is None


def test_a_proven_target_always_finds_a_thread():
    """It may use up to half of the threads."""
    breaker = CircuitBreaker()
    proven(breaker, "fine")
    for number in range(100):
        begin(breaker, f"dead {number}")
    assert [None] * PER_HOST_MAX == [begin(breaker, "fine", 0.1) for _ in range(PER_HOST_MAX)]


@pytest.mark.parametrize("took_s", [None, SILENT_S])
def test_a_timeout_or_a_slow_answer_proves_nothing(took_s):
    """Many slow hosts would hold every thread as well."""
    breaker = CircuitBreaker()
    proven(breaker, "slow")
    assert begin(breaker, "slow", 1.0) is None
    end(breaker, "slow", took_s is None, 1.0 + SILENT_S, 1.0)
    for number in range(100):
        begin(breaker, f"dead {number}", 3.0)
    assert begin(breaker, "slow", 3.1) is not None


def test_an_answer_counts_for_a_minute():
    """An answer of an hour ago says little about a host."""
    breaker = CircuitBreaker()
    proven(breaker, "fine")
    for number in range(100):
        begin(breaker, f"dead {number}", PROVEN_S - 1)
    assert begin(breaker, "fine", PROVEN_S - 0.1) is None
    end(breaker, "fine", True, PROVEN_S)
    assert begin(breaker, "fine", PROVEN_S) is not None


def test_a_proven_target_that_hangs_counts_as_silent():
    """This begins after one second. Its requests count against the half of the silent targets."""
    breaker = CircuitBreaker()
    for number in range(UNPROVEN_MAX):
        proven(breaker, f"fine {number}")
    for number in range(UNPROVEN_MAX):
        assert begin(breaker, f"fine {number}", 1.0) is None
    assert begin(breaker, "new", 1.1) is None
    end(breaker, "new", False, 1.1 + SILENT_S, 1.1)
    assert begin(breaker, "new", 1.0 + HANGS_S) is not None


def test_pauses_because_of_other_targets_are_short_and_do_not_double():
    """A healthy host behind dead ones must not wait longer and longer. A host that timed out comes less often."""
    breaker = CircuitBreaker()
    timed_out(breaker, "timed out", 1)
    for number in range(UNPROVEN_MAX):
        begin(breaker, f"dead {number}", last_s=0.0, family=f"{number % 2}")
    for now_s in (0.1, 3.0, 9.9, 100.0):
        assert now_s + POSTPONED_S_MIN == begin(breaker, "new", now_s)
        assert now_s + POSTPONED_S_MIN == begin(breaker, "another of them", now_s, family="1")
        assert now_s + POSTPONED_S_MAX == begin(breaker, "timed out", now_s)


def test_a_delivery_learns_that_it_is_postponed_because_of_others():
    """It is not given up, because its target is not at fault."""
    breaker = CircuitBreaker()
    for number in range(UNPROVEN_MAX):
        begin(breaker, f"dead {number}")
    assert not breaker.begin(host("new"), 5.0, FOR_EVER_S).silent
    assert breaker.begin(host("dead 1"), 1.0, FOR_EVER_S).silent


@pytest.mark.parametrize("lost", [LOST_MAX - 1, LOST_MAX])
def test_only_proven_targets_get_requests_late_in_an_invocation_with_many_dead_targets(lost):
    """A hanging request would hold the environment after it has stopped receiving messages."""
    breaker = CircuitBreaker()
    proven(breaker, "fine")
    breaker.open(0.0)
    for number in range(lost):
        timed_out(breaker, f"dead {number}", 1)
    assert begin(breaker, "new", OPEN_S - 0.1) is None
    assert (begin(breaker, "newer", OPEN_S) is None) == (lost < LOST_MAX)
    assert begin(breaker, "fine", OPEN_S) is None
    breaker.open(OPEN_S + 1)
    assert begin(breaker, "newest", OPEN_S + 1) is None


def test_targets_that_hang_count_as_dead_late_in_an_invocation():
    """The first of them to time out would otherwise free its place for one more silent target."""
    breaker = CircuitBreaker()
    breaker.open(0.0)
    for number in range(LOST_MAX):
        assert begin(breaker, f"silent {number}", 0.5) is None
    end(breaker, "silent 0", True, OPEN_S + 5, 0.5)
    assert OPEN_S + 5 + POSTPONED_S_MIN == begin(breaker, "new", OPEN_S + 5)


def test_a_target_that_timed_out_gets_no_request_late_in_an_invocation():
    """One dead host is enough to hold every environment, after each has stopped receiving messages for others."""
    breaker = CircuitBreaker()
    breaker.open(0.0)
    timed_out(breaker, "dead", 1)
    assert begin(breaker, "dead", OPEN_S - 0.1) is None
    end(breaker, "dead", True, OPEN_S - 0.1, OPEN_S)
    assert OPEN_S + COOL_DOWN_S == begin(breaker, "dead", OPEN_S)
    breaker.open(OPEN_S + 1)
    assert begin(breaker, "dead", OPEN_S + 1) is None


# Waiting a moment


class Waiting:
    """A clock that lets something happen during a sleep."""

    def __init__(self, breaker, at=()):
        self.now_s, self._at, self.most = 0.0, dict(at), 0
        self.breaker = breaker
        self.deadline = Deadline(lambda: self.now_s, self.sleep, lambda: 0.5, math.inf)

    def sleep(self, pause_s):
        self.most = max(self.most, self.breaker._waiters)
        self.now_s = round(self.now_s + pause_s, 6)
        for moment_s in [each for each in self._at if each <= self.now_s]:
            self._at.pop(moment_s)()

    def admit(self, name):
        return self.breaker.admit(host(name), FOR_EVER_S, self.deadline)


def test_a_delivery_waits_for_the_first_answer_of_a_new_target():
    """Many deliveries go to one healthy host at once, in an environment that does not know it yet."""
    breaker = CircuitBreaker()
    for _ in range(ALONE):
        begin(breaker, "new")
    waiting = Waiting(breaker, {0.05: lambda: end(breaker, "new", False, 0.05, 0.0)})
    assert waiting.admit("new") is None
    assert 0.05 <= waiting.now_s <= 0.1
    assert (1, 0) == (waiting.most, breaker._waiters)


def test_a_delivery_waits_only_until_the_others_hang():
    """Then it comes again."""
    breaker = CircuitBreaker()
    for number in range(UNPROVEN_MAX):
        begin(breaker, f"dead {number}")
    waiting = Waiting(breaker)
    assert waiting.admit("new") is not None
    assert 0 < waiting.now_s <= HANGS_S + 0.05
    assert 0 == breaker._waiters


def test_a_delivery_to_a_hanging_target_does_not_wait():
    """A delivery behind other hanging ones does not wait either."""
    breaker = CircuitBreaker()
    for number in range(UNPROVEN_MAX):
        begin(breaker, f"dead {number}", -HANGS_S)
    waiting = Waiting(breaker)
    assert waiting.admit("new") is not None
    assert waiting.admit("dead 1") is not None
    assert 0 == waiting.now_s


def test_few_deliveries_wait_at_once():
    """The remaining threads are for targets that answer."""
    breaker = CircuitBreaker()
    for number in range(UNPROVEN_MAX):
        begin(breaker, f"dead {number}")
    for _ in range(WAITERS_FOR_OTHERS_MAX):
        assert breaker._queue_up(WAITERS_FOR_OTHERS_MAX)
    waiting = Waiting(breaker)
    assert waiting.admit("new") is not None
    assert 0 == waiting.now_s
    assert UNPROVEN_MAX + WAITERS_MAX < WIDTH


# Random requests


@pytest.mark.parametrize("seed", range(40))
def test_proven_targets_always_find_a_thread_and_others_have_half(seed):
    """Requests begin, end and time out at random, to hosts of a few domains. Some of the hosts are healthy."""
    draw, breaker, now_s = random.Random(seed), CircuitBreaker(), 0.0
    under_way = []
    for _ in range(600):
        now_s += draw.choice((0.0, 0.01, 0.2, 1.0, 5.0))
        receiver = Receiver(f"{draw.randint(0, 60)}", f"{draw.randint(0, 3)}")
        is_proven = breaker._is_proven(receiver, now_s)
        unproven = sum(not breaker._is_proven(each, now_s) for each, _ in under_way)
        mine = sum(each == receiver for each, _ in under_way)
        postponed = breaker.begin(receiver, now_s, draw.choice((FOR_EVER_S, FOR_EVER_S, now_s)))
        if postponed is None:
            assert is_proven or unproven < UNPROVEN_MAX or receiver in breaker._until_s
            under_way.append((receiver, now_s))
        else:
            assert now_s < postponed.until_s <= now_s + max(COOL_DOWN_S, now_s)
            assert not is_proven or mine >= PER_HOST_MAX
        while under_way and (len(under_way) > WIDTH or draw.random() < 0.6):
            other, begun_s = under_way.pop(draw.randrange(len(under_way)))
            breaker.end(other, int(other.name) % 2 == 0, begun_s, now_s)


def test_a_slow_output_queue_has_half_of_the_threads_and_is_postponed_for_no_other_reason():
    """A postponed message waits in the delivery queue, which is then as slow."""
    breaker, output = CircuitBreaker(), receiver(None)
    for start_s in range(0, 120, 5):
        assert [None] * PER_HOST_MAX == [
            breaker.begin(output, start_s + each / 5, FOR_EVER_S) for each in range(PER_HOST_MAX)
        ]
        full = breaker.begin(output, start_s + 4, FOR_EVER_S)
        assert full is not None
        assert start_s + 4 + POSTPONED_S_MIN == full.until_s
        for _ in range(PER_HOST_MAX):
            breaker.end(output, True, start_s, start_s + 4.9)


def test_a_slow_output_queue_takes_no_place_of_unproven_targets():
    """Its messages use the other half of the threads."""
    breaker, output = CircuitBreaker(), receiver(None)
    for _ in range(PER_HOST_MAX):
        breaker.begin(output, 0.0, FOR_EVER_S)
    assert [None] * UNPROVEN_MAX == [begin(breaker, f"new {each}", 3.0) for each in range(UNPROVEN_MAX)]
