"""Connect a scheduler to its stack: a backend, and the outputs of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from punctual.client.backend import AwsBackend, Backend, Session, Simulated
from punctual.client.calling.invoking import Invoker
from punctual.client.outputs import Outputs, stack_name


class Connection:
    """One stack, and the clients to reach it."""

    def __init__(
        self,
        stack: str | Simulated | None = None,
        *,
        session: Session | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        if stack is None or isinstance(stack, str):
            backend: Backend = AwsBackend(session, endpoint_url)
            self._connect(backend, Outputs(stack_name(stack), backend))
        else:
            backend = stack.backend()
            self._connect(backend, Outputs("virtual", backend, stack.outputs()))

    def _connect(self, backend: Backend, outputs: Outputs) -> None:
        self._backend, self._outputs = backend, outputs
        self._invoker = Invoker(backend, outputs)

    @classmethod
    def from_outputs(
        cls, outputs: Mapping[str, str], *, session: Session | None = None, endpoint_url: str | None = None
    ) -> Self:
        """Return a scheduler for a stack with these outputs, without a call to CloudFormation.

        `schedule` needs `ScheduleFunction`, all other calls need `ManageFunction`, and `messages` needs
        `OutputQueueUrl`.
        """
        connection = cls.__new__(cls)
        backend = AwsBackend(session, endpoint_url)
        connection._connect(backend, Outputs(stack_name(None), backend, dict(outputs)))
        return connection

    def close(self) -> None:
        """Close all connections. A later call opens new ones."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
