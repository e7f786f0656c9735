"""Creates the boto3 clients of a function, fast enough for a cold start."""

from __future__ import annotations

import functools
import gc
from contextlib import suppress
from threading import Lock
from typing import Any

CONNECT_S_MAX, READ_S_MAX = 1, 4
CALL_S_MAX = CONNECT_S_MAX + READ_S_MAX
"""The longest that one call may take. AWS answers in milliseconds, so a slower call is tried again."""
RESERVE_S = CALL_S_MAX + 1
"""What most functions keep back: a call that begins at the last moment may take so long, and the answer needs time."""


class Clients:
    """Creates boto3 clients that never retry by themselves: a retried send with its old delay would be late.

    No call passes Lambda's trace header on. Lambda uses it to detect loops, and would stop a consumer that schedules
    itself again after about 16 rounds.

    All clients share one session, which reads its data files only once. The session creates one client at a time,
    because several threads may ask for a client at first use.

    Three unusual settings save a tenth of every call and a quarter of every cold start. Boto3 checks no parameters,
    because our adapters are typed and AWS checks them. It does not build the user agent for each call. The garbage
    collector skips modules that stay loaded. `data_files` makes a cold start shorter still.
    """

    def __init__(self) -> None:
        self._making = Lock()

    @functools.cached_property
    def _session(self) -> Any:
        import botocore.session

        session = botocore.session.get_session()
        with suppress(ImportError):  # A later botocore may load its files in another way, and then does so itself.
            from scheduler.wiring.data_files import DataFiles

            session.register_component("data_loader", DataFiles())
        return session

    def make(self, service: str, connections: int) -> Any:
        with self._making:
            gc.disable()
            try:
                client = self._make(service, connections)
            finally:
                gc.freeze()
                gc.enable()
        client.meta.events.register_last("before-call", _without_trace)
        return client

    def _make(self, service: str, connections: int) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_S_MAX,
            read_timeout=READ_S_MAX,
            retries={"total_max_attempts": 1},
            max_pool_connections=connections,
            tcp_keepalive=True,
            parameter_validation=False,
            user_agent="punctual",
        )
        return self._session.create_client(service, config=config)


def _without_trace(params: dict[str, Any], **_: object) -> None:
    params["headers"].pop("X-Amzn-Trace-Id", None)
