"""The worker: concurrency, deletes, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from punctual.client.errors import AccessDenied
from punctual.receiving.consume import DELETE_TRIES_MAX, consume
from punctual.receiving.dedupe import Table

PATIENCE_S = 60


def drain(output, handler, **more):
    """Handle everything that is in the queue now."""
    consume(output.world, output.url, handler, wait=False, **more)


def test_every_message_is_handled_once_and_deleted(output):
    output.send(*(f"id-{number}" for number in range(25)))
    seen = []
    drain(output, lambda message: seen.append(message.id))
    assert sorted(f"id-{number}" for number in range(25)) == sorted(seen)
    assert (0, 0) == output.counts()


def test_as_many_messages_are_handled_at_once_as_there_are_workers(output):
    """Three handlers wait for each other, so a smaller number would hang."""
    output.send("a", "b", "c")
    together = threading.Barrier(3)
    drain(output, lambda message: together.wait(PATIENCE_S), workers=3)
    assert (0, 0) == output.counts()


def test_no_more_messages_are_received_than_threads_are_free(output):
    """A message never waits here while another process could handle it."""
    output.send(*"abcde")
    asked = []
    output.world.before["receive_message"] = lambda **given: asked.append(given["MaxNumberOfMessages"])
    drain(output, lambda message: None, workers=2)
    assert max(asked) <= 2


def test_a_failed_message_stays_in_the_queue(output, caplog):
    """The others are handled. The log names the error and its place, and quotes no data."""
    output.send("good", "better")
    output.send("bad", data="secret")

    def handler(message):
        if message.id == "bad":
            raise KeyError(message.data)

    drain(output, handler)
    assert (0, 1) == output.counts()
    assert "the handler failed for schedule bad" in caplog.text
    assert "KeyError" in caplog.text
    assert "raise KeyError(message.data)" in caplog.text
    assert "secret" not in caplog.text


def test_deletes_go_in_batches(output):
    """While one request is under way, the next messages gather."""
    output.send(*"abcdefghijkl")
    handled, go = threading.Semaphore(0), threading.Event()
    batches = []

    def delete(**given):
        batches.append(len(given["Entries"]))
        go.wait(PATIENCE_S)

    def handler(message):
        handled.release()

    def watch():
        for _ in range(12):
            handled.acquire(timeout=PATIENCE_S)
        go.set()

    output.world.before["delete_message_batch"] = delete
    watcher = threading.Thread(target=watch)
    watcher.start()
    drain(output, handler, workers=4)
    watcher.join()
    assert 12 == sum(batches)
    assert len(batches) < 12
    assert (0, 0) == output.counts()


def test_a_message_that_cannot_be_deleted_is_reported(output, caplog):
    """It comes again after its visibility timeout. The worker goes on."""
    output.send("a")
    failed = ClientError(
        {"Error": {"Code": "InternalError", "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "x"
    )
    output.world.before["delete_message_batch"] = lambda **_: (_ for _ in ()).throw(failed)
    drain(output, lambda message: None)
    assert "schedule a was handled and cannot be deleted" in caplog.text
    assert (0, 1) == output.counts()


def test_an_unexpected_error_of_a_delete_ends_the_worker(output):
    """The deleting thread goes on until the handlers have ended, which would wait for it."""
    output.send(*"abcdefghij")
    tries = []

    def broken(**given):
        tries.append(len(given["Entries"]))
        raise RuntimeError("the refreshed credentials are still expired")

    output.world.before["delete_message_batch"] = broken
    with pytest.raises(RuntimeError, match="still expired"):
        drain(output, lambda message: None, workers=2)
    assert len(tries) >= DELETE_TRIES_MAX
    assert (0, 0) != output.counts()


def test_missing_permissions_end_the_worker(output):
    """Waiting would not help."""
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {}}, "x")
    output.world.before["receive_message"] = lambda **_: (_ for _ in ()).throw(denied)
    with pytest.raises(AccessDenied, match="sqs:ReceiveMessage"):
        consume(output.world, output.url, lambda message: None)


def test_the_first_signal_does_not_cut_short_an_end_for_another_reason(output):
    """The queue was removed, and then the container is. What is in hand still ends."""
    output.send("a")
    begun, refused, came = threading.Event(), threading.Event(), []
    missing = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {}}, "x")

    def receive(**_):
        if begun.is_set():
            refused.set()
            raise missing

    def handler(message):
        begun.set()
        refused.wait(PATIENCE_S)
        for each in threading.enumerate():
            if each.name == "punctual-work" and each is not threading.current_thread():
                each.join(PATIENCE_S)  # It ends when the run does.
        os.kill(os.getpid(), signal.SIGTERM)

    output.world.before["receive_message"] = receive
    former = signal.signal(signal.SIGTERM, lambda *_: came.append("killed"))
    try:
        with pytest.raises(AccessDenied):
            consume(output.world, output.url, handler, workers=2)
    finally:
        signal.signal(signal.SIGTERM, former)
    assert [] == came
    assert (0, 0) == output.counts()


def test_a_handler_that_exits_ends_the_worker(output):
    """SystemExit is no failure of the message. It is raised in the caller's thread, and the message stays."""
    output.send("a")
    with pytest.raises(SystemExit):
        consume(output.world, output.url, lambda message: sys.exit(3))
    assert (0, 1) == output.counts()


def test_repeats_are_handled_once(output):
    output.send("a", "b", "a")
    seen = []
    drain(output, lambda message: seen.append(message.id), workers=1, dedupe=True)
    assert ["a", "b"] == sorted(seen)
    assert (0, 0) == output.counts()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_worker_after_the_message_in_hand(output, number):
    """The handler ends, its message is deleted, and the signal has its former effect again.

    The kernel may hand a signal to any thread. One that it hands to a worker does not wake the main thread.
    """
    output.send("a")
    former = signal.getsignal(number)
    ended = []

    def handler(message):
        signal.pthread_kill(threading.get_ident(), number)
        ended.append(message.id)

    consume(output.world, output.url, handler, workers=1)
    assert ["a"] == ended
    assert (0, 0) == output.counts()
    assert former is signal.getsignal(number)


def test_messages_that_nobody_has_begun_are_released_at_the_end(output):
    """The request for messages was under way when the signal came."""
    output.send("a", "b")
    begun = []

    def receive(**_):
        os.kill(os.getpid(), signal.SIGTERM)
        stopped.wait(PATIENCE_S)

    stopped = _StopSeen(output)
    output.world.before["receive_message"] = receive
    consume(output.world, output.url, begun.append, workers=2)
    assert [] == begun
    assert (2, 0) == output.counts()


class _StopSeen:
    """Waits until the worker has handled the signal: then SIGTERM has its former handler again."""

    def __init__(self, output):
        self._former = signal.getsignal(signal.SIGTERM)

    def wait(self, seconds):
        tick = threading.Event()
        for _ in range(int(seconds * 100)):
            if signal.getsignal(signal.SIGTERM) is self._former:
                return
            tick.wait(0.01)


def test_a_second_signal_ends_the_process(tmp_path):
    """A handler that hangs cannot hold up a person at the keyboard.

    The kernel may hand the signal to another thread, and the main thread waits for the handler by then.
    """
    program = tmp_path / "worker.py"
    program.write_text(
        "import os, signal, sys, threading, time\n"
        "from types import SimpleNamespace\n"
        "from punctual.receiving.consume import consume\n"
        "body = {'MessageId': 'm', 'ReceiptHandle': 'r', 'Body': 'x'}\n"
        "sqs = SimpleNamespace(receive_message=lambda **_: {'Messages': [body]},\n"
        "    change_message_visibility_batch=lambda **_: {}, delete_message_batch=lambda **_: {})\n"
        "still = lambda: 0.0\n"
        "backend = SimpleNamespace(client=lambda _: sqs, now=still, steady=still, sleep=still, parallel=True)\n"
        "def hang(message):\n"
        "    print('begun', flush=True)\n"
        "    threading.Event().wait()\n"
        "former = signal.getsignal(signal.SIGINT)\n"
        "def interrupt():\n"
        "    sys.stdin.readline()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    while signal.getsignal(signal.SIGINT) is not former:\n"
        "        time.sleep(0.01)\n"
        "    time.sleep(0.5)\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt, daemon=True).start()\n"
        "try:\n"
        "    consume(backend, 'https://queue', hang, workers=1)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as worker:
        try:
            assert "begun\n" == worker.stdout.readline()
            out, _ = worker.communicate("\n", timeout=PATIENCE_S)
        finally:
            worker.kill()
    assert "interrupted\n" == out
    assert 0 == worker.returncode


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, 1001, "4"])
def test_an_impossible_number_of_workers_is_refused(output, workers):
    with pytest.raises(ValueError, match="from 1 to 1000"):
        consume(output.world, output.url, print, workers=workers)


def test_an_asynchronous_handler_is_refused(output):
    """Nothing would await it, and every message would be deleted unhandled."""

    async def handler(message): ...

    with pytest.raises(TypeError, match=r"asyncio\.run"):
        consume(output.world, output.url, handler)


def test_a_coroutine_that_a_handler_returns_is_a_failure(output, caplog):
    async def later(): ...

    output.send("a")
    drain(output, lambda message: later())
    assert "the handler failed" in caplog.text
    assert (0, 1) == output.counts()


def test_a_table_needs_a_name():
    with pytest.raises(TypeError, match="wanted: a string"):
        Table("")
