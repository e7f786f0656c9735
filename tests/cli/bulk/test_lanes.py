"""Batches are sent side by side or one after the other, and each result comes back with its batch."""

import contextlib
import threading

import pytest

from punctual.cli.bulk.sending.lanes import OneByOne, Threads, lanes


@pytest.fixture(params=[OneByOne, lambda: Threads(3)], ids=["one by one", "threads"])
def ways(request):
    with contextlib.closing(request.param()) as made:
        yield made


def all_ended(ways, futures):
    """Wait for every job, as an import does, and return how many rounds it took."""
    left, rounds = set(futures), 0
    while left:
        ended = ways.ended(left)
        assert ended, "a wait ends with at least one job"
        assert all(future.done() for future in ended)
        left, rounds = left - set(ended), rounds + 1
    return rounds


def test_a_job_has_its_own_result(ways):
    futures = {ways.submit(lambda number=number: number * 2): number for number in range(20)}
    all_ended(ways, futures)
    assert all(future.result() == number * 2 for future, number in futures.items())


def test_an_error_of_a_job_is_raised_where_its_result_is_asked_for(ways):
    """The other jobs are not affected."""

    def fail():
        raise RuntimeError("broken")

    broken, good = ways.submit(fail), ways.submit(lambda: "good")
    all_ended(ways, [broken, good])
    assert "good" == good.result()
    with pytest.raises(RuntimeError, match="broken"):
        broken.result()


def test_every_job_has_ended_after_the_close(ways):
    done = []
    for number in range(5):
        ways.submit(lambda number=number: done.append(number))
    ways.close()
    assert list(range(5)) == sorted(done)


def test_no_more_jobs_run_at_once_than_the_width(ways):
    """An import submits no more than this many batches before it takes results."""
    lock, running, most = threading.Lock(), 0, 0

    def job():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1

    all_ended(ways, [ways.submit(job) for _ in range(50)])
    assert 1 <= most <= ways.width


@pytest.mark.parametrize(
    ("workers", "parallel", "width"), [(8, True, 8), (8, False, 1), (1, True, 1)], ids=["aws", "virtual", "one worker"]
)
def test_the_virtual_aws_and_a_single_worker_get_one_lane(workers, parallel, width):
    """The virtual AWS has one clock, so its jobs run one after the other."""
    with contextlib.closing(lanes(workers, parallel)) as made:
        assert width == made.width
