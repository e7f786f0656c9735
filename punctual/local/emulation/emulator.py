"""Run a local AWS on one loopback port.

An `Emulator` runs ministack under a supervisor (see `supervisor`). The local AWS ends with everything it started, and
its folder is removed, when it is stopped and also if its owner crashes or is killed. Several emulators can run in
parallel without affecting each other. They ignore the user's own AWS settings, and listen only on loopback.
"""

import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import botocore.config

from punctual.local.emulation import supervisor
from punctual.local.emulation.isolation import CREDENTIALS, HOST, REGION, isolated_session, isolation
from punctual.local.emulation.supervisor_process import PortTaken, SupervisorProcess, free_port

PORT_NAME = "port"
PORT_TRIES_MAX = 5  # Another program may take the port between our choice and ministack's bind.
# A call may last as long as a function runs. A retry after that would run the function twice.
READ_S_MAX = 180
CONNECTIONS_MAX = 64


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
        self._supervisor: SupervisorProcess | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the local AWS, and wait until it answers."""
        if self._supervisor is not None:
            raise RuntimeError("this emulator is running already")
        port = self._wanted_port or self._remembered_port() or free_port()
        for attempts_left in reversed(range(PORT_TRIES_MAX)):
            try:
                self._supervisor = SupervisorProcess(port, self._settings, self._state_folder)
                break
            except PortTaken:
                if self._wanted_port is not None or not attempts_left:
                    raise
                port = free_port()
        self._remember_port(port)
        return self

    def stop(self) -> None:
        """End the local AWS and everything it started. A second call has no effect."""
        supervisor_process, self._supervisor = self._supervisor, None
        with self._clients_lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
        if supervisor_process is not None:
            supervisor_process.stop()

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
        return self._supervisor is not None and self._supervisor.is_running()

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
    def _running(self) -> SupervisorProcess:
        if self._supervisor is None:
            raise RuntimeError("this emulator is not running")
        return self._supervisor
