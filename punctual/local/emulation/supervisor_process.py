"""One run of ministack under its supervisor, on one port of this machine."""

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from punctual.local.emulation import supervisor
from punctual.local.emulation.isolation import HOST, server_environment

READY_S_MAX = 60.0
READY_POLL_S = 0.05
PAGE_S_MAX = 1.0
STOP_S_MAX = supervisor.SAVE_S_MAX + 45.0  # A busy disk is slow to remove the code of all functions.


class EmulatorFailed(Exception):
    """The local AWS did not start. The message ends with its last output."""


class PortTaken(EmulatorFailed):
    """Another program listens on the port."""


class SupervisorProcess:
    """One run of the supervisor, from its start until it has cleaned up."""

    def __init__(self, port: int, settings: dict[str, str], state_folder: Path | None) -> None:
        """Start the supervisor on the port, and wait until ministack answers there."""
        self.port = port
        # Another program on the port may answer too. This mark on the health page shows that the answer is ours.
        self._mark = f"punctual-{secrets.token_hex(8)}"
        arguments = []
        if state_folder is not None:
            (state_folder / "services").mkdir(parents=True, exist_ok=True)
            arguments = ["--state-folder", str(state_folder)]
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", supervisor.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,  # select, below, does not see buffered data.
            start_new_session=True,
            env=server_environment(port, self._mark, settings, state_folder),
        )
        try:
            started = self._hear(READY_S_MAX)
            self.folder = Path(started["folder"])
            self.process = int(started["process"])
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def is_running(self) -> bool:
        return self._supervisor.poll() is None

    def stop(self) -> None:
        """Close the pipe, which ends the supervisor, and wait until it has cleaned up."""
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._supervisor.stdin.close()
        try:
            self._supervisor.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            with contextlib.suppress(ProcessLookupError, AttributeError):  # It may not have told them yet.
                os.killpg(self.process, signal.SIGKILL)
            with contextlib.suppress(AttributeError):
                shutil.rmtree(self.folder, ignore_errors=True)
            self._supervisor.wait()
        self._supervisor.stdout.close()

    def _wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + READY_S_MAX
        while not self._answers():
            if not self.is_running():
                self._raise_end(self._hear(READY_POLL_S))
            if time.monotonic() > deadline_s:
                log = supervisor.tail(self.folder / supervisor.LOG_NAME)
                raise EmulatorFailed(f"the local AWS was not ready after {READY_S_MAX:.0f} s; it said last:\n{log}")
            time.sleep(READY_POLL_S)

    def _answers(self) -> bool:
        """Return whether our own ministack answers and is ready."""
        try:
            health = json.loads(page(self.port, "/_ministack/health"))
            page(self.port, "/_ministack/ready")
        except (OSError, ValueError):
            return False
        return isinstance(health, dict) and health.get("edition") == self._mark

    def _raise_end(self, message: dict[str, Any]) -> None:
        log = str(message.get("log", ""))
        if "already in use" in log:
            raise PortTaken(f"port {self.port} is in use")
        raise EmulatorFailed(f"the local AWS ended with status {message.get('exit_status')}; it said last:\n{log}")

    def _hear(self, wait_s: float) -> dict[str, Any]:
        """Return the supervisor's next message."""
        assert self._supervisor.stdout is not None
        readable, _, _ = select.select([self._supervisor.stdout], [], [], wait_s)
        line = self._supervisor.stdout.readline() if readable else b""
        try:
            message: dict[str, Any] = json.loads(line)
        except ValueError:
            said = (line + (self._supervisor.stdout.read() if readable else b"")).decode(errors="replace")
            raise EmulatorFailed(f"the supervisor of the local AWS did not start; it said:\n{said}") from None
        if "refusal" in message:
            raise EmulatorFailed(str(message["refusal"]))
        return message


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def page(port: int, path: str) -> bytes:
    """Return one of ministack's own pages. Raise OSError if it does not answer."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"http://{HOST}:{port}{path}", timeout=PAGE_S_MAX) as answer:
        body: bytes = answer.read()
    return body
