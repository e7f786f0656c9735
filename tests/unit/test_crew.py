"""Side by side: bounded, complete, and honest about what went wrong."""

import threading
import tracemalloc

import pytest

from scheduler.execution.worker_pool import SerialPool, ThreadPool


@pytest.mark.parametrize("pool", [SerialPool(), ThreadPool(4)], ids=["alone", "threads"])
def test_results_come_in_the_order_of_the_jobs(pool):
    """Whatever order they were done in."""
    assert [number * 2 for number in range(100)] == pool.run(lambda number: number * 2, range(100))


def test_a_job_is_drawn_only_when_a_thread_is_free_for_it():
    """What is drawn is under way: no more than the width, so that a feed that stops leaves nothing begun and idle."""
    drawn, done, most = 0, 0, 0
    lock = threading.Lock()

    def jobs():
        nonlocal drawn, most
        for number in range(50):
            with lock:
                drawn += 1
                most = max(most, drawn - done)
            yield number

    def work(_):
        nonlocal done
        with lock:
            done += 1

    ThreadPool(4).run(work, jobs())
    assert most <= 5  # Four under way, one being handed over.


def test_an_error_ends_the_drawing_and_comes_out_when_all_that_is_under_way_has_ended():
    """What broke one job would break the next as well."""
    drawn = []

    def jobs():
        for number in range(1000):
            drawn.append(number)
            yield number

    def work(number):
        if number == 3:
            raise RuntimeError("broken")
        return number

    with pytest.raises(RuntimeError, match="broken"):
        ThreadPool(2).run(work, jobs())
    assert len(drawn) < 20


def test_jobs_that_break_come_out_when_all_that_is_under_way_has_ended():
    """No call of ours is still under way when the function answers; and the crew can be asked again."""
    pool, broken, done = ThreadPool(4), threading.Event(), []

    def jobs():
        yield from range(3)
        broken.set()
        raise RuntimeError("broken")

    def work(number):
        broken.wait()
        done.append(number)

    with pytest.raises(RuntimeError, match="broken"):
        pool.run(work, jobs())
    assert [0, 1, 2] == sorted(done)
    assert [0, 1, 2] == pool.run(lambda number: number, range(3))


def test_of_a_job_that_is_done_nothing_is_kept_but_its_result():
    """A feed does thousands: what it takes does not grow with what is waiting."""
    taken_bytes = []

    def jobs():
        for number in range(3_000):
            if number in (1_000, 2_999):
                taken_bytes.append(tracemalloc.get_traced_memory()[0])
            yield number

    tracemalloc.start()
    try:
        ThreadPool(4).run(lambda _: None, jobs())
    finally:
        tracemalloc.stop()
    assert (taken_bytes[1] - taken_bytes[0]) / 2_000 < 100
