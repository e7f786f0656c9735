"""The worker pool is bounded, returns all results, and raises the jobs' errors."""

import random
import threading
import tracemalloc

import pytest

from punctual.testing.timeline import Timeline, WorkerPool
from scheduler.execution.worker_pool import SerialPool, ThreadPool


class VirtualPool:
    """The pool of the virtual AWS. Each run is a task of a timeline, as an invocation is."""

    def run(self, work, jobs):
        timeline = Timeline(0, random.Random(0))
        task = timeline.spawn(lambda: WorkerPool(timeline, 4).run(work, jobs))
        timeline.run(lambda: not task.ended)
        if task.fault is not None:
            raise task.fault
        return task.result


@pytest.fixture(params=[SerialPool(), ThreadPool(4), VirtualPool()], ids=["alone", "threads", "virtual"])
def pool(request):
    return request.param


def test_results_come_in_the_order_of_the_jobs(pool):
    """The order of completion does not matter."""
    assert [number * 2 for number in range(100)] == pool.run(lambda number: number * 2, range(100))


def test_no_jobs_have_no_results(pool):
    assert [] == pool.run(lambda number: number, [])


def test_a_job_is_drawn_only_when_a_thread_is_free():
    """No more jobs than threads are under way, so a feed that stops leaves no job drawn and idle."""
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
    assert most <= 5  # Four under way, and one being handed to a thread.


def test_an_error_of_a_job_stops_the_drawing_and_is_raised(pool):
    """The cause of one failure would fail the next job as well. The pool can be used again."""
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
        pool.run(work, jobs())
    assert len(drawn) < 1000
    assert [0, 1, 2] == pool.run(lambda number: number, range(3))


def test_an_error_while_drawing_is_raised_after_the_jobs_that_were_drawn(pool):
    """The pool can be used again."""
    done = []

    def jobs():
        yield from range(3)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        pool.run(done.append, jobs())
    assert [0, 1, 2] == sorted(done)
    assert [0, 1, 2] == pool.run(lambda number: number, range(3))


def test_an_error_while_drawing_is_raised_after_the_running_jobs():
    """No call is under way when the function answers, and the pool can be used again."""
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


def test_a_finished_job_keeps_only_its_result():
    """A feed runs thousands of jobs. Its memory does not grow with the number of waiting jobs."""
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
