"""Runs the local AWS and sees to its end: whatever becomes of the process that asked for it, nothing is left.

Started as a program of its own, in a session of its own, so that a Ctrl-C meant for its parent does not reach it.
It makes a private folder, starts ministack in it, and waits until the pipe on its standard input closes, its
parent is gone, or ministack has ended. Then it ends ministack with every function that runs in it, and removes
the folder. A pipe closes in every way a process can end, SIGKILL included; no message has to get through.

Only the standard library is used here: a guardian has to work where an installation is broken.

It says on its standard output, one JSON object a line: first `{"folder", "process"}`; where ministack
ended by itself, `{"exit_status", "log"}`; and where it may not start, `{"refusal"}`.
"""

import argparse
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER_PREFIX = "punctual-local-"
LOG_NAME = "ministack.log"
LOG_TAIL_BYTES_MAX = 4096
WATCH_S = 0.2
SAVE_S_MAX = 15.0  # ministack gives open requests 3 s and then writes its state.
LOCK_S_MAX = SAVE_S_MAX + 5.0  # The one before us may still be saving.


class StateInUse(Exception):
    """Another local AWS is working on the same state folder."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="guardian", description="Run ministack until standard input closes.")
    parser.add_argument("--state-folder", type=Path, help="keep the state of the local AWS in this folder")
    options = parser.parse_args(arguments)
    # A terminal that closes hangs up on all its processes; the pipe tells us when to go.
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with state_lock(options.state_folder), private_folder() as folder:
            guard(folder, saves=options.state_folder is not None)
    except StateInUse as refusal:
        tell(refusal=str(refusal))
        return 1
    return 0


def guard(folder: Path, saves: bool) -> None:
    """Run ministack in the folder until it ends or nobody wants it any more."""
    parent = os.getppid()
    with (folder / LOG_NAME).open("wb") as log:
        # In a group of its own: its functions join that group, and the group is ended as a whole.
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "ministack"],
            cwd=folder,
            env=dict(os.environ, TMPDIR=str(folder)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        tell(folder=str(folder), process=server.pid)
        while server.poll() is None and is_wanted(parent):
            pass
        if server.returncode is not None:
            tell(exit_status=server.returncode, log=tail(folder / LOG_NAME))
    finally:
        end(server, saves)


def is_wanted(parent: int) -> bool:
    """Wait a moment; false once the pipe is closed, or the parent is gone though a child of it holds the pipe."""
    readable, _, _ = select.select([sys.stdin], [], [], WATCH_S)
    closed = bool(readable) and not os.read(sys.stdin.fileno(), 1)
    return not closed and os.getppid() == parent


def end(server: subprocess.Popen[bytes], saves: bool) -> None:
    """End ministack, after it has written its state where that is wanted, and then whatever is left of its group."""
    if saves and server.poll() is None:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(SAVE_S_MAX)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that nobody else reads, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def state_lock(folder: Path | None) -> Iterator[None]:
    """Hold the state folder for ourselves: two that save to one folder would overwrite each other."""
    if folder is None:
        yield
        return
    with (folder / "lock").open("w") as lock:
        deadline_s = time.monotonic() + LOCK_S_MAX
        while not is_locked(lock.fileno()):
            if time.monotonic() > deadline_s:
                raise StateInUse(f"{folder} is in use by another local AWS")
            time.sleep(WATCH_S)
        yield


def is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def tell(**message: object) -> None:
    """Say it to the parent; one that is gone hears nothing, and that is no reason to stop cleaning up."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(message), flush=True)


def tail(path: Path) -> str:
    """The end of the log, where the reason stands."""
    return path.read_bytes()[-LOG_TAIL_BYTES_MAX:].decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
