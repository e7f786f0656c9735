"""The pace of writes: unlimited until it is throttled, then just below what gets through."""

from fakes import Clock
from scheduler.pacing import Pace

CAPACITY_PER_S = 1000


def run(pace, clock, seconds, capacity_per_s=CAPACITY_PER_S, units=25, call_s=0.001):
    """One writer after the other against a table that takes so much a second; what was written and what bounced."""
    room, written, bounced, end_ms = 0.0, 0, 0, clock.now_ms + seconds * 1000
    while clock.now_ms < end_ms:
        before_s = clock()
        pace.wait(units)
        clock.sleep(call_s)
        room = min(capacity_per_s, room + (clock() - before_s) * capacity_per_s)
        taken = int(min(units, room))
        room -= taken
        pace.learn(taken, units - taken)
        written, bounced = written + taken, bounced + units - taken
    return written, bounced


def test_without_throttling_there_is_no_pace():
    """Nobody waits for what nobody asked for."""
    clock = Clock()
    pace = Pace(clock, clock.sleep)
    pace.learn(10**6, 0)
    assert not pace.wait(10**6)


def test_under_throttling_little_bounces_and_little_is_left_unused():
    """At least 95 of 100 units that the table would take, and few calls in vain."""
    clock = Clock()
    pace = Pace(clock, clock.sleep)
    run(pace, clock, 3)
    written, bounced = run(pace, clock, 60)
    assert written >= 0.95 * 60 * CAPACITY_PER_S
    assert bounced <= 0.05 * written


def test_when_the_table_takes_more_again_the_pace_rises():
    """Within a minute or so."""
    clock = Clock()
    pace = Pace(clock, clock.sleep)
    run(pace, clock, 20, capacity_per_s=CAPACITY_PER_S / 2)
    written, _ = run(pace, clock, 60)
    assert written >= 0.75 * 60 * CAPACITY_PER_S


def test_threads_share_one_pace():
    """Each waits for its turn behind the others."""
    clock = Clock()
    slept = []
    pace = Pace(clock, slept.append)
    clock.now_ms += 1000
    pace.learn(1000, 1000)
    for _ in range(3):
        pace.wait(96)
    assert [0.1, 0.2] == [round(pause_s, 1) for pause_s in slept]
