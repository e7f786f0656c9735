"""Batches that are sent by several threads at once."""

from __future__ import annotations

import os
import threading

import pytest

from punctual import AccessDenied, Unconfirmed
from punctual.client.many.batch import Batch, Member
from punctual.client.many.pipeline import Pipeline

WAIT_S = 30
"""A test that hangs fails after this time. None waits for it otherwise."""


def batch(number, *names):
    return Batch(str(number), [Member(number, b"{}", name) for name in names or (None,)])


class Gate:
    """Sends nothing. Every batch waits until the test lets it pass."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.stopped = False
        self._news = threading.Condition()
        self._open: set[str] = set()
        self._read = 0

    def send(self, each: Batch) -> list[str]:
        with self._news:
            self.began.append(each.token)
            self._news.notify_all()
            assert self._news.wait_for(lambda: each.token in self._open, WAIT_S)
        return [each.token]

    def read(self, each: Batch) -> Batch:
        with self._news:
            self._read += 1
            self._news.notify_all()
        return each

    def await_read(self, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self._read >= count, WAIT_S), self._read

    def stop(self) -> None:
        self.stopped = True

    def let(self, *tokens: str) -> None:
        with self._news:
            self._open.update(tokens)
            self._news.notify_all()

    def await_begun(self, *tokens: str) -> None:
        with self._news:
            assert self._news.wait_for(lambda: set(tokens) <= set(self.began), WAIT_S), self.began


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.let(*map(str, range(1_000)))


def pipeline(gate, batches, workers):
    return Pipeline(map(gate.read, batches), gate.send, gate.stop, workers, True).results()


def in_thread(work):
    """Run the work in another thread. Return the thread and the list of its results."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.extend(work()), daemon=True)
    thread.start()
    return thread, results


def test_as_many_batches_run_at_once_as_there_are_workers(gate):
    gate.let("0")
    thread, results = in_thread(lambda: pipeline(gate, map(batch, range(9)), 3))
    gate.await_begun("1", "2", "3")
    assert {"0", "1", "2", "3"} == set(gate.began)
    gate.let("2")
    gate.await_begun("4")
    gate.let(*map(str, range(9)))
    thread.join(WAIT_S)
    assert [str(number) for number in range(9)] == results


def test_the_first_batch_goes_alone(gate):
    """A missing stack or right then shows before anything else is sent."""
    thread, results = in_thread(lambda: pipeline(gate, map(batch, range(9)), 3))
    gate.await_begun("0")
    gate.await_read(6)
    assert ["0"] == gate.began
    gate.let(*map(str, range(9)))
    thread.join(WAIT_S)
    assert 9 == len(results)


def test_results_wait_for_earlier_ones(gate):
    gate.let("0", "2", "3")
    thread, results = in_thread(lambda: pipeline(gate, map(batch, range(4)), 3))
    gate.await_begun("0", "1", "2", "3")
    assert ["0"] == results
    gate.let("1")
    thread.join(WAIT_S)
    assert ["0", "1", "2", "3"] == results


@pytest.mark.parametrize("workers", [1, 3])
def test_at_most_two_batches_a_worker_are_held(gate, workers):
    read = []

    def batches():
        for number in range(100):
            read.append(number)
            yield batch(number)

    results = pipeline(gate, batches(), workers)
    gate.let("0")
    assert "0" == next(results)
    gate.let("1")
    assert "1" == next(results)
    assert len(read) <= 2 * workers + 1
    results.close()


def test_a_batch_waits_while_a_name_of_its_own_is_under_way(gate):
    batches = [batch(0), batch(1, "a"), batch(2, "b", "a"), batch(3, "c"), batch(4, "b")]
    gate.let("0")
    thread, results = in_thread(lambda: pipeline(gate, batches, 4))
    gate.await_begun("1", "3")
    gate.let("3")
    assert {"0", "1", "3"} == set(gate.began)
    gate.let("1")
    gate.await_begun("2")
    assert "4" not in gate.began, "it shares a name with a batch that came before it"
    gate.let("2", "4")
    thread.join(WAIT_S)
    assert ["0", "1", "2", "3", "4"] == results


def test_closing_starts_nothing_new(gate):
    results = pipeline(gate, map(batch, range(100)), 2)
    thread, first = in_thread(lambda: [next(results), next(results)])
    gate.let("0")
    gate.await_begun("1", "2")
    gate.let("1")
    thread.join(WAIT_S)
    assert ["0", "1"] == first
    results.close()
    gate.let(*map(str, range(100)))
    assert gate.stopped
    assert set(gate.began) <= {"0", "1", "2", "3"}


def test_an_error_comes_after_the_results_of_everything_that_was_under_way(gate):
    """A caller that does not learn what was scheduled would schedule it again."""

    def send(each):
        result = gate.send(each)
        if each.token == "1":
            gate.await_begun("2", "3")
            raise AccessDenied("no")
        return result

    results = []

    def work():
        try:
            results.extend(Pipeline(map(gate.read, map(batch, range(100))), send, gate.stop, 3, True).results())
        except AccessDenied:
            results.append("denied")
        return []

    thread, _ = in_thread(work)
    gate.let("0")
    gate.await_begun("1", "2", "3")
    gate.let(*map(str, range(1, 100)))
    thread.join(WAIT_S)
    assert ["0", Unconfirmed(1, "no", "1"), "2"] == results[:3]
    assert "denied" == results[-1]
    assert set(gate.began) <= set(map(str, range(7))), "nothing begins after the error"


def test_a_fork_does_not_wait_for_the_threads_of_its_parent(gate, monkeypatch):
    gate.let(*map(str, range(100)))
    results = pipeline(gate, map(batch, range(100)), 2)
    assert "0" == next(results)
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    with pytest.raises(RuntimeError, match="parent process"):
        list(results)


def test_an_error_comes_at_its_turn_and_stops_the_rest(gate):
    gate.let(*map(str, range(100)))

    def send(each):
        if each.token == "3":
            raise AccessDenied("no")
        return gate.send(each)

    results = []
    with pytest.raises(AccessDenied):
        results.extend(Pipeline(map(batch, range(100)), send, gate.stop, 2, True).results())
    assert gate.stopped
    assert len(gate.began) <= 8
