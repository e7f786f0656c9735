"""The world of the client: clients of AWS, a clock, and whether calls may run in parallel.

`AwsBackend` is the real one. `punctual.testing.Stack` has its own, with a clock that the test moves.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

ANSWER_S_MAX = 70
"""Longer than any function of the stack may run, so that a caller never gives up before Lambda does."""
QUEUE_ANSWER_S_MAX = 25
"""Longer than SQS waits for a message. A lost call is repeated while the messages in hand are still hidden."""
CONNECT_S_MAX = 5
CONNECTIONS_MAX = 64
OTHER_CALLS_MAX = 5


class Session(Protocol):
    """The part of a boto3 session that the client uses."""

    @property
    def client(self) -> Callable[..., Any]: ...


class Backend(Protocol):
    """The world of a client."""

    @property
    def parallel(self) -> bool:
        """Whether several threads may call at once."""
        ...

    def client(self, service: str) -> Any:
        """Return a client like that of boto3. Keep no client across a fork: ask again."""
        ...

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        ...

    def steady(self) -> float:
        """Return seconds by a clock that nobody sets. Only differences have a meaning."""
        ...

    def sleep(self, seconds: float) -> None: ...

    def new_token(self) -> str:
        """Return a token that no other request has."""
        ...

    def lock(self) -> AbstractContextManager[object]:
        """Return a lock for what the threads of this process share."""
        ...

    def close(self) -> None: ...


class Simulated(Protocol):
    """A stack that brings its own backend, as `punctual.testing.Stack` does."""

    def backend(self) -> Backend: ...

    def outputs(self) -> Mapping[str, str]: ...


class _InProcess:
    """The state of one process. Connections and locks of a parent process do not survive a fork."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = threading.Lock()
        """Held while a client is made."""
        self.shared = threading.RLock()
        self.session: Session | None = None
        self.clients: dict[str, Any] = {}


class AwsBackend:
    """AWS, or the local AWS. It makes each client once per process, when it is first used."""

    parallel = True

    def __init__(self, session: Session | None = None, endpoint_url: str | None = None) -> None:
        self._session, self._endpoint_url = session, endpoint_url
        self._here = _InProcess()

    def client(self, service: str) -> Any:
        here = self._in_process()
        found = here.clients.get(service)
        if found is not None:
            return found
        with here.lock:  # boto3 sessions are not thread-safe.
            if service not in here.clients:
                here.clients[service] = self._made(service, here)
            return here.clients[service]

    def _in_process(self) -> _InProcess:
        if self._here.process != os.getpid():
            self._here = _InProcess()
        return self._here

    def _made(self, service: str, here: _InProcess) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - `import punctual` stays cheap.

        # A repeat of an invocation is a decision of the client, which knows what may be repeated.
        attempts = 1 if service == "lambda" else OTHER_CALLS_MAX
        config = Config(
            connect_timeout=CONNECT_S_MAX,
            read_timeout=QUEUE_ANSWER_S_MAX if service == "sqs" else ANSWER_S_MAX,
            max_pool_connections=CONNECTIONS_MAX,
            retries={"mode": "standard", "total_max_attempts": attempts},
        )
        optional = {} if self._endpoint_url is None else {"endpoint_url": self._endpoint_url}
        return self._current_session(here).client(service, config=config, **optional)

    def _current_session(self, here: _InProcess) -> Session:
        if self._session is not None:
            return self._session
        if here.session is None:
            import boto3  # noqa: PLC0415 - `import punctual` stays cheap.

            here.session = boto3.Session()
        return here.session

    def now(self) -> float:
        return time.time()

    def steady(self) -> float:
        """Return seconds by a clock that nobody sets, and that goes on while the machine sleeps."""
        if not hasattr(time, "clock_gettime"):
            return time.monotonic()
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def new_token(self) -> str:
        return uuid.uuid4().hex

    def lock(self) -> AbstractContextManager[object]:
        return self._in_process().shared

    def close(self) -> None:
        """Close all connections. The next call opens new ones."""
        here = self._in_process()
        with here.lock:
            clients, here.clients = here.clients, {}
        for client in clients.values():
            client.close()
