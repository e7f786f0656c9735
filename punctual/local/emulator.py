"""Run a local AWS on one loopback port.

An `Emulator` runs ministack under a supervisor (see `supervisor`). The local AWS ends with everything it started, and
its folder is removed, when it is stopped and also if its owner crashes or is killed. Several emulators can run in
parallel without affecting each other. They ignore the user's own AWS settings, and listen only on loopback.
"""

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
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import botocore.config
import botocore.session

from punctual.local import supervisor

HOST = "127.0.0.1"
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}  # To ministack, the account's owner.

PORT_NAME = "port"
PORT_TRIES_MAX = 5  # Another program may take the port between our choice and ministack's bind.
READY_S_MAX = 60.0
READY_POLL_S = 0.05
PAGE_S_MAX = 1.0
STOP_S_MAX = supervisor.SAVE_S_MAX + 45.0  # A busy disk is slow to remove the code of all functions.
# A call may last as long as a function runs. A retry after that would run the function twice.
READ_S_MAX = 180
CONNECTIONS_MAX = 64

# The variables that a program needs to run. All others are removed, above all AWS_* and ministack's own settings.
ENVIRONMENT_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "TMPDIR")
NOWHERE = "/nonexistent"


class EmulatorFailed(Exception):
    """The local AWS did not start. The message ends with its last output."""


class PortTaken(EmulatorFailed):
    """Another program listens on the port."""


class Emulator:
    """A local AWS: `with Emulator() as emulator:`.

    port           use this port, or fail. By default, use any free one.
    auth           enforce the IAM policies of the functions' roles.
    state_folder   keep the state in this folder. The next emulator with the folder restores it. It also uses the same
                   port if that is free, because the URLs of queues contain it.
    async_retry_s  seconds before Lambda's first retry of an asynchronous invocation (AWS: 60), doubled for the second.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        auth: bool = False,
        region: str = REGION,
        state_folder: Path | None = None,
        async_retry_s: float = 1.0,
    ) -> None:
        self.region = region
        self._wanted_port = port
        self._settings = {
            "AUTH": "true" if auth else "false",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": str(async_retry_s),
            "MINISTACK_REGION": region,
        }
        self._state_folder = state_folder.absolute() if state_folder else None
        self._clients: dict[str, Any] = {}
        self._clients_lock = threading.Lock()
        self._guard: Guard | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the local AWS, and wait until it answers."""
        if self._guard is not None:
            raise RuntimeError("this emulator is running already")
        port = self._wanted_port or self._remembered_port() or free_port()
        for attempts_left in reversed(range(PORT_TRIES_MAX)):
            try:
                self._guard = Guard(port, self._settings, self._state_folder)
                break
            except PortTaken:
                if self._wanted_port is not None or not attempts_left:
                    raise
                port = free_port()
        self._remember_port(port)
        return self

    def stop(self) -> None:
        """End the local AWS and everything it started. A second call has no effect."""
        guard, self._guard = self._guard, None
        with self._clients_lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
        if guard is not None:
            guard.stop()

    @property
    def port(self) -> int:
        return self._running.port

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def folder(self) -> Path:
        """The private folder with the code of the running functions. It is removed when the emulator stops."""
        return self._running.folder

    @property
    def log_path(self) -> Path:
        """The log of ministack and the functions."""
        return self.folder / supervisor.LOG_NAME

    @property
    def process(self) -> int:
        """The process id of ministack, which is also the id of its process group."""
        return self._running.process

    def is_running(self) -> bool:
        return self._guard is not None and self._guard.is_running()

    def environment(self) -> dict[str, str]:
        """Return the AWS_* variables that point the aws command line, or any SDK, to this local AWS only."""
        return {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            **isolation(),
        }

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service, which all threads share. (boto3 has no types.)"""
        with self._clients_lock:
            if service not in self._clients:
                self._clients[service] = isolated_session(self.region).client(
                    service,
                    endpoint_url=self.endpoint_url,
                    config=botocore.config.Config(
                        proxies={},  # Also if HTTP_PROXY is set.
                        connect_timeout=5,
                        read_timeout=READ_S_MAX,
                        retries={"mode": "standard", "total_max_attempts": 3},
                        max_pool_connections=CONNECTIONS_MAX,
                    ),
                )
            return self._clients[service]

    def _remembered_port(self) -> int | None:
        path = self._state_folder / PORT_NAME if self._state_folder else None
        return int(path.read_text()) if path and path.exists() else None

    def _remember_port(self, port: int) -> None:
        if self._state_folder:
            (self._state_folder / PORT_NAME).write_text(str(port))

    @property
    def _running(self) -> "Guard":
        if self._guard is None:
            raise RuntimeError("this emulator is not running")
        return self._guard


class Guard:
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
        self._guardian = subprocess.Popen(
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
        return self._guardian.poll() is None

    def stop(self) -> None:
        """Close the pipe, which ends the supervisor, and wait until it has cleaned up."""
        assert self._guardian.stdin is not None
        assert self._guardian.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._guardian.stdin.close()
        try:
            self._guardian.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            with contextlib.suppress(ProcessLookupError, AttributeError):  # It may not have told them yet.
                os.killpg(self.process, signal.SIGKILL)
            with contextlib.suppress(AttributeError):
                shutil.rmtree(self.folder, ignore_errors=True)
            self._guardian.wait()
        self._guardian.stdout.close()

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
        assert self._guardian.stdout is not None
        readable, _, _ = select.select([self._guardian.stdout], [], [], wait_s)
        line = self._guardian.stdout.readline() if readable else b""
        try:
            message: dict[str, Any] = json.loads(line)
        except ValueError:
            said = (line + (self._guardian.stdout.read() if readable else b"")).decode(errors="replace")
            raise EmulatorFailed(f"the guardian of the local AWS did not start; it said:\n{said}") from None
        if "refusal" in message:
            raise EmulatorFailed(str(message["refusal"]))
        return message


def server_environment(port: int, mark: str, settings: dict[str, str], state_folder: Path | None) -> dict[str, str]:
    """Return the environment variables of ministack and of the functions that it runs."""
    environment = {name: os.environ[name] for name in ENVIRONMENT_KEPT if name in os.environ}
    environment |= {
        **CREDENTIALS,
        **isolation(),
        **settings,
        "BIND_HOST": HOST,  # Its default is every interface.
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "MINISTACK_EDITION": mark,
        "IOT_MTLS_ENABLED": "0",  # Otherwise it opens port 8883 on every interface.
        "SFTP_ENABLED": "0",
        # If ministack finds Docker, it removes the containers of every ministack, also those of other users.
        "DOCKER_HOST": f"unix://{NOWHERE}",
        "LOG_LEVEL": "INFO",
    }
    if state_folder is not None:
        environment |= {
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state_folder / "services"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state_folder / "s3"),
        }
    return environment


def isolation() -> dict[str, str]:
    """Return variables that disable the user's own profiles, the metadata service and proxies."""
    return {
        "AWS_CONFIG_FILE": NOWHERE,
        "AWS_SHARED_CREDENTIALS_FILE": NOWHERE,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": HOST,
    }


def isolated_session(region: str) -> Any:
    """Return a session that ignores the AWS_* variables and the profiles of the user."""
    core = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, NOWHERE, None),
            "credentials_file": (None, None, NOWHERE, None),
            "ca_bundle": (None, None, None, None),
        }
    )
    return boto3.session.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=region,
        botocore_session=core,
    )


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
