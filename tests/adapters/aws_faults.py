"""Failures on the wire: refusals, lost answers, and successful answers with a list of unprocessed entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError


def refuse_call(code: str, status: int = 400) -> Callable[..., None]:
    """Return a handler for a boto3 event before a call: AWS refuses the call."""

    def refuse(**_: object) -> None:
        answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, "Call")

    return refuse


def lose_answer(client: Any, operation: str) -> None:
    """Let AWS carry out the next call of this operation, and lose the answer."""
    event = f"after-call.{operation}"

    def lose(**_: object) -> None:
        client.meta.events.unregister(event, lose)
        raise ReadTimeoutError(endpoint_url=operation)

    client.meta.events.register(event, lose)


def bend_batch(client: Any, operation: str, entries_of: Callable[[dict[str, Any]], list[Any]], fails, report) -> None:
    """Hide the failing entries from the service and list them in its answer as the service would."""
    held: list[Any] = []

    def take_out(params, **_):
        entries = entries_of(params)
        held[:] = [entry for entry in entries if fails(entry)]
        entries[:] = [entry for entry in entries if entry not in held]
        if not entries:  # No service accepts an empty batch, so one entry passes after all.
            entries.append(held.pop())

    client.meta.events.register(f"provide-client-params.{operation}", take_out)
    client.meta.events.register(f"after-call.{operation}", lambda parsed, **_: report(parsed, held))
