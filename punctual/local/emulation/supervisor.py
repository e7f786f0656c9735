"""Run the local AWS, and end it with everything it started, in whatever way its owner ends.

The owner starts it as a program in a session of its own, so that the owner's Ctrl-C does not reach it. It makes a
private folder and starts ministack in it. Then it waits until the pipe on its standard input closes, its parent is
gone, or ministack has ended. After that it ends ministack with every function that runs in it, and removes the folder.
The operating system closes a pipe however a process ends, even by SIGKILL, so no message has to get through.

This module uses only the standard library, because it has to work in a broken installation.

It writes one JSON object per line to its standard output. The first is `{"folder", "process"}`. If ministack ends by
itself, `{"exit_status", "log"}` follows. If it may not start, the only one is `{"refusal"}`.
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
LOCK_S_MAX = SAVE_S_MAX + 5.0  # The previous local AWS may still be saving.


class StateInUse(Exception):
    """Another local AWS uses the same state folder."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="supervisor", description="Run ministack until standard input closes.")
    parser.add_argument("--state-folder", type=Path, help="keep the state of the local AWS in this folder")
    options = parser.parse_args(arguments)
    # A closing terminal sends SIGHUP to all its processes. The pipe decides when to end.
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with state_lock(options.state_folder), private_folder() as folder:
            supervise(folder, saves=options.state_folder is not None)
    except StateInUse as refusal:
        tell(refusal=str(refusal))
        return 1
    return 0


def supervise(folder: Path, saves: bool) -> None:
    """Run ministack in the folder until it ends or its owner is gone."""
    parent = os.getppid()
    with (folder / LOG_NAME).open("wb") as log:
        # ministack gets its own process group. Its functions join that group, and the whole group is ended.
        server = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("server.py"))],
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
    """Wait a moment. Return false if the pipe is closed, or if the parent is gone but a child of it holds the pipe."""
    readable, _, _ = select.select([sys.stdin], [], [], WATCH_S)
    closed = bool(readable) and not os.read(sys.stdin.fileno(), 1)
    return not closed and os.getppid() == parent


def end(server: subprocess.Popen[bytes], saves: bool) -> None:
    """End ministack and the rest of its process group. Let ministack write its state first if it saves one."""
    if saves and server.poll() is None:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(SAVE_S_MAX)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that only this user can read, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def state_lock(folder: Path | None) -> Iterator[None]:
    """Lock the state folder, because two local AWS that save to it would overwrite each other."""
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
    """Report to the parent. If the parent is gone, ignore that and go on cleaning up."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(message), flush=True)


def tail(path: Path) -> str:
    """Return the end of the log, which has the reason."""
    return path.read_bytes()[-LOG_TAIL_BYTES_MAX:].decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
