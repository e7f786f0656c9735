"""The pace of writes is unlimited until DynamoDB throttles, and then slightly below the accepted rate."""

from fakes import Clock
from scheduler.feeding.write_rate import WriteRateLimiter

CAPACITY_PER_S = 1000
END_S = 10.0**10


def run(limiter, clock, seconds, capacity_per_s=CAPACITY_PER_S, units=25, call_s=0.001):
    """Run one writer against a table with a capacity per second. Return the written and the throttled units."""
    room, written, throttled, end_ms = 0.0, 0, 0, clock.now_ms + seconds * 1000
    while clock.now_ms < end_ms:
        before_s = clock()
        assert limiter.begin(units, END_S)
        clock.sleep(call_s)
        room = min(capacity_per_s, room + (clock() - before_s) * capacity_per_s)
        taken = int(min(units, room))
        room -= taken
        limiter.observe(taken, units - taken, False)
        limiter.end(units)
        written, throttled = written + taken, throttled + units - taken
    return written, throttled


def test_there_is_no_pace_without_throttling():
    """No writer waits before the first throttled write."""
    clock = Clock()
    limiter = WriteRateLimiter(clock, clock.sleep)
    limiter.observe(10**6, 0, False)
    slept_until_s = clock()
    assert limiter.begin(10**6, END_S)
    assert slept_until_s == clock()
    assert limiter.units_per_s is None


def test_a_throttled_writer_wastes_few_calls_and_little_capacity():
    """It writes at least 95 of the 100 units that the table accepts, with few throttled calls."""
    clock = Clock()
    limiter = WriteRateLimiter(clock, clock.sleep)
    run(limiter, clock, 3)
    written, throttled = run(limiter, clock, 60)
    assert written >= 0.95 * 60 * CAPACITY_PER_S
    assert throttled <= 0.05 * written


def test_the_pace_rises_with_the_capacity():
    """It takes about a minute."""
    clock = Clock()
    limiter = WriteRateLimiter(clock, clock.sleep)
    run(limiter, clock, 20, capacity_per_s=CAPACITY_PER_S / 2)
    written, _ = run(limiter, clock, 60)
    assert written >= 0.75 * 60 * CAPACITY_PER_S


def test_threads_share_one_pace():
    """Each thread waits for the threads before it, and the first waits for the calls under way."""
    clock, slept = Clock(), []
    limiter = WriteRateLimiter(clock, slept.append)
    limiter.begin(98, END_S)
    throttled(limiter, clock, 500)
    for _ in range(3):
        limiter.begin(98, END_S)
    assert [0.1, 0.2, 0.3] == [round(pause_s, 1) for pause_s in slept]


def test_a_cut_waits_only_for_writes_that_have_begun():
    """A thread that waits for its turn has one already. It does not need the room twice."""
    clock, slept = Clock(), []

    def pause(pause_s):
        slept.append(pause_s)
        if len(slept) == 1:
            throttled(limiter, clock, 50)

    limiter = WriteRateLimiter(clock, pause, 100)
    for _ in range(3):
        limiter.begin(100, END_S)
    assert [1.0, 1.75] == [round(pause_s, 2) for pause_s in slept]


def test_the_first_guess_is_the_capacity_of_a_partition_key():
    """Threads that wait for a retry write less than the table accepts. A higher measured rate counts."""
    clock = Clock()
    found = []
    for written in (100, 250, 400, 900):
        limiter = WriteRateLimiter(clock, clock.sleep)
        throttled(limiter, clock, written)
        found.append(round(limiter.units_per_s or 0))
    assert [196, 980, 980, 1764] == found


def test_a_second_throttled_write_says_nothing_new():
    """Its call began before the pace was cut."""
    clock = Clock()
    limiter = WriteRateLimiter(clock, clock.sleep)
    throttled(limiter, clock, 500)
    for _ in range(10):
        clock.sleep(1)
        limiter.observe(0, 25, True)
    assert limiter.units_per_s >= 980


def test_a_run_begins_with_the_pace_of_the_run_before():
    """It need not measure the capacity again."""
    clock, slept = Clock(), []
    limiter = WriteRateLimiter(clock, slept.append, 500)
    limiter.begin(100, END_S)
    limiter.begin(100, END_S)
    assert [0.2] == [round(pause_s, 1) for pause_s in slept]


def test_a_single_throttled_write_does_not_measure_the_capacity():
    """Without other writes meanwhile, the pace would fall to almost nothing."""
    clock = Clock()
    limiter = WriteRateLimiter(clock, clock.sleep)
    limiter.observe(0, 25, False)
    clock.sleep(0.5)
    limiter.observe(25, 0, True)
    assert limiter.units_per_s is None


def test_the_writes_under_way_can_be_deleted_in_time():
    """Large chunks wait for room. A chunk larger than the room gets all of it."""
    clock, ended = Clock(), []
    limiter = WriteRateLimiter(clock, lambda pause_s: (clock.sleep(pause_s), ended or ended.append(limiter.end(1000))))
    for _ in range(4):
        assert limiter.begin(1000, END_S)
    assert not ended
    assert limiter.begin(1000, END_S)
    assert ended == [None]
    alone = WriteRateLimiter(clock, clock.sleep)
    assert alone.begin(9000, clock())
    assert not alone.begin(1, clock() + 5)


def test_a_chunk_does_not_wait_beyond_the_deadline():
    """The next feed takes it, and the function does not sleep until its timeout."""
    clock = Clock()
    limiter = WriteRateLimiter(clock, clock.sleep, 100)
    assert limiter.begin(1000, clock() + 5)
    began_s = clock()
    assert not limiter.begin(10, clock() + 5)
    assert clock() <= began_s + 5
    assert limiter.begin(10, clock() + 20)


def throttled(limiter, clock, written):
    """Write so much in the half second after a throttled write, while DynamoDB still throttles."""
    limiter.observe(0, 25, False)
    clock.sleep(0.5)
    limiter.observe(written, 25, True)
