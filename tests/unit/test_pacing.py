"""The pace of writes: unlimited until it is throttled, then just below what gets through."""

from fakes import Clock
from scheduler.feeding.write_rate import WriteRateLimiter

CAPACITY_PER_S = 1000
END_S = 10.0**10


def run(pace, clock, seconds, capacity_per_s=CAPACITY_PER_S, units=25, call_s=0.001):
    """One writer after the other against a table that takes so much a second; what was written and what bounced."""
    room, written, bounced, end_ms = 0.0, 0, 0, clock.now_ms + seconds * 1000
    while clock.now_ms < end_ms:
        before_s = clock()
        assert pace.begin(units, END_S)
        clock.sleep(call_s)
        room = min(capacity_per_s, room + (clock() - before_s) * capacity_per_s)
        taken = int(min(units, room))
        room -= taken
        pace.learn(taken, units - taken, False)
        pace.end(units)
        written, bounced = written + taken, bounced + units - taken
    return written, bounced


def test_without_throttling_there_is_no_pace():
    """Nobody waits for what nobody asked for."""
    clock = Clock()
    pace = WriteRateLimiter(clock, clock.sleep)
    pace.learn(10**6, 0, False)
    slept_until_s = clock()
    assert pace.begin(10**6, END_S)
    assert slept_until_s == clock()
    assert pace.units_per_s is None


def test_under_throttling_little_bounces_and_little_is_left_unused():
    """At least 95 of 100 units that the table would take, and few calls in vain."""
    clock = Clock()
    pace = WriteRateLimiter(clock, clock.sleep)
    run(pace, clock, 3)
    written, bounced = run(pace, clock, 60)
    assert written >= 0.95 * 60 * CAPACITY_PER_S
    assert bounced <= 0.05 * written


def test_when_the_table_takes_more_again_the_pace_rises():
    """Within a minute or so."""
    clock = Clock()
    pace = WriteRateLimiter(clock, clock.sleep)
    run(pace, clock, 20, capacity_per_s=CAPACITY_PER_S / 2)
    written, _ = run(pace, clock, 60)
    assert written >= 0.75 * 60 * CAPACITY_PER_S


def test_threads_share_one_pace():
    """Each waits for its turn behind the others, and the first for what is under way."""
    clock, slept = Clock(), []
    pace = WriteRateLimiter(clock, slept.append)
    pace.begin(98, END_S)
    throttled(pace, clock, 500)
    for _ in range(3):
        pace.begin(98, END_S)
    assert [0.1, 0.2, 0.3] == [round(pause_s, 1) for pause_s in slept]


def test_what_a_partition_key_takes_is_the_first_guess():
    """Threads that wait to try again write less than the table would take; more than that is what it takes."""
    clock = Clock()
    found = []
    for written in (100, 250, 400, 900):
        pace = WriteRateLimiter(clock, clock.sleep)
        throttled(pace, clock, written)
        found.append(round(pace.units_per_s or 0))
    assert [196, 980, 980, 1764] == found


def test_what_bounces_again_says_nothing_new():
    """It was too much before the pace was cut, and still has to get through."""
    clock = Clock()
    pace = WriteRateLimiter(clock, clock.sleep)
    throttled(pace, clock, 500)
    for _ in range(10):
        clock.sleep(1)
        pace.learn(0, 25, True)
    assert pace.units_per_s >= 980


def test_a_run_begins_with_the_pace_of_the_one_before():
    """It need not find out anew what bounces."""
    clock, slept = Clock(), []
    pace = WriteRateLimiter(clock, slept.append, 500)
    pace.begin(100, END_S)
    pace.begin(100, END_S)
    assert [0.2] == [round(pause_s, 1) for pause_s in slept]


def test_a_bounce_alone_says_nothing_of_what_the_table_takes():
    """Where nothing else was written meanwhile and nothing bounced again, the pace would fall to next to nothing."""
    clock = Clock()
    pace = WriteRateLimiter(clock, clock.sleep)
    pace.learn(0, 25, False)
    clock.sleep(0.5)
    pace.learn(25, 0, True)
    assert pace.units_per_s is None


def test_no_more_is_under_way_than_can_be_deleted_in_the_end():
    """Large ones wait for room; one that is too large by itself has it all to itself."""
    clock, ended = Clock(), []
    pace = WriteRateLimiter(clock, lambda pause_s: (clock.sleep(pause_s), ended or ended.append(pace.end(1000))))
    for _ in range(4):
        assert pace.begin(1000, END_S)
    assert not ended
    assert pace.begin(1000, END_S)
    assert ended == [None]
    alone = WriteRateLimiter(clock, clock.sleep)
    assert alone.begin(9000, clock())
    assert not alone.begin(1, clock() + 5)


def test_whose_turn_would_come_too_late_does_not_wait_for_it():
    """It is left to the feed that goes on, instead of being slept through to the end of the function."""
    clock = Clock()
    pace = WriteRateLimiter(clock, clock.sleep, 100)
    assert pace.begin(1000, clock() + 5)
    began_s = clock()
    assert not pace.begin(10, clock() + 5)
    assert clock() <= began_s + 5
    assert pace.begin(10, clock() + 20)


def throttled(pace, clock, written):
    """So much gets through in the half second after something bounced, and something bounces still."""
    pace.learn(0, 25, False)
    clock.sleep(0.5)
    pace.learn(written, 25, True)
